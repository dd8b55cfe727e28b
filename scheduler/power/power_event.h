// "So many watts by then": what an operator asks of the fleet, and the whole answer before anything
// happens.
//
// Plan() is a pure function of the request, the limits and the views. A dry run gives its answer
// and stops; the real call gives the same answer and carries it out.
//
// A ramp (W/s) becomes a staircase that falls below the ramp's line. The line starts once a cap
// sent now certainly holds (the longest cap delay of the devices that change, `lead`), each stair
// is sent `lead` ahead, so no stair is ever late:
//
//   line(t)  = before - ramp x (t - lead)
//   stair k  = max(end, before - ramp x (k + 1) x width)   over  lead + k x width <= t
//
// Wall watts become device watts by device = wall / PUE - overhead; the reserve is then taken off.
//
// Units: milliwatts, nanoseconds from the call. Ownership: plain values, pure functions. Threading:
// any. Errors: InvalidArgument for numbers that mean nothing; NotFound for an unknown node;
// FailedPrecondition, with the sum, for watts that the ladder's foot cannot reach, unless the
// request is best_effort. A deadline that cannot be met is an answer, not an error.
#ifndef SCOVILLE_SCHEDULER_POWER_POWER_EVENT_H_
#define SCOVILLE_SCHEDULER_POWER_POWER_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "scheduler/power/budget_tree.h"
#include "scheduler/power/degradation_ladder.h"
#include "scheduler/power/device_power_view.h"

namespace scoville::scheduler {

enum class PowerBasis : uint8_t { kDevice, kWall };

struct PowerRequest {
  std::string node;  // of the budget tree; empty: the root
  Power watts;
  PowerBasis basis = PowerBasis::kDevice;
  std::optional<Duration> by;  // from now; none: whenever
  Power ramp_per_second;       // zero: at once
  bool best_effort = false;
};

// From `at` on the sum of caps is at or below `limit`.
struct PowerStair {
  Duration at;
  Power limit;
};

struct DevicePowerChange {
  uint32_t device = 0;
  DeviceFate fate = DeviceFate::kRun;
  Power before;
  Power after;
};

struct PowerAnswer {
  std::string node;
  Power device_budget;  // the request in device watts
  Power usable;         // less the reserve: what caps may sum to
  Power before;         // counted below the node, now
  Power after;          // sum of caps in the end
  bool reachable = false;
  bool in_time = false;      // reachable, and by the deadline
  bool would_apply = false;  // in time, or best_effort
  Rung rung = Rung::kNone;   // the lowest used
  std::vector<RungReport> rungs;
  std::vector<DevicePowerChange> devices;  // all, by id
  std::vector<PowerStair> stairs;          // at least one
  Duration arrival;                        // when the end holds; kUnknownTime if nobody knows
  Power lowest_by_deadline;  // reachable by then along this plan (without a deadline: in the end)
  Power lowest;              // at the foot of the ladder
  int64_t millitokens_per_second_before = 0;
  int64_t millitokens_per_second_after = 0;
  // Latency of a token after / before, in thousandths; 0 where there is no figure (nothing runs).
  int64_t latency_factor_milli = 0;
  std::string summary;  // one sentence

  // For who carries it out.
  int node_index = 0;
  LadderPlan plan;
  Duration lead;
  Duration stair_width;
};

struct PowerEventInput {
  const BudgetTree* tree = nullptr;
  absl::Span<const Power> limits;  // usable, per node, as they are
  absl::Span<const DevicePowerView> views;
  const FleetPowerPolicy* policy = nullptr;
};

absl::StatusOr<PowerAnswer> PlanPowerEvent(const PowerEventInput& input,
                                           const PowerRequest& request);

absl::Status CheckPolicy(const FleetPowerPolicy& policy);

// Device watts of wall watts below a node with so many devices; may be zero or less.
Power DeviceWatts(Power watts, PowerBasis basis, size_t devices, const FleetPowerPolicy& policy);
// What caps may sum to.
Power LessReserve(Power budget, const FleetPowerPolicy& policy);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_POWER_EVENT_H_
