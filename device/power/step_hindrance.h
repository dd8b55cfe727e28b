// What kept a step from its clock or from beginning: all that a sentence about it needs. The
// sentence is written only when somebody asks, as most steps under a cap are slowed.
//
// Units: device time, milliwatts, degrees Celsius. Ownership: a value. Threading: any. Errors:
// none.
#ifndef SCOVILLE_DEVICE_POWER_STEP_HINDRANCE_H_
#define SCOVILLE_DEVICE_POWER_STEP_HINDRANCE_H_

#include <cstdint>
#include <string>

#include "base/units.h"
#include "device/power/cap_policy.h"

namespace scoville::device {

struct StepHindrance {
  enum class Kind : uint8_t { kNone, kCap, kSpacing, kHot, kTripped, kWouldTrip };
  Kind kind = Kind::kNone;
  TimePoint when;
  CapDecision decision;    // kCap: of candidate 0, which is `chosen`
  StepCandidate chosen;    // its clock alone
  Power cap;               // kSpacing
  double celsius = 0;      // kHot, kTripped
  double works_below = 0;  // kTripped

  std::string Sentence() const;  // empty: nothing did
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_STEP_HINDRANCE_H_
