// Chips side by side on the same traffic.
//
// Steady: every step holds `batch` sequences that decode and as many prompt tokens as keep them
// coming, batch x prompt / output, at the highest clock
// within the TDP. Scenario: the simulator itself, on the
// same requests with the same seed. Token bases (output; total: input and output) and power bases
// are named: device, the chips' energy; tdp, their nameplate; wall, device and the profile's
// constant power of host, network and rack; provisioned, TDP and the same.
//
// Ownership: values. Threading: one thread. Errors: InvalidArgument for traffic that makes no
// sense or fits none of the chips; what the simulator refuses.
#ifndef SCOVILLE_SIM_POWER_COMPARE_H_
#define SCOVILLE_SIM_POWER_COMPARE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "device/physics/profile.h"
#include "sim/power/power_report.h"

namespace scoville::sim::power {

// Colours of the bars.
inline constexpr int kMoreIsBetter = 0;
inline constexpr int kLessIsBetter = 4;
inline constexpr int kNeither = -1;
inline constexpr const char* kColourKey = "Blue: more is better, orange: less.";

struct Traffic {
  int64_t prompt = 2048;
  int64_t output = 256;
  int64_t batch = 64;  // sequences that decode; with `itl_s`: the most that are tried
  double itl_s = 0;    // above 0: the largest batch whose step takes no longer
};

struct CompareOptions {
  std::vector<device::Profile> profiles;
  model::ModelCard card;
  DeploymentOptions deployment;
  Traffic traffic;
  int64_t samples = 0;
  uint64_t seed = 1;
};

// The load of a steady step.
Load LoadOf(const Traffic& traffic, int64_t batch);

absl::StatusOr<PowerReport> Compare(const CompareOptions& options);

absl::StatusOr<PowerReport> CompareScenario(const std::string& scenario_path,
                                            const std::vector<std::string>& profiles);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_COMPARE_H_
