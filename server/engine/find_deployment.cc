#include "server/engine/find_deployment.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace scoville::server {

namespace {

// As much of a name as an error repeats.
constexpr size_t kLongestName = 128;

std::string NamesOf(const std::vector<std::shared_ptr<Deployment>>& list) {
  return absl::StrJoin(list, "', '", [](std::string* out, const std::shared_ptr<Deployment>& d) {
    absl::StrAppend(out, d->id());
  });
}

FoundDeployment Failed(ServiceError error) { return {nullptr, std::move(error)}; }

}  // namespace

FoundDeployment FindDeployment(const Engine& engine, absl::string_view model) {
  std::vector<std::shared_ptr<Deployment>> usual;  // one that is only being loaded is no default
  const std::vector<std::shared_ptr<Deployment>> all = engine.deployments();
  for (const std::shared_ptr<Deployment>& deployment : all) {
    if (!model.empty() && deployment->id() == model) {
      return {deployment, std::nullopt};
    }
    if (deployment->state() != DeploymentState::kLoading) {
      usual.push_back(deployment);
    }
  }
  if (!model.empty()) {
    return Failed(ModelNotFound(model.substr(0, kLongestName), NamesOf(all)));
  }
  if (usual.size() == 1) {
    return {usual.front(), std::nullopt};
  }
  if (!usual.empty()) {
    return Failed(InvalidField(
        "model", absl::StrCat("must name one of those that are served: '", NamesOf(usual), "'")));
  }
  if (!all.empty()) {
    return {all.front(), std::nullopt};
  }
  return Failed(ModelNotReady("no model is served now"));
}

FoundDeployment FindReadyDeployment(const Engine& engine, absl::string_view model) {
  FoundDeployment found = FindDeployment(engine, model);
  if (found.deployment == nullptr || found.deployment->state() == DeploymentState::kReady) {
    return found;
  }
  const bool loading = found.deployment->state() == DeploymentState::kLoading;
  return Failed(ModelNotReady(absl::StrCat("model '", found.deployment->id(), "' is being ",
                                           loading ? "loaded" : "unloaded")));
}

}  // namespace scoville::server
