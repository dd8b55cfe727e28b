// A model on chips of a profile, as the power sweeps look at it: one device in a steady state, its
// steps priced and metered by the daemon's own physics.
//
// Units: SI doubles, watts and joules of the whole device unless a name says chip. The junction
// stands at 60 degrees C. Ownership: values. Threading: pure. Errors: unknown names, what the model
// and the profile refuse, and a model that does not fit, with the arithmetic.
#ifndef SCOVILLE_SIM_POWER_DEPLOYMENT_H_
#define SCOVILLE_SIM_POWER_DEPLOYMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "device/physics/model_timing.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "model/card/model_card.h"

namespace scoville::sim::power {

struct DeploymentOptions {
  int64_t chips = 0;  // 0: the least power of two that holds weights and KV
  bool expert_parallel = false;
  bool data_parallel_attention = false;
  // Empty: as the card says.
  std::string weights;
  std::string activations;
  std::string kv;
};

// What a step holds: `batch` sequences that each decode one token over `context` cached ones, and
// of each of `prompts` prompts `prefill` tokens over `prefill_cached` ones.
struct Load {
  int64_t batch = 64;
  int64_t context = 2048;
  int64_t prefill = 0;
  int64_t prefill_cached = 0;
  int64_t prompts = 1;

  int64_t prefill_tokens() const { return prompts * prefill; }
  int64_t tokens() const { return batch + prefill_tokens(); }
};

struct Deployment {
  device::Profile profile;
  model::ModelCard card;
  device::ModelTiming timing;
  device::MemoryPlan memory;

  int64_t chips() const { return timing.chips; }
  // Sequences of `context` tokens that fit beside the weights.
  int64_t MostSequences(int64_t context) const;
};

// The card with the precisions of `options`.
absl::StatusOr<model::ModelCard> MakeCard(const std::string& model,
                                          const DeploymentOptions& options);

// Refuses a group that cannot hold `load`.
absl::StatusOr<Deployment> MakeDeployment(const device::Profile& profile,
                                          const model::ModelCard& card,
                                          const DeploymentOptions& options, const Load& load);

device::StepShape ShapeOf(const Deployment& deployment, const Load& load);

// One step at one clock, and what follows from repeating it.
struct OperatingPoint {
  int state = 0;
  double clock_ghz = 0;
  device::StepPrice price;
  device::ForwardPower parts;  // of the forward phase
  Power gap_power;
  Power forward_power;
  double step_s = 0;
  double joules = 0;  // of the step
  int64_t output_tokens = 0;
  int64_t total_tokens = 0;
  int64_t chips = 1;

  double watts() const { return joules / step_s; }
  double watts_per_chip() const { return watts() / static_cast<double>(chips); }
  double output_per_s() const { return static_cast<double>(output_tokens) / step_s; }
  double total_per_s() const { return static_cast<double>(total_tokens) / step_s; }
  double joules_per_output() const { return joules / static_cast<double>(output_tokens); }
};

OperatingPoint At(const Deployment& deployment, const Load& load, int state);
// At every clock, slowest first.
std::vector<OperatingPoint> AtAllClocks(const Deployment& deployment, const Load& load);

// At the highest clock whose power stays within the chips' TDP, which is the cap when nobody sets
// another; at the lowest if none does.
OperatingPoint AtTdp(const Deployment& deployment, const Load& load);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_DEPLOYMENT_H_
