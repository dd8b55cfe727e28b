#include "sim/power/deployment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/card/model_card_reader.h"

namespace scoville::sim::power {

namespace {

constexpr int64_t kMostAutomaticChips = 1024;

absl::Status SetPrecision(const std::string& name, const char* what, model::Precision* precision) {
  if (name.empty()) {
    return absl::OkStatus();
  }
  std::string known;
  for (const model::Precision p :
       {model::Precision::kBf16, model::Precision::kFp8, model::Precision::kMxfp4,
        model::Precision::kNvfp4, model::Precision::kInt4}) {
    if (name == model::PrecisionName(p)) {
      *precision = p;
      return absl::OkStatus();
    }
    absl::StrAppend(&known, known.empty() ? "" : ", ", model::PrecisionName(p));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", what, ": '", name, "' is no precision, there are ", known));
}

absl::StatusOr<Deployment> OnChips(const device::Profile& profile, const model::ModelCard& card,
                                   const DeploymentOptions& options, int64_t chips) {
  device::Parallelism parallelism;
  parallelism.chips = chips;
  parallelism.expert_parallel = options.expert_parallel;
  parallelism.data_parallel_attention = options.data_parallel_attention;
  Deployment d;
  d.profile = profile;
  d.card = card;
  ASSIGN_OR_RETURN(d.timing, device::MakeModelTiming(profile, card, parallelism));
  d.memory = device::PlanMemory(profile, d.timing);
  return d;
}

int64_t SequencesOf(const Load& load) { return load.batch + (load.prefill > 0 ? load.prompts : 0); }

bool Fits(const Deployment& d, const Load& load) {
  return d.memory.kv_blocks > 0 &&
         SequencesOf(load) <=
             d.MostSequences(std::max(load.context, load.prefill + load.prefill_cached));
}

absl::Status DoesNotFit(const Deployment& d, const Load& load) {
  if (d.memory.kv_blocks <= 0) {
    return absl::InvalidArgumentError(device::DescribeMemory(d.memory, d.timing));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      d.card.name, " on ", d.chips(), " x ", d.profile.name, " holds ", d.memory.kv_blocks,
      " KV blocks of ", d.timing.rules.block_tokens, " tokens, so ", d.MostSequences(load.context),
      " sequences of ", load.context, " tokens and not ", SequencesOf(load),
      ": more chips, a smaller batch or a shorter context"));
}

}  // namespace

int64_t Deployment::MostSequences(int64_t context) const {
  const int64_t blocks =
      std::max<int64_t>(1, (context + timing.rules.block_tokens) / timing.rules.block_tokens);
  return std::max<int64_t>(0, memory.kv_blocks / blocks);
}

absl::StatusOr<model::ModelCard> MakeCard(const std::string& model,
                                          const DeploymentOptions& options) {
  ASSIGN_OR_RETURN(model::ModelCard card, model::FindCard(model));
  RETURN_IF_ERROR(SetPrecision(options.weights, "weights", &card.weights));
  if (!options.weights.empty()) {
    card.expert_weights = card.weights;
    card.weight_bytes = 0;
  }
  RETURN_IF_ERROR(SetPrecision(options.activations, "activations", &card.activations));
  RETURN_IF_ERROR(SetPrecision(options.kv, "kv", &card.kv));
  RETURN_IF_ERROR(model::Validate(card));
  return card;
}

absl::StatusOr<Deployment> MakeDeployment(const device::Profile& profile,
                                          const model::ModelCard& card,
                                          const DeploymentOptions& options, const Load& load) {
  if (options.chips > 0) {
    ASSIGN_OR_RETURN(Deployment d, OnChips(profile, card, options, options.chips));
    if (!Fits(d, load)) {
      return DoesNotFit(d, load);
    }
    return d;
  }
  absl::Status last;
  for (int64_t chips = 1; chips <= kMostAutomaticChips; chips *= 2) {
    absl::StatusOr<Deployment> d = OnChips(profile, card, options, chips);
    if (!d.ok()) {
      return last.ok() ? d.status() : last;
    }
    if (Fits(*d, load)) {
      return d;
    }
    last = DoesNotFit(*d, load);
  }
  return last;
}

device::StepShape ShapeOf(const Deployment& deployment, const Load& load) {
  device::StepShape shape;
  device::SequenceWork decode;
  decode.cached = load.context;
  decode.new_tokens = 1;
  decode.output_rows = 1;
  for (int64_t i = 0; i < load.batch; ++i) {
    shape.Add(decode, deployment.timing.rules);
  }
  if (load.prefill > 0) {
    device::SequenceWork prefill;
    prefill.role = device::StepRole::kPrefill;
    prefill.cached = load.prefill_cached;
    prefill.new_tokens = load.prefill;
    // A prompt's last chunk samples; over many steps that is rare, and one row is little.
    prefill.output_rows = load.batch == 0 ? 1 : 0;
    for (int64_t i = 0; i < load.prompts; ++i) {
      shape.Add(prefill, deployment.timing.rules);
    }
  }
  return shape;
}

namespace {

OperatingPoint Price(const Deployment& d, const device::PowerModel& power,
                     const device::StepShape& shape, const Load& load, int state) {
  OperatingPoint point;
  point.state = state;
  point.clock_ghz = d.profile.pstates[static_cast<size_t>(state)].hertz * 1e-9;
  point.price = device::PriceStep(d.profile, d.timing, shape, state);
  point.parts = power.ForwardParts(point.price, state);
  point.gap_power = power.HostGap(state);
  point.forward_power = power.Forward(point.price, state);
  point.step_s = ToSeconds(point.price.duration);
  point.joules = power.StepEnergy(point.price, state).joules();
  point.output_tokens = load.batch;
  point.total_tokens = load.tokens();
  point.chips = d.chips();
  return point;
}

}  // namespace

OperatingPoint At(const Deployment& deployment, const Load& load, int state) {
  return Price(deployment, device::PowerModel(deployment.profile, deployment.chips()),
               ShapeOf(deployment, load), load, state);
}

OperatingPoint AtTdp(const Deployment& deployment, const Load& load) {
  const device::PowerModel power(deployment.profile, deployment.chips());
  const device::StepShape shape = ShapeOf(deployment, load);
  const Power cap = deployment.profile.TdpPower() * deployment.chips();
  OperatingPoint point;
  for (int state = power.states() - 1; state >= 0; --state) {
    point = Price(deployment, power, shape, load, state);
    if (std::max(point.gap_power, point.forward_power) <= cap) {
      break;
    }
  }
  return point;
}

std::vector<OperatingPoint> AtAllClocks(const Deployment& deployment, const Load& load) {
  const device::PowerModel power(deployment.profile, deployment.chips());
  const device::StepShape shape = ShapeOf(deployment, load);
  std::vector<OperatingPoint> points;
  for (int state = 0; state < power.states(); ++state) {
    points.push_back(Price(deployment, power, shape, load, state));
  }
  return points;
}

}  // namespace scoville::sim::power
