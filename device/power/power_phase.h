// A stretch of constant power, and a limit on its mean.
//
// Units: Duration in nanoseconds of device time, Power in milliwatts of the whole device.
// Ownership: plain values. Threading: any. Errors: none.
#ifndef SCOVILLE_DEVICE_POWER_POWER_PHASE_H_
#define SCOVILLE_DEVICE_POWER_POWER_PHASE_H_

#include <algorithm>
#include <cstdint>

#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::device {

// A step is a list of these: host gap, forward, and if it lingers, hot. Loading weights is a step
// of one.
struct PowerPhase {
  Duration duration;
  Power power;
};

// The mean power over every window of this length is at or below the cap.
struct PowerLimit {
  Power cap;
  Duration window;
};

inline Duration TotalDuration(absl::Span<const PowerPhase> phases) {
  Duration total;
  for (const PowerPhase& phase : phases) {
    total += phase.duration;
  }
  return total;
}

inline Energy TotalEnergy(absl::Span<const PowerPhase> phases) {
  Energy total;
  for (const PowerPhase& phase : phases) {
    total += phase.power * phase.duration;
  }
  return total;
}

// Rounded down; over less than a nanosecond, as over one.
inline Power MeanPower(Energy energy, Duration duration) {
  return Power(
      static_cast<int64_t>(energy.total_picojoules() / std::max<int64_t>(1, duration.value())));
}

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_POWER_PHASE_H_
