// The books of the fleet's watts: what each device must be counted at, until its cap truly holds.
//
// A lowered cap holds only from its effective time on (the windows of the device still remember the
// old one), so a device counts at the larger of old and new until then. Decreases are therefore
// sent first, and an increase spends only what is free under every node above the device, after
// counting. A lost device may go on drawing until it is fenced: it counts as before, and its share
// returns with the fencing.
//
// Invariant, CHECKed after every call, for every node: sum of counted <= the limit in force. A
// limit that is lowered below what is counted comes into force once the counts have come down to
// it; until then the old one is in force, and nothing below that node is raised.
//
// Units: milliwatts, engine time. Ownership: owns its entries; borrows the tree, which outlives it.
// Threading: engine thread only. Errors: time running backwards, a raise without room and an
// unknown device are programmer errors (CHECK).
#ifndef SCOVILLE_SCHEDULER_POWER_CAP_BOOK_H_
#define SCOVILLE_SCHEDULER_POWER_CAP_BOOK_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "base/units.h"
#include "scheduler/power/budget_tree.h"

namespace scoville::scheduler {

// A cap to send to a device.
struct CapCommand {
  uint32_t device = 0;
  Power cap;

  friend bool operator==(const CapCommand&, const CapCommand&) = default;
};

class CapBook {
 public:
  enum class Presence : uint8_t { kPresent, kLost, kFenced };

  // All devices present, their caps in effect. The limits in force are the larger of `limits` and
  // what is counted.
  CapBook(const BudgetTree* tree, absl::Span<const Power> limits, absl::Span<const Power> caps);

  // A device that the tree has been given; it counts at `cap` from now on. Where that is more than
  // there is room for, the limit in force is above the limit until other counts have come down, as
  // at the start.
  void Add(Power cap);
  // What is free under every node above a device on `node`.
  Power RoomAt(int node) const;

  // What each node shall be limited to; one per node.
  void SetLimits(absl::Span<const Power> limits);

  // Takes in what has come into effect up to `now`.
  void Advance(TimePoint now);
  // When Advance next changes something; nothing if no decrease is under way.
  std::optional<TimePoint> NextChange() const;

  // The decreases that lead to `targets` (one per device), by id: all may be sent at once.
  std::vector<CapCommand> Decreases(absl::Span<const Power> targets) const;
  // The increases towards `targets` that are paid for now, by id; the last may go part of the way.
  std::vector<CapCommand> Increases(absl::Span<const Power> targets) const;
  // The device took the command; it holds from `effective_at` (>= now) on. For a raise the old,
  // lower cap needs no time to lose its hold, but a decrease still under way keeps its own.
  void Commit(const CapCommand& command, TimePoint now, TimePoint effective_at);

  // The device no longer answers; it keeps its share.
  void Lose(uint32_t device);
  // The device is off, and draws at most this and no more than before.
  void Fence(uint32_t device, Power off);
  // The device is back with this cap; false if there is no room for it yet.
  bool Return(uint32_t device, Power cap);

  Power cap(uint32_t device) const { return entries_[device].cap; }
  Power counted(uint32_t device) const { return entries_[device].counted; }
  // When the cap holds; in the past if it does.
  TimePoint effective_at(uint32_t device) const { return entries_[device].effective_at; }
  Presence presence(uint32_t device) const { return entries_[device].presence; }

  // Per node.
  const std::vector<Power>& counted_sums() const { return sums_; }
  const std::vector<Power>& limits() const { return limits_; }
  const std::vector<Power>& limits_in_force() const { return in_force_; }
  // Every limit is in force.
  bool settled() const { return limits_ == in_force_; }

 private:
  // From `at` on the device is bounded by `cap`.
  struct Pending {
    TimePoint at;
    Power cap;
  };
  struct Entry {
    Power cap;      // last sent
    Power counted;  // bounds the device now
    TimePoint effective_at;
    std::vector<Pending> pending;  // times rise, caps fall
    Presence presence = Presence::kPresent;
  };

  static void Raise(Entry* entry, Power cap, TimePoint effective_at);
  static void Lower(Entry* entry, Power cap, TimePoint now, TimePoint effective_at);
  Power RoomFor(uint32_t device, absl::Span<const Power> sums) const;
  Power RoomAt(int node, absl::Span<const Power> sums) const;
  void Recount(uint32_t device, Power before);
  void Settle();

  const BudgetTree* const tree_;
  std::vector<Entry> entries_;
  std::vector<Power> limits_;
  std::vector<Power> in_force_;
  std::vector<Power> sums_;  // of counted
  TimePoint now_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_CAP_BOOK_H_
