#include "server/main/deployment.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::server {

absl::StatusOr<std::unique_ptr<model::LoadedModel>> OpenModel(const ServerConfig& config,
                                                              const std::string& default_path) {
  const bool synthetic = config.executor == "synthetic";
  const bool named = !config.model.path.empty();
  const std::string path = named ? config.model.path : default_path;
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  std::unique_ptr<model::LoadedModel> model;
  if (synthetic && !exists && !named) {
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
  out.pool.chips_per_device = static_cast<int32_t>(config.pool.chips_per_device);
  out.pool.cap_per_device = config.pool.cap_per_device;
  out.pool.kv_blocks = config.pool.kv_blocks;
  out.pool.max_step_tokens = config.limits.max_step_tokens;
  out.pool.executor = config.executor == "synthetic" ? device::ExecutorKind::kSynthetic
                                                     : device::ExecutorKind::kFunctional;
  out.scheduler.max_queued_requests = config.limits.max_queued_requests;
  out.scheduler.max_queued_tokens = config.limits.max_queued_tokens;
  out.scheduler.max_running = static_cast<int32_t>(config.limits.max_running);
  out.scheduler.max_step_tokens = config.limits.max_step_tokens;
  out.scheduler.slow_reader_timeout = config.limits.slow_reader_timeout;
  out.compute_lanes = static_cast<int>(config.compute.lanes);
  return out;
}

}  // namespace scoville::server
