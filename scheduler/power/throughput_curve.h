// Tokens per second over watts of one device, as the upper concave hull of what its clock states
// give.
//
// Why the hull: a device that alternates between two states within the window of its cap draws the
// mean of their powers and yields the mean of their rates, so every point of the straight line
// between two states can be had, and what lies below that line need never be chosen. On the hull
// the slope of a segment, tokens/s per watt, is the marginal tokens per joule; it falls from left
// to right, which is what makes handing out watts greedily optimal. A device that can idle between
// steps adds the point (idle power, 0).
//
// Units: power in milliwatts; rates in thousandths of a token per second, int64. Ownership: a plain
// value. Threading: any. Errors: Create refuses no points, negative numbers, and numbers beyond
// kMaxPower and kMaxRate (products of two of each and a weight must fit 128 bits).
#ifndef SCOVILLE_SCHEDULER_POWER_THROUGHPUT_CURVE_H_
#define SCOVILLE_SCHEDULER_POWER_THROUGHPUT_CURVE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::scheduler {

struct CurvePoint {
  Power power;
  int64_t millitokens_per_second = 0;

  friend bool operator==(const CurvePoint&, const CurvePoint&) = default;
};

class ThroughputCurve {
 public:
  static constexpr Power kMaxPower = Watts(1'000'000'000);
  static constexpr int64_t kMaxRate = 1'000'000'000'000'000;

  // Points in any order, a point per clock state; what a state gives above its neighbours is kept,
  // the rest falls under the hull.
  static absl::StatusOr<ThroughputCurve> Create(absl::Span<const CurvePoint> points);

  // Yields nothing at any power: a device of which nothing is known.
  ThroughputCurve() : hull_({CurvePoint{}}) {}

  // Corners of the hull: power and rate strictly rise, slopes strictly fall. At least one.
  const std::vector<CurvePoint>& hull() const { return hull_; }
  Power first_power() const { return hull_.front().power; }
  // Watts above this one yield nothing more.
  Power last_power() const { return hull_.back().power; }

  // On the hull, rounded down; zero below the first corner, the last corner's above it.
  int64_t RateAt(Power power) const;

  // The corner of most tokens per joule (the least power among equals).
  CurvePoint MostEfficient() const;

  // The hull over low <= power <= high: its corners are `low`, the corners between, and the lesser
  // of `high` and last_power(). Below the first corner the device idles between steps, so (low, 0)
  // is a corner then. Precondition: 0 <= low <= high.
  ThroughputCurve Within(Power low, Power high) const;

 private:
  explicit ThroughputCurve(std::vector<CurvePoint> hull) : hull_(std::move(hull)) {}

  std::vector<CurvePoint> hull_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_THROUGHPUT_CURVE_H_
