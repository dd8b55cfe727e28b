#include "server/main/model_loader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/quantity.h"
#include "base/status_macros.h"
#include "scheduler/core/scale_pool.h"
#include "server/config/deployments.h"
#include "server/config/settings.h"
#include "server/main/deployment.h"
#include "server/main/warm_up.h"

namespace scoville::server {

namespace {

// One is read, the others wait; each weighs one.
constexpr Bytes kMostLoads = Bytes(16);

absl::Status Set(const std::vector<Setting>& settings, absl::string_view path,
                 const std::string& text) {
  const auto at = std::find_if(settings.begin(), settings.end(),
                               [&](const Setting& s) { return s.path() == path; });
  CHECK(at != settings.end());
  const absl::Status status = at->SetFromText(text);
  return status.ok() ? status
                     : absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status SetIf(const std::vector<Setting>& settings, absl::string_view path, int64_t value,
                   absl::string_view unit = "") {
  return value == 0 ? absl::OkStatus() : Set(settings, path, absl::StrCat(value, unit));
}

}  // namespace

absl::StatusOr<ServerConfig> ConfigFor(const ServerConfig& config, const ModelToLoad& model) {
  ServerConfig own = ForAnother(config);
  own.model.path = model.path;
  own.model.card = model.card;
  own.model.id = model.id;
  const std::vector<Setting> settings = BindSettings(&own);
  if (!model.executor.empty()) {
    RETURN_IF_ERROR(Set(settings, "executor", model.executor));
  }
  if (!model.profile.empty()) {
    RETURN_IF_ERROR(Set(settings, "pool.profile", model.profile));
  }
  RETURN_IF_ERROR(SetIf(settings, "pool.devices", model.devices));
  RETURN_IF_ERROR(SetIf(settings, "pool.chips_per_device", model.chips_per_device));
  RETURN_IF_ERROR(SetIf(settings, "pool.kv_blocks", model.kv_blocks));
  RETURN_IF_ERROR(SetIf(settings, "pool.cap_per_device", model.cap_per_device.value(), "mW"));
  std::string path;
  if (const absl::Status status = CheckModelKeys(own, &path); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  return own;
}

ModelLoader::ModelLoader(const ServerConfig& config, std::string default_model_path, Engine* engine,
                         Logger* log)
    : config_(config),
      default_model_path_(std::move(default_model_path)),
      engine_(engine),
      log_(log),
      worker_(kMostLoads) {}

absl::StatusOr<std::shared_ptr<Deployment>> ModelLoader::Load(const ServerConfig& own) {
  ASSIGN_OR_RETURN(std::unique_ptr<model::LoadedModel> model, OpenModel(own, default_model_path_));
  EngineOptions options = EngineOptionsFor(own);
  options.scheduler.cache_secret = DrawSecret();
  options.constraints = ConstraintOptionsFor(own);
  return engine_->Add(options, std::move(model));
}

absl::Status ModelLoader::MakeReady(const std::shared_ptr<Deployment>& deployment) {
  absl::Status warm = WarmUp(engine_, deployment);
  if (!warm.ok()) {
    engine_->Remove(deployment, [] {});
    return warm;
  }
  engine_->SetReady(deployment);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Deployment>> ModelLoader::LoadNow(const ModelToLoad& model) {
  ASSIGN_OR_RETURN(const ServerConfig own, ConfigFor(config_, model));
  ASSIGN_OR_RETURN(std::shared_ptr<Deployment> deployment, Load(own));
  RETURN_IF_ERROR(MakeReady(deployment));
  return deployment;
}

void ModelLoader::LoadAside(const ModelToLoad& model, ModelAdmin::Loaded loaded) {
  // Shared: it is called here if the worker takes no more.
  auto callback = std::make_shared<ModelAdmin::Loaded>(std::move(loaded));
  const bool posted = worker_.Post(Bytes(1), [this, model, callback] {
    absl::StatusOr<std::shared_ptr<Deployment>> deployment = LoadNow(model);
    if (deployment.ok()) {
      log_->Info("model loaded", {{"model", (*deployment)->id()},
                                  {"profile", (*deployment)->facts().profile},
                                  {"executor", (*deployment)->facts().executor}});
    }
    (*callback)(std::move(deployment));
  });
  if (!posted) {
    (*callback)(absl::FailedPreconditionError(
        absl::StrCat(kMostLoads.value(), " models wait to be loaded, which is the limit")));
  }
}

absl::StatusOr<scheduler::ScaleAnswer> ModelLoader::Scale(Deployment& deployment, int64_t devices,
                                                          absl::string_view budget_node) {
  const std::string id = deployment.id();
  absl::StatusOr<scheduler::ScaleAnswer> answer = scheduler::ScalePool(
      &deployment.pool(), &deployment.scheduler(), devices, budget_node,
      [log = log_, engine = engine_, id](std::unique_ptr<device::Device> left) {
        log->Info("device removed", {{"model", id}, {"device", absl::StrCat(left->id().value)}});
        engine->Discard(std::move(left));
      });
  if (answer.ok()) {
    log_->Info("model scaled", {{"model", id},
                                {"devices", absl::StrCat(devices)},
                                {"added", absl::StrCat(answer->added.size())},
                                {"removed", absl::StrCat(answer->removed.size())}});
  }
  return answer;
}

bool ModelLoader::Unload(const std::shared_ptr<Deployment>& deployment) {
  return engine_->Remove(deployment, [log = log_, id = deployment->id()] {
    log->Info("model unloaded", {{"model", id}});
  });
}

}  // namespace scoville::server
