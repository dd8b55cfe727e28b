// The fleet's power budget at work: takes an operator's budgets, divides the watts, sends caps in
// the order in which they are paid for, and follows demand.
//
// Set() plans an event (power_event.h), applies what the ladder decided for the work, and walks
// down the stairs on timers. Between events watts are divided again every `rebalance` and whenever
// demand moved by a tenth. Until a budget is set, devices keep their caps.
//
// Units: milliwatts, engine time. Ownership: borrows the loop, the devices and the work, which
// outlive it; owns its books and its timer. Threading: engine thread only. Errors: as
// PlanPowerEvent; whatever is refused changes nothing.
#ifndef SCOVILLE_SCHEDULER_POWER_FLEET_POWER_H_
#define SCOVILLE_SCHEDULER_POWER_FLEET_POWER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "scheduler/power/budget_tree.h"
#include "scheduler/power/cap_book.h"
#include "scheduler/power/fleet_seams.h"
#include "scheduler/power/power_event.h"

namespace scoville::scheduler {

struct FleetPowerOptions {
  FleetPowerPolicy policy;
  Duration rebalance = Seconds(1);  // zero: only at events and when demand moves
  // The tree's caps are budgets from the start; if not, they are not looked at.
  bool budgets_set = false;
  // What MakeBudgetTree (budget_config.h) makes the tree of; with either, its caps are budgets.
  std::vector<BudgetNodeSpec> nodes = {};  // the wiring; empty: one node over all devices
  Power budget{};                          // of all devices together; zero: none
};

struct NodePowerStatus {
  std::string name;
  BudgetLevel level = BudgetLevel::kFleet;
  int parent = -1;
  uint32_t devices = 0;
  std::optional<Power> budget;    // as set, in device watts; none: no budget
  std::optional<Power> usable;    // less the reserve
  std::optional<Power> in_force;  // what the sum is held to at this moment
  Power counted;
};

struct DevicePowerStatus {
  uint32_t device = 0;
  Power cap;
  Power counted;
  TimePoint effective_at;  // of the cap
  Power min_cap;
  Power max_cap;  // of the device
  Power ceiling;  // the operator's; max_cap if none
  DeviceFate fate = DeviceFate::kRun;
  bool parked = false;
  bool removed = false;  // it is no more; the rest says nothing
  std::string node;
  int64_t millitokens_per_second = 0;  // by its curve at its cap; 0 when idle
};

struct FleetPowerStatus {
  TimePoint now;
  std::vector<NodePowerStatus> nodes;  // parents before children
  std::vector<DevicePowerStatus> devices;
  std::vector<RungReport> ladder;  // what each rung could free from here
  Rung rung = Rung::kNone;         // in force
  bool settled = true;             // every limit is in force
  std::vector<PowerStair> stairs;  // still to come; `at` from now, when sent
  Power lowest;                    // of the root, at the foot of the ladder
  int64_t reserve_ppm = 0;
};

struct DeviceCapAnswer {
  Power ceiling;
  Power cap;  // sent; below the ceiling if a budget is in the way
  TimePoint effective_at;
};

// InvalidArgument for a device whose caps contradict each other.
absl::Status CheckDeviceCaps(const PowerControlledDevice& device);

class FleetPower {
 public:
  // One device per id of the tree, in order.
  static absl::StatusOr<std::unique_ptr<FleetPower>> Create(
      EventLoop* loop, BudgetTree tree, const std::vector<PowerControlledDevice*>& devices,
      FleetWork* work, const FleetPowerOptions& options);
  ~FleetPower();
  FleetPower(const FleetPower&) = delete;
  FleetPower& operator=(const FleetPower&) = delete;

  // The same answer, with and without carrying it out (if answer.would_apply).
  absl::StatusOr<PowerAnswer> Set(const PowerRequest& request);
  absl::StatusOr<PowerAnswer> DryRun(const PowerRequest& request) const;
  // A ceiling for one device, beside the budgets. InvalidArgument outside [MinCap, MaxCap].
  absl::StatusOr<DeviceCapAnswer> SetDeviceCap(uint32_t device, Power cap);
  FleetPowerStatus Get() const;
  // Its nodes alone: cheap.
  std::vector<NodePowerStatus> Nodes() const;

  // What each device's work yields may have changed; divides again if by a tenth in sum.
  void DemandMoved();
  // Something ran empty: a device that was to sleep does. Cheap if none was to.
  void DeviceEmpty(uint32_t device);

  // Whether so many more devices can hang on a node (empty: the only one). NotFound for a node that
  // is not there, FailedPrecondition where a limit cannot hold their least caps beside the others'.
  absl::Status CanAdd(absl::Span<PowerControlledDevice* const> devices,
                      absl::string_view node) const;
  // They have the next numbers. Where there is no room for its cap a device comes asleep, counted
  // at what it draws then, and wakes as others make room. Precondition: CanAdd.
  void Add(absl::Span<PowerControlledDevice* const> devices, absl::string_view node);
  // It draws nothing any more and is asked for nothing but its constants. Its watts are divided a
  // nanosecond later, once for all that leave together.
  void Remove(uint32_t device);

  void DeviceLost(uint32_t device);
  void DeviceFenced(uint32_t device);
  // It asks to be back. FleetWork::Returned follows, at once or when there is room for its least
  // cap; until then it stays off.
  void DeviceReturned(uint32_t device);

  const CapBook& book() const { return book_; }

 private:
  struct Slot {
    PowerControlledDevice* device;
    Power ceiling;
    DeviceFate fate = DeviceFate::kRun;
    bool parked = false;
    bool closed = false;
    bool returning = false;
    bool removed = false;
  };
  struct Step {
    TimePoint when;  // to send
    int node;
    Power limit;
  };

  FleetPower(EventLoop* loop, BudgetTree tree, const std::vector<PowerControlledDevice*>& devices,
             FleetWork* work, const FleetPowerOptions& options);

  std::vector<DevicePowerView> Views() const;
  PowerEventInput InputOf(absl::Span<const DevicePowerView> views) const;
  bool any_budget() const;
  absl::StatusOr<int> NodeFor(absl::string_view name) const;

  // One turn: books up to now, stairs that are due, sleepers, division, caps, timer.
  void Turn(bool divide);
  bool TakeDueSteps(TimePoint now);
  // True if any of those that asked to be back is.
  bool ReturnOnes(TimePoint now);
  // Fates and floors for the limits as they are, when no stairs are to come.
  void Replan(absl::Span<const DevicePowerView> views);
  void ApplyFates();
  void ParkEmptyOnes(TimePoint now);
  std::vector<Power> Targets(absl::Span<const DevicePowerView> views) const;
  void WakeOnes(TimePoint now);
  void Send(absl::Span<const CapCommand> commands, TimePoint now);
  bool AnyWork() const;
  void Arm(TimePoint now);

  EventLoop* const loop_;
  BudgetTree tree_;
  FleetWork* const work_;
  const FleetPowerOptions options_;

  std::vector<Slot> slots_;
  std::vector<std::optional<Power>> budgets_;  // per node, before the reserve
  std::vector<Power> limits_;                  // per node, at the end of all stairs
  CapBook book_;
  LadderPlan plan_;
  std::vector<Step> steps_;  // by time
  TimePoint next_division_;
  int64_t divided_rate_ = 0;  // sum of rates at the last division
  TimerId timer_;
  bool divide_soon_ = false;  // the timer is for that
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_FLEET_POWER_H_
