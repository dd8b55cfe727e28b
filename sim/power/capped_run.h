// What one load does under one cap: the governor's own decisions, step after step, until they are
// steady.
//
// paced: the one clock that gives the most tokens per second if the device waits after each step
// until the mean power is at the cap; no window is watched, it is what the others are held against.
// static: the highest clock whose worst possible step is below the cap. perf and eff: the
// predictive governor with the operator's cap over its window and the package's short limit, idle
// at warm between steps; eff without a latency target. Where the step the mode wants never comes
// near the caps, the answer is that step and nothing is run.
//
// Units: SI; the cap is of the whole device. Ownership: values. Threading: one thread. Errors:
// none; a cap below what the governor accepts gives a point that does not run.
#ifndef SCOVILLE_SIM_POWER_CAPPED_RUN_H_
#define SCOVILLE_SIM_POWER_CAPPED_RUN_H_

#include <cstdint>
#include <vector>

#include "base/units.h"
#include "device/physics/power_model.h"
#include "sim/power/deployment.h"

namespace scoville::sim::power {

enum class CapRule : uint8_t { kPerf, kEff, kPaced, kStatic };

const char* CapRuleName(CapRule rule);

struct CappedPoint {
  bool runs = false;
  double clock_ghz = 0;  // mean over the busy time
  double step_s = 0;     // mean, without the gap before it
  double gap_s = 0;      // mean wait for the cap, per step
  double watts = 0;      // mean over everything
  double output_per_s = 0;
  double joules_per_output = 0;
};

CappedPoint RunCapped(const Deployment& deployment, const std::vector<OperatingPoint>& points,
                      CapRule rule, Power cap, Duration window);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_CAPPED_RUN_H_
