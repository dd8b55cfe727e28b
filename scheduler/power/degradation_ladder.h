// The published order in which service gives way to a power budget, and how far down a budget
// leads.
//
//   1 clocks      caps down to each device's most efficient state
//   2 tiers       caps further down, the tokens worth least first, while full prefill chunks fit
//   3 prefill     smaller prefill chunks, no new prompts of the batch tier: caps to their least
//   4 park        idle devices sleep
//   5 admission   no new batch work, then no new standard work: devices that run only those sleep
//                 once they have run empty
//   6 drain       further devices take nothing new, run empty and sleep
//   7 preempt     as 5 and 6 where the deadline leaves no time to run empty: what runs is
//                 preempted, and what finds no place again fails with a retriable error
//
// A rung is used only if all above it do not suffice; within a rung only as much as is needed. What
// a rung frees beyond need goes back to the devices that run, by water filling.
//
// Units: milliwatts, thousandths of tokens/s, nanoseconds from now. Ownership: pure functions on
// views. Threading: any. Errors: none; a plan that does not reach the limits says so.
#ifndef SCOVILLE_SCHEDULER_POWER_DEGRADATION_LADDER_H_
#define SCOVILLE_SCHEDULER_POWER_DEGRADATION_LADDER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "scheduler/power/budget_tree.h"
#include "scheduler/power/device_power_view.h"
#include "scheduler/power/water_filling.h"

namespace scoville::scheduler {

enum class Rung : uint8_t {
  kNone,
  kClocks,
  kTiers,
  kPrefill,
  kPark,
  kAdmission,
  kDrain,
  kPreempt,
};

absl::string_view RungName(Rung rung);      // "clocks"
absl::string_view RungMeaning(Rung rung);   // one clause for people
absl::string_view RungWhoIsHit(Rung rung);  // one clause for people

// What becomes of a device.
enum class DeviceFate : uint8_t { kRun, kPark, kDrain, kPreempt, kLost };

struct RungReport {
  Rung rung = Rung::kNone;
  Power freed;                              // of the sum of caps, beyond the rungs above
  int64_t millitokens_per_second_lost = 0;  // likewise; below zero where others gain more
  Duration takes;                           // until the last watt is freed; kUnknownTime possible
  std::vector<uint32_t> devices;            // whose caps fall or that sleep, by id
  std::array<int64_t, kTierCount> sequences{};  // running on those, by tier
};

struct LadderPlan {
  bool fits = false;  // the limits are reached
  Rung rung = Rung::kNone;
  std::vector<RungReport> rungs;  // those used, in order
  std::vector<DeviceFate> fates;  // per device
  std::vector<Power> floors;      // least caps in the end
  std::vector<Power> caps;        // in the end; parked devices at their parked power
  // Least caps until drained devices sleep.
  std::vector<Power> floors_meanwhile;
  // In the order of tiers; the rungs' effects on admission.
  std::array<bool, kTierCount> admission_closed{};
  bool prefill_limited = false;
  Duration drained;  // until the last draining device sleeps; zero if none drains
};

struct LadderInput {
  const BudgetTree* tree = nullptr;
  absl::Span<const Power> limits;  // usable, per node
  absl::Span<const DevicePowerView> views;
  const FleetPowerPolicy* policy = nullptr;
  std::optional<Duration> deadline;  // from now; decides between draining and preempting
};

// As far down as the limits demand and no further.
LadderPlan Descend(const LadderInput& input);

// Everything the ladder can free, rung by rung, whatever the limits; seven reports. `lowest`, if
// asked for, is the sum of caps at its foot, per node.
std::vector<RungReport> WholeLadder(const LadderInput& input, std::vector<Power>* lowest);

// How device `view` enters a division of watts above `floor`; by tier weights if `tiers`.
WattDemand DemandOf(const DevicePowerView& view, const FleetPowerPolicy& policy, Power floor,
                    bool tiers);

// Tokens/s at these caps; an idle, sleeping or lost device yields none. A draining one counts as
// asleep.
int64_t RateOf(absl::Span<const DevicePowerView> views, absl::Span<const DeviceFate> fates,
               absl::Span<const Power> caps);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_DEGRADATION_LADDER_H_
