// How a device spends power: its cap, who keeps it, what it aims at, and when it sleeps.
//
// Units: in the types. Ownership: a value. Threading: any. Errors: none here.
#ifndef SCOVILLE_DEVICE_POWER_OPTIONS_H_
#define SCOVILLE_DEVICE_POWER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "device/power/cap_policy.h"

namespace scoville::device {

// Who keeps the cap. predictive: admits a step only if no window can exceed its cap, ever. The
// others are what is in use elsewhere, for comparison: static holds the highest clock whose worst
// step fits; rapl steers by a moving average, pi by a controller, and both overshoot.
enum class GovernorKind : uint8_t { kPredictive, kStatic, kRapl, kPi };

// As files and flags write them, in the order of the values.
inline std::vector<std::string> GovernorNames() { return {"predictive", "static", "rapl", "pi"}; }
inline std::vector<std::string> CapModeNames() { return {"perf", "eff"}; }

struct PowerOptions {
  Power cap{};  // mean over cap_window; zero: the TDP of all chips
  Duration cap_window = Seconds(1);
  GovernorKind governor = GovernorKind::kPredictive;
  CapMode mode = CapMode::kPerf;
  Duration park_after{};    // of idling; zero: stays warm
  bool keep_trace = false;  // every piece of power and every cap, for an audit afterwards
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_OPTIONS_H_
