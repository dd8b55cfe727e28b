#include "device/power/thermal_model.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "device/power/deterministic_math.h"

namespace scoville::device {

absl::Status ThermalLimits::Validate() const {
  const bool positive = junction_resistance > 0 && sink_resistance > 0 && junction_seconds > 0 &&
                        sink_seconds > 0 && throttle_period > Duration();
  if (!positive) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "thermal resistances (%g, %g K/W), times (%g, %g s) and the throttle period (%d ns) must "
        "be above zero",
        junction_resistance, sink_resistance, junction_seconds, sink_seconds,
        throttle_period.value()));
  }
  const bool ordered = inlet_celsius < release_celsius && release_celsius <= throttle_celsius &&
                       throttle_celsius < trip_celsius;
  if (!ordered) {
    return absl::InvalidArgumentError(
        absl::StrFormat("temperatures must rise from inlet (%g C) over release (%g C) and throttle "
                        "(%g C) to trip (%g C)",
                        inlet_celsius, release_celsius, throttle_celsius, trip_celsius));
  }
  return absl::OkStatus();
}

ThermalModel::ThermalModel(const ThermalLimits& limits, int64_t chips, int top_state,
                           TimePoint start, Power power)
    : limits_(limits),
      chips_(chips),
      top_state_(top_state),
      start_(start),
      last_change_(start),
      power_(power) {
  CHECK(limits.Validate().ok());
  CHECK_GE(chips, 1);
  CHECK_GE(top_state, 0);
  const double sink_capacity = limits.sink_seconds / limits.sink_resistance;
  a_ = 1.0 / limits.junction_seconds;
  b_ = 1.0 / (limits.junction_resistance * sink_capacity);
  c_ = 1.0 / limits.sink_seconds;
  const double half_trace = -0.5 * (a_ + b_ + c_);
  const double determinant = a_ * c_;
  // Above zero: ((a - b - c) / 2)^2 + a b.
  const double root = std::sqrt(half_trace * half_trace - determinant);
  fast_ = half_trace - root;
  slow_ = determinant / fast_;  // instead of half_trace + root, which cancels
  state_ = Equilibrium();
}

Temperatures ThermalModel::Equilibrium() const {
  const double watts = ToWatts(power_) / static_cast<double>(chips_);
  Temperatures t;
  t.sink = limits_.inlet_celsius + watts * limits_.sink_resistance;
  t.junction = t.sink + watts * limits_.junction_resistance;
  return t;
}

// x(t) = e^(At) x(0) for the distance x to the equilibrium, with
// e^(At) = (e^(fast t) (A - slow) - e^(slow t) (A - fast)) / (fast - slow).
Temperatures ThermalModel::After(Duration elapsed) const {
  if (elapsed == Duration()) {
    return state_;
  }
  const double seconds = ToSeconds(elapsed);
  const double exp_fast = DeterministicExp(fast_ * seconds);
  const double exp_slow = DeterministicExp(slow_ * seconds);
  const Temperatures target = Equilibrium();
  const double xj = state_.junction - target.junction;
  const double xs = state_.sink - target.sink;
  const double rate_j = a_ * (xs - xj);
  const double rate_s = b_ * (xj - xs) - c_ * xs;
  const double scale = 1.0 / (fast_ - slow_);
  const auto blend = [&](double rate, double x) {
    return (exp_fast * (rate - slow_ * x) - exp_slow * (rate - fast_ * x)) * scale;
  };
  Temperatures t;
  t.junction = target.junction + blend(rate_j, xj);
  t.sink = target.sink + blend(rate_s, xs);
  return t;
}

Temperatures ThermalModel::At(TimePoint at) const {
  CHECK_GE(at, last_change_);
  return After(at - last_change_);
}

int ThermalModel::LevelsDown(TimePoint at) const {
  const int64_t period = limits_.throttle_period.value();
  const double equilibrium = Equilibrium().junction;
  int levels = levels_down_;
  Temperatures t = state_;
  int64_t look = (last_change_ - start_).value() / period + 1;
  while (true) {
    // The distances to the equilibrium never pass the largest they have been, so a chip that is
    // cool by that measure stays cool.
    const double rest = std::max({0.0, t.junction - equilibrium, t.sink - Equilibrium().sink});
    if (levels == 0 && equilibrium + rest < limits_.throttle_celsius) {
      return 0;
    }
    const TimePoint when = start_ + Duration(look * period);
    if (when > at) {
      return levels;
    }
    t = At(when);
    if (t.junction >= limits_.throttle_celsius) {
      levels = std::min(levels + 1, top_state_);
    } else if (t.junction < limits_.release_celsius) {
      levels = std::max(levels - 1, 0);
    }
    ++look;
  }
}

int ThermalModel::Ceiling(TimePoint at) const { return top_state_ - LevelsDown(at); }

void ThermalModel::SetPower(TimePoint now, Power power) {
  CHECK_GE(now, last_change_);
  CHECK_GE(power, Power());
  if (power == power_) {
    return;
  }
  levels_down_ = LevelsDown(now);
  state_ = At(now);
  last_change_ = now;
  power_ = power;
}

double ThermalModel::JunctionSlope(const Temperatures& at) const {
  const Temperatures target = Equilibrium();
  return a_ * ((at.sink - target.sink) - (at.junction - target.junction));
}

bool ThermalModel::Tripped(Duration elapsed) const {
  return After(elapsed).junction >= limits_.trip_celsius;
}

std::optional<TimePoint> ThermalModel::TripTime(TimePoint until) const {
  CHECK_GE(until, last_change_);
  if (Tripped(Duration())) {
    return last_change_;
  }
  const Temperatures target = Equilibrium();
  const double rest = std::max({0.0, state_.junction - target.junction, state_.sink - target.sink});
  if (target.junction + rest < limits_.trip_celsius) {
    return std::nullopt;
  }
  // The slope of a sum of two exponentials changes its sign once at most: the peak is the end, or
  // where a rise turns into a fall.
  Duration peak = until - last_change_;
  if (JunctionSlope(state_) > 0 && JunctionSlope(After(peak)) < 0) {
    Duration rising;
    while (peak - rising > Duration(1)) {
      const Duration middle = rising + (peak - rising) / 2;
      (JunctionSlope(After(middle)) > 0 ? rising : peak) = middle;
    }
  }
  if (!Tripped(peak)) {
    return std::nullopt;
  }
  Duration below;
  while (peak - below > Duration(1)) {
    const Duration middle = below + (peak - below) / 2;
    (Tripped(middle) ? peak : below) = middle;
  }
  return last_change_ + peak;
}

}  // namespace scoville::device
