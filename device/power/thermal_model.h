// How warm a chip is, which clock states its temperature leaves, and when it trips.
//
// Two nodes, junction and sink, in series to the inlet:
//   T_j' = (P - (T_j - T_s) / R_1) / C_1
//   T_s' = ((T_j - T_s) / R_1 - (T_s - T_in) / R_2) / C_2,     C_i = tau_i / R_i
// solved exactly for constant power (the matrix has two real negative eigenvalues), so a phase may
// last a microsecond or a day. The throttle looks every 10 ms: at or above its limit one state
// down, below the release one state up, between them it holds.
//
// All chips of a device carry the same power. The state is kept at the last change of power, and
// readings start there: how often it is read changes nothing.
//
// Units: degrees Celsius, kelvin per watt, seconds as doubles; Power of the whole device.
// Ownership: a value. Threading: engine thread only. Errors: CHECK for limits that make no sense
// (Validate says so with words) and for time running backwards.
#ifndef SCOVILLE_DEVICE_POWER_THERMAL_MODEL_H_
#define SCOVILLE_DEVICE_POWER_THERMAL_MODEL_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "base/units.h"

namespace scoville::device {

// Of one chip. The defaults are assumptions for a liquid-cooled part: 84 degrees C at 700 W.
struct ThermalLimits {
  double junction_resistance = 0.03;  // R_1, K/W
  double sink_resistance = 0.04;      // R_2, K/W
  double junction_seconds = 0.3;      // tau_1
  double sink_seconds = 20.0;         // tau_2
  double inlet_celsius = 35.0;
  double throttle_celsius = 95.0;
  double release_celsius = 90.0;
  double trip_celsius = 105.0;
  Duration throttle_period = Milliseconds(10);

  // InvalidArgument unless resistances, times and the period are above zero and
  // inlet < release <= throttle < trip.
  absl::Status Validate() const;
};

struct Temperatures {
  double junction = 0;
  double sink = 0;
};

class ThermalModel {
 public:
  // In equilibrium with `power` at `start`. Clock states are 0 .. top_state.
  ThermalModel(const ThermalLimits& limits, int64_t chips, int top_state, TimePoint start,
               Power power);

  // From `now` on the device draws `power`. Without effect if it already does.
  void SetPower(TimePoint now, Power power);

  // At `at`, not before the last change of power, if the power stays as it is.
  Temperatures At(TimePoint at) const;
  // The highest clock state the throttle admits at `at`.
  int Ceiling(TimePoint at) const;
  // The first instant in (last change, until] with the junction at or above the trip temperature,
  // if the power stays as it is. The last change itself if it is there already.
  std::optional<TimePoint> TripTime(TimePoint until) const;

  const ThermalLimits& limits() const { return limits_; }

 private:
  Temperatures Equilibrium() const;
  Temperatures After(Duration elapsed) const;
  double JunctionSlope(const Temperatures& at) const;
  bool Tripped(Duration elapsed) const;
  int LevelsDown(TimePoint at) const;

  ThermalLimits limits_;
  int64_t chips_;
  int top_state_;
  // The matrix [-a a; b -b-c] in 1/s and its eigenvalues, slow and fast.
  double a_;
  double b_;
  double c_;
  double slow_;
  double fast_;

  TimePoint start_;        // the throttle looks at start + k x period
  TimePoint last_change_;  // the state below stands here
  Power power_;
  Temperatures state_;
  int levels_down_ = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_THERMAL_MODEL_H_
