#include "scheduler/power/water_filling.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

struct Segment {
  uint32_t device;
  Power length;
  __int128 gain;  // weight x tokens/s over the whole length
};

// Higher gain per watt first, compared without division; within a device slopes fall, so its
// segments keep their order.
bool Before(const Segment& a, const Segment& b) {
  const __int128 left = a.gain * b.length.value();
  const __int128 right = b.gain * a.length.value();
  return left != right ? left > right : a.device < b.device;
}

absl::Status CheckDemands(absl::Span<const WattDemand> demands) {
  for (size_t i = 0; i < demands.size(); ++i) {
    const WattDemand& d = demands[i];
    if (d.min < Power() || d.min > d.max || d.max > ThroughputCurve::kMaxPower) {
      return absl::InvalidArgumentError(
          absl::StrCat("device ", i, " takes caps from ", PowerText(d.min), " to ",
                       PowerText(d.max), ": the bounds must be 0 or more, in this order, at most ",
                       PowerText(ThroughputCurve::kMaxPower)));
    }
    if (d.weight < 0 || d.weight > kMaxWeight) {
      return absl::InvalidArgumentError(
          absl::StrCat("device ", i, " has weight ", d.weight, ", must be 0 to ", kMaxWeight));
    }
  }
  return absl::OkStatus();
}

std::vector<Segment> SegmentsOf(absl::Span<const WattDemand> demands) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < demands.size(); ++i) {
    const ThroughputCurve curve = demands[i].curve->Within(demands[i].min, demands[i].max);
    const std::vector<CurvePoint>& hull = curve.hull();
    for (size_t k = 1; k < hull.size(); ++k) {
      const int64_t rise = hull[k].millitokens_per_second - hull[k - 1].millitokens_per_second;
      segments.push_back({static_cast<uint32_t>(i), hull[k].power - hull[k - 1].power,
                          static_cast<__int128>(demands[i].weight) * rise});
    }
  }
  std::stable_sort(segments.begin(), segments.end(), Before);
  return segments;
}

std::vector<Power> RoomOf(const BudgetTree& tree, absl::Span<const Power> limits,
                          absl::Span<const Power> caps) {
  std::vector<Power> room = tree.SumsOf(caps);
  for (size_t i = 0; i < room.size(); ++i) {
    room[i] = limits[i] - room[i];
  }
  return room;
}

bool Fits(const BudgetTree& tree, absl::Span<const Power> limits, absl::Span<const Power> caps) {
  const std::vector<Power> room = RoomOf(tree, limits, caps);
  return std::all_of(room.begin(), room.end(), [](Power p) { return p >= Power(); });
}

// The level-th cap of each device that is not held yet.
void SetLevel(Power level, absl::Span<const Power> lower, absl::Span<const Power> upper,
              const std::vector<bool>& held, std::vector<Power>* caps) {
  for (size_t i = 0; i < lower.size(); ++i) {
    if (!held[i]) {
      (*caps)[i] = std::clamp(level, lower[i], upper[i]);
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<Power>> WaterFill(const BudgetTree& tree, absl::Span<const Power> limits,
                                             absl::Span<const WattDemand> demands) {
  CHECK_EQ(demands.size(), static_cast<size_t>(tree.devices()));
  RETURN_IF_ERROR(CheckDemands(demands));
  std::vector<Power> caps;
  for (const WattDemand& demand : demands) {
    caps.push_back(demand.min);
  }
  RETURN_IF_ERROR(tree.CheckFloor(limits, caps));
  std::vector<Power> room = RoomOf(tree, limits, caps);
  for (const Segment& segment : SegmentsOf(demands)) {
    if (segment.gain == 0) {
      break;  // sorted: nothing after it is worth a watt
    }
    Power take = segment.length;
    for (int at = tree.HomeOf(segment.device); at >= 0; at = tree.nodes()[at].parent) {
      take = std::min(take, room[at]);
    }
    if (take == Power()) {
      continue;
    }
    caps[segment.device] += take;
    for (int at = tree.HomeOf(segment.device); at >= 0; at = tree.nodes()[at].parent) {
      room[at] -= take;
    }
  }
  return caps;
}

std::vector<Power> RaiseEqually(const BudgetTree& tree, absl::Span<const Power> limits,
                                absl::Span<const Power> lower, absl::Span<const Power> upper) {
  CHECK(Fits(tree, limits, lower));
  std::vector<Power> caps(lower.begin(), lower.end());
  std::vector<bool> held(caps.size(), false);
  const auto fits = [&](Power level) {
    SetLevel(level, lower, upper, held, &caps);
    return Fits(tree, limits, caps);
  };
  const Power top = caps.empty() ? Power() : *std::max_element(upper.begin(), upper.end());
  Power level;
  // Each turn fills at least one more node, so there are at most as many turns as nodes.
  while (!fits(top)) {
    Power low = level;  // fits
    Power high = top;   // does not
    while (high - low > Power(1)) {
      const Power middle = low + (high - low) / 2;
      (fits(middle) ? low : high) = middle;
    }
    level = low;
    // What one more milliwatt each would overfill is full; the last few milliwatts stay unspent.
    SetLevel(level + Power(1), lower, upper, held, &caps);
    const std::vector<Power> sums = tree.SumsOf(caps);
    SetLevel(level, lower, upper, held, &caps);
    for (size_t i = 0; i < sums.size(); ++i) {
      if (sums[i] > limits[i]) {
        for (const uint32_t device : tree.nodes()[i].devices) {
          held[device] = true;
        }
      }
    }
  }
  return caps;
}

std::vector<Power> DivideWatts(const BudgetTree& tree, absl::Span<const Power> limits,
                               absl::Span<const WattDemand> demands) {
  std::vector<Power> lower;
  std::vector<Power> upper;
  for (const WattDemand& demand : demands) {
    lower.push_back(demand.min);
    upper.push_back(demand.max);
  }
  if (!Fits(tree, limits, lower)) {
    return lower;
  }
  const absl::StatusOr<std::vector<Power>> caps = WaterFill(tree, limits, demands);
  CHECK(caps.ok());
  return RaiseEqually(tree, limits, *caps, upper);
}

absl::StatusOr<std::vector<Power>> UniformCaps(const BudgetTree& tree,
                                               absl::Span<const Power> limits,
                                               absl::Span<const WattDemand> demands) {
  RETURN_IF_ERROR(CheckDemands(demands));
  std::vector<Power> lower;
  std::vector<Power> upper;
  for (const WattDemand& demand : demands) {
    lower.push_back(demand.min);
    upper.push_back(demand.max);
  }
  RETURN_IF_ERROR(tree.CheckFloor(limits, lower));
  return RaiseEqually(tree, limits, lower, upper);
}

__int128 WeightedRate(absl::Span<const WattDemand> demands, absl::Span<const Power> caps) {
  __int128 sum = 0;
  for (size_t i = 0; i < demands.size(); ++i) {
    const ThroughputCurve curve = demands[i].curve->Within(demands[i].min, demands[i].max);
    sum += static_cast<__int128>(demands[i].weight) * curve.RateAt(caps[i]);
  }
  return sum;
}

}  // namespace scoville::scheduler
