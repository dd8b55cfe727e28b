// The studies that the tests of sim/power share.
#ifndef SCOVILLE_TESTS_UNIT_SIM_POWER_STUDY_FIXTURE_H_
#define SCOVILLE_TESTS_UNIT_SIM_POWER_STUDY_FIXTURE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "device/physics/profile.h"
#include "sim/power/deployment.h"
#include "sim/power/power_report.h"
#include "sim/power/profile_samples.h"

namespace scoville::sim::power {

// Llama-3.1-70B in 8 bits throughout.
inline DeploymentOptions EightBits(int64_t chips) {
  DeploymentOptions options;
  options.chips = chips;
  options.weights = options.activations = options.kv = "fp8";
  return options;
}

inline Study MakeTestStudy(const std::string& profile_name = "jalapeno-gen1", int64_t chips = 8,
                           int64_t samples = 0) {
  const DeploymentOptions options = EightBits(chips);
  const auto profile = device::FindProfile(profile_name);
  CHECK(profile.ok());
  const auto card = MakeCard("llama-3.1-70b", options);
  CHECK(card.ok());
  Study study;
  auto deployment = MakeDeployment(*profile, *card, options, study.load);
  CHECK(deployment.ok());
  study.deployment = *std::move(deployment);
  const auto drawn = SampleProfiles(*profile, samples, study.seed);
  CHECK(drawn.ok());
  for (const device::Profile& sample : *drawn) {
    auto other = MakeDeployment(sample, *card, options, study.load);
    CHECK(other.ok());
    study.samples.push_back(*std::move(other));
  }
  return study;
}

}  // namespace scoville::sim::power

#endif  // SCOVILLE_TESTS_UNIT_SIM_POWER_STUDY_FIXTURE_H_
