// A stretch of constant power, and a limit on its mean.
//
// Units: Duration in nanoseconds of device time, Power in milliwatts of the whole device.
// Ownership: plain values. Threading: any. Errors: none.
#ifndef SCOVILLE_DEVICE_POWER_POWER_PHASE_H_
#define SCOVILLE_DEVICE_POWER_POWER_PHASE_H_

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

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_POWER_PHASE_H_
