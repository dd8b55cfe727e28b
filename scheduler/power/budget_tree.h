// Which devices share which breaker: nested budgets, device within tray within rack within row
// within fleet.
//
// The nodes are the wiring and do not change, while devices come and go on them; what each node may
// draw is a separate list of limits (one per node, by index), because operators change limits and
// not wiring.
//
// Units: milliwatts. Ownership: a plain value. Threading: any. Errors: Create refuses a wiring that
// is not one tree over all devices, naming the node; CheckFloor shows the sum that does not fit.
#ifndef SCOVILLE_SCHEDULER_POWER_BUDGET_TREE_H_
#define SCOVILLE_SCHEDULER_POWER_BUDGET_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "base/units.h"

namespace scoville::scheduler {

// Inner levels, lowest first. A node stands on a higher level than its children; levels may be
// left out.
enum class BudgetLevel : uint8_t { kTray, kRack, kRow, kFleet };

absl::string_view BudgetLevelName(BudgetLevel level);

// One node as an operator writes it down.
struct BudgetNodeSpec {
  std::string name;
  BudgetLevel level = BudgetLevel::kFleet;
  Power cap;                          // of everything below; above zero
  std::vector<std::string> children;  // nodes
  std::vector<uint32_t> devices;      // connected to this node itself
  // Where it was written, in front of errors: "file:line:column: pool.budgets[1]: "; empty:
  // nowhere.
  std::string where = std::string();
};

struct BudgetNode {
  std::string name;
  BudgetLevel level = BudgetLevel::kFleet;
  Power cap;
  int parent = -1;                // index; -1: the root
  std::vector<int> children;      // indices
  std::vector<uint32_t> devices;  // all below, in rising order
  std::string where;              // as its spec's
};

class BudgetTree {
 public:
  static constexpr size_t kMaxNodes = 16'384;
  static constexpr size_t kMaxDevices = 65'536;

  // `devices` is the number of devices: every one of 0 .. devices - 1 must hang on exactly one
  // node.
  static absl::StatusOr<BudgetTree> Create(absl::Span<const BudgetNodeSpec> specs,
                                           uint32_t devices);
  // One budget over all.
  static BudgetTree Flat(Power cap, uint32_t devices);

  // A further device, of the next number, on a node. CHECKs that the node exists and the limit of
  // devices is kept.
  void AddDevice(int node);
  // It is among no node's devices any more. Its number stays its own.
  void RemoveDevice(uint32_t device);

  // Parents before children; the root is 0.
  const std::vector<BudgetNode>& nodes() const { return nodes_; }
  const BudgetNode& root() const { return nodes_.front(); }
  // That ever were.
  uint32_t devices() const { return static_cast<uint32_t>(home_.size()); }
  // The index of the node of that name, or NotFound with the nearest name.
  absl::StatusOr<int> Find(absl::string_view name) const;
  // The node a device is connected to. Its ancestors are found along `parent`.
  int HomeOf(uint32_t device) const { return home_[device]; }

  // The caps the nodes were created with.
  std::vector<Power> Caps() const;
  // Sums of a figure per device, per node.
  std::vector<Power> SumsOf(absl::Span<const Power> per_device) const;
  // Whether no node's sum of `floors` (the least its devices can be capped to) is above its limit;
  // if not, FailedPrecondition that shows the sum.
  absl::Status CheckFloor(absl::Span<const Power> limits, absl::Span<const Power> floors) const;

 private:
  BudgetTree() = default;

  std::vector<BudgetNode> nodes_;
  std::vector<int> home_;  // by device
};

// "250 W", "97.5 W": for messages.
std::string PowerText(Power power);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_BUDGET_TREE_H_
