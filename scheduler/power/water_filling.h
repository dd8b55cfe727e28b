// Divides nested budgets of watts over devices so that the weighted sum of tokens/s is greatest.
//
//   maximise sum of weight_i x rate_i(cap_i)
//   subject to min_i <= cap_i <= max_i, and for each node: sum of the caps below it <= its limit
//
// Every device starts at its least cap; then the segments of the devices' concave hulls are handed
// out by weight x slope (marginal tokens per joule), highest first, ties by device id. A segment
// whose device has a full ancestor is passed over; one that finds less room than it is long is cut.
// Limits that are nested form a laminar family, whose feasible points are a polymatroid, over which
// the greedy choice is optimal for separable concave gains (Federgruen and Groenevelt, Operations
// Research 34(6), 1986); all lengths being whole milliwatts, so is the answer.
//
// Units: milliwatts, thousandths of tokens per second. Ownership: pure functions. Threading: any.
// Errors: FailedPrecondition where even the least caps do not fit, with the sum;
// InvalidArgument for a bound below zero or crossed, and for a weight out of range.
#ifndef SCOVILLE_SCHEDULER_POWER_WATER_FILLING_H_
#define SCOVILLE_SCHEDULER_POWER_WATER_FILLING_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "scheduler/power/budget_tree.h"
#include "scheduler/power/throughput_curve.h"

namespace scoville::scheduler {

// What one device may get; in the order of ids, 0 first.
struct WattDemand {
  const ThroughputCurve* curve = nullptr;  // borrowed for the call
  int64_t weight = 1;                      // 0 .. kMaxWeight; of each token
  Power min;
  Power max;
};

inline constexpr int64_t kMaxWeight = 1'000'000;

// What is left when every segment is handed out stays unspent.
absl::StatusOr<std::vector<Power>> WaterFill(const BudgetTree& tree, absl::Span<const Power> limits,
                                             absl::Span<const WattDemand> demands);

// Raises caps from `lower` towards `upper`, lowest first, as far as the limits allow: all end at
// one level, but for those that a full node holds back (max-min fair). Precondition: `lower` fits.
std::vector<Power> RaiseEqually(const BudgetTree& tree, absl::Span<const Power> limits,
                                absl::Span<const Power> lower, absl::Span<const Power> upper);

// Water filling, then what nobody can use raised evenly; the least caps if not even those fit.
std::vector<Power> DivideWatts(const BudgetTree& tree, absl::Span<const Power> limits,
                               absl::Span<const WattDemand> demands);

// The baseline: the same cap for all, whatever it is worth there.
absl::StatusOr<std::vector<Power>> UniformCaps(const BudgetTree& tree,
                                               absl::Span<const Power> limits,
                                               absl::Span<const WattDemand> demands);

// Sum of weight x rate, for comparisons.
__int128 WeightedRate(absl::Span<const WattDemand> demands, absl::Span<const Power> caps);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_WATER_FILLING_H_
