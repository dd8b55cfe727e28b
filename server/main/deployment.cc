#include "server/main/deployment.h"

#include <sys/random.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/card/model_card_reader.h"
#include "server/config/scheduler_settings.h"

namespace scoville::server {

namespace {

// The texts were checked when the configuration was read: each is one of these.
template <typename Enum>
Enum ChoiceOf(const std::string& text, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  CHECK(found != names.end());
  return static_cast<Enum>(found - names.begin());
}

device::PowerOptions PowerOf(const ServerConfig::Pool& pool) {
  device::PowerOptions power;
  power.cap = pool.cap_per_device;
  power.cap_window = pool.cap_window;
  power.governor = ChoiceOf<device::GovernorKind>(pool.governor, device::GovernorNames());
  power.mode = ChoiceOf<device::CapMode>(pool.mode, device::CapModeNames());
  power.park_after = pool.park_after;
  return power;
}

}  // namespace

absl::StatusOr<std::unique_ptr<model::LoadedModel>> OpenModel(const ServerConfig& config,
                                                              const std::string& default_path) {
  const bool synthetic = config.executor == "synthetic";
  const bool named = !config.model.path.empty();
  const std::string path = named ? config.model.path : default_path;
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  std::unique_ptr<model::LoadedModel> model;
  if (!config.model.card.empty()) {
    ASSIGN_OR_RETURN(const model::ModelCard card, model::FindCard(config.model.card));
    ASSIGN_OR_RETURN(model, model::SyntheticModel(card));
  } else if (synthetic && !exists && !named) {
    ASSIGN_OR_RETURN(model, model::SyntheticModel());
  } else if (!exists) {
    return absl::NotFoundError(absl::StrCat(
        "no model at ", path,
        "\nhint: name a GGUF file with --model, let `./dev run` fetch the default one, or serve "
        "made-up tokens without a model: --executor synthetic"));
  } else {
    ASSIGN_OR_RETURN(model, model::LoadModel(path, synthetic ? model::LoadWeights::kNo
                                                             : model::LoadWeights::kYes));
  }
  if (!config.model.id.empty()) {
    model->id = config.model.id;
  }
  // Tokens that were made up must not pass for the model's own.
  if (synthetic && !absl::StartsWith(model->fingerprint, "synthetic")) {
    model->fingerprint = absl::StrCat("synthetic-", model->fingerprint);
  }
  return model;
}

EngineOptions EngineOptionsFor(const ServerConfig& config) {
  EngineOptions out;
  out.pool.profile = config.pool.profile;
  out.pool.devices = static_cast<int32_t>(config.pool.devices);
  out.pool.parallelism.chips = config.pool.chips_per_device;
  out.pool.parallelism.expert_parallel = config.pool.expert_parallel;
  out.pool.parallelism.data_parallel_attention = config.pool.data_parallel_attention;
  out.pool.power = PowerOf(config.pool);
  out.pool.kv_blocks = config.pool.kv_blocks;
  out.pool.max_step_tokens = config.limits.max_step_tokens;
  out.pool.executor = config.executor == "synthetic" ? device::ExecutorKind::kSynthetic
                                                     : device::ExecutorKind::kFunctional;
  out.pool.kv.prefix_cache = config.pool.prefix_cache;
  out.pool.kv.pin_quota_blocks = config.pool.prefix_quota_blocks;
  out.pool.host_tier.blocks = config.host_tier.blocks;
  out.pool.host_tier.bytes_per_second = config.host_tier.bytes_per_second;
  out.pool.host_tier.picojoules_per_byte = config.host_tier.picojoules_per_byte;
  out.scheduler = SchedulerOptionsFor(config);
  out.compute_lanes = static_cast<int>(config.compute.lanes);
  return out;
}

uint64_t DrawSecret() {
  uint64_t secret = 0;
  // Eight bytes come whole, and wait only before the system has ever had any.
  CHECK_EQ(getrandom(&secret, sizeof(secret), 0), static_cast<ssize_t>(sizeof(secret)));
  return secret;
}

ConstraintOptions ConstraintOptionsFor(const ServerConfig& config) {
  const ServerConfig::Constraints& in = config.constraints;
  ConstraintOptions out;
  out.max_states = in.max_states;
  out.max_steps = in.max_steps;
  out.max_bytes = in.max_bytes;
  out.cache_bytes = in.cache_bytes;
  out.timeout = in.timeout;
  out.kept = in.kept;
  out.in_use = in.in_use;
  out.mask_steps = in.mask_steps;
  out.mask_timeout = in.mask_timeout;
  return out;
}

}  // namespace scoville::server
