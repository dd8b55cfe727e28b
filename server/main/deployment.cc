#include "server/main/deployment.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/card/model_card_reader.h"

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
  out.scheduler.max_queued_requests = config.limits.max_queued_requests;
  out.scheduler.max_queued_tokens = config.limits.max_queued_tokens;
  out.scheduler.max_running = static_cast<int32_t>(config.limits.max_running);
  out.scheduler.max_step_tokens = config.limits.max_step_tokens;
  out.scheduler.itl_target = config.limits.itl_target;
  out.scheduler.ttft_target = config.limits.ttft_target;
  out.scheduler.routing =
      ChoiceOf<scheduler::RoutePolicy>(config.limits.routing, scheduler::RoutePolicyNames());
  out.scheduler.slow_reader_timeout = config.limits.slow_reader_timeout;
  scheduler::FleetPowerOptions& fleet = out.scheduler.fleet;
  fleet.nodes = config.pool.budgets;
  fleet.budget = config.power.budget;
  fleet.policy.reserve_ppm = config.power.reserve_ppm;
  fleet.policy.pue_milli = config.power.pue_milli;
  fleet.policy.overhead_per_device = config.power.overhead_per_device;
  out.compute_lanes = static_cast<int>(config.compute.lanes);
  return out;
}

}  // namespace scoville::server
