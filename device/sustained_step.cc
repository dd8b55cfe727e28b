// Guesses of DevicePower for routing, planning and budgets: steps of one shape that follow one
// another.
#include <algorithm>

#include "device/device_power.h"

namespace scoville::device {

DevicePower::OperatingPoint DevicePower::PointAt(int state, const StepShape& shape) const {
  const StepPrice price = pricer_->Price(shape, StepClock{state, state, false});
  const Energy energy = model_.StepEnergy(price, state);
  return {MeanPower(energy, price.duration), price.duration, energy};
}

Duration DevicePower::SustainedStep(const StepShape& shape) const {
  const OperatingPoint top = PointAt(top_, shape);
  if (top.power <= cap_) {
    return top.duration;
  }
  // Too much for the cap: the best of three clocks, spaced out, is near enough to the best of all.
  Duration best = PaceOf(top.energy, top.duration);
  for (const int state : {top_ / 2, 0}) {
    const OperatingPoint point = PointAt(state, shape);
    best = std::min(best, PaceOf(point.energy, point.duration));
  }
  return best;
}

Duration DevicePower::wake_time() const {
  return Nanoseconds(static_cast<int64_t>(pricer_->profile().parked_exit.value * 1e9));
}

std::vector<DevicePower::OperatingPoint> DevicePower::OperatingPoints(
    const StepShape& shape) const {
  std::vector<OperatingPoint> points;
  for (int state = 0; state <= top_; ++state) {
    points.push_back(PointAt(state, shape));
  }
  return points;
}

}  // namespace scoville::device
