#include "scheduler/power/throughput_curve.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

// Whether b lies on or below the line from a to c, all three in rising order of power.
bool OnOrBelow(const CurvePoint& a, const CurvePoint& b, const CurvePoint& c) {
  const __int128 rise_ab = b.millitokens_per_second - a.millitokens_per_second;
  const __int128 rise_ac = c.millitokens_per_second - a.millitokens_per_second;
  const __int128 run_ab = (b.power - a.power).value();
  const __int128 run_ac = (c.power - a.power).value();
  return rise_ab * run_ac <= rise_ac * run_ab;
}

// Andrew's monotone chain, upper half, then cut after the peak: a cap is an upper bound, so a
// device under a higher cap may stay at the peak.
std::vector<CurvePoint> RisingHull(std::vector<CurvePoint> points) {
  std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) {
    return a.power != b.power ? a.power < b.power
                              : a.millitokens_per_second > b.millitokens_per_second;
  });
  std::vector<CurvePoint> hull;
  for (const CurvePoint& point : points) {
    if (!hull.empty() && point.millitokens_per_second <= hull.back().millitokens_per_second) {
      continue;  // more watts, no more tokens
    }
    while (hull.size() >= 2 && OnOrBelow(hull[hull.size() - 2], hull.back(), point)) {
      hull.pop_back();
    }
    hull.push_back(point);
  }
  return hull;
}

}  // namespace

absl::StatusOr<ThroughputCurve> ThroughputCurve::Create(absl::Span<const CurvePoint> points) {
  if (points.empty()) {
    return absl::InvalidArgumentError(
        "a throughput curve has no points: give one (power, tokens/s) per clock state");
  }
  for (size_t i = 0; i < points.size(); ++i) {
    const int64_t milliwatts = points[i].power.value();
    const int64_t rate = points[i].millitokens_per_second;
    if (milliwatts < 0 || points[i].power > kMaxPower || rate < 0 || rate > kMaxRate) {
      return absl::InvalidArgumentError(
          absl::StrCat("point ", i, " of a throughput curve is (", milliwatts, " mW, ", rate,
                       " millitokens/s): both must be 0 or more, at most ", kMaxPower.value(),
                       " mW and ", kMaxRate, " millitokens/s"));
    }
  }
  return ThroughputCurve(RisingHull({points.begin(), points.end()}));
}

int64_t ThroughputCurve::RateAt(Power power) const {
  if (power < hull_.front().power) {
    return 0;
  }
  if (power >= hull_.back().power) {
    return hull_.back().millitokens_per_second;
  }
  const auto next =
      std::upper_bound(hull_.begin(), hull_.end(), power,
                       [](Power value, const CurvePoint& point) { return value < point.power; });
  const CurvePoint& right = *next;
  const CurvePoint& left = *(next - 1);
  const __int128 rise = right.millitokens_per_second - left.millitokens_per_second;
  const int64_t run = (right.power - left.power).value();
  return left.millitokens_per_second +
         static_cast<int64_t>(rise * (power - left.power).value() / run);
}

CurvePoint ThroughputCurve::MostEfficient() const {
  CurvePoint best = hull_.front();
  for (const CurvePoint& point : hull_) {
    const __int128 mine = static_cast<__int128>(point.millitokens_per_second) * best.power.value();
    const __int128 others =
        static_cast<__int128>(best.millitokens_per_second) * point.power.value();
    if (mine > others || best.millitokens_per_second == 0) {
      best = point;  // a corner without tokens has no efficiency, even at no watts
    }
  }
  return best;
}

ThroughputCurve ThroughputCurve::Within(Power low, Power high) const {
  CHECK_LE(0, low.value());
  CHECK_LE(low, high);
  const Power end = std::max(low, std::min(high, last_power()));
  std::vector<CurvePoint> points = {{low, RateAt(low)}};
  for (const CurvePoint& point : hull_) {
    if (point.power > low && point.power < end) {
      points.push_back(point);
    }
  }
  points.push_back({end, RateAt(end)});
  return ThroughputCurve(RisingHull(std::move(points)));
}

}  // namespace scoville::scheduler
