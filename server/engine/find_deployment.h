// From the name in a message to the deployment it means.
//
// Threading: any thread. Errors: a ServiceError that names what is served.
#ifndef SCOVILLE_SERVER_ENGINE_FIND_DEPLOYMENT_H_
#define SCOVILLE_SERVER_ENGINE_FIND_DEPLOYMENT_H_

#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "server/engine/engine.h"
#include "server/errors/service_error.h"

namespace scoville::server {

struct FoundDeployment {
  std::shared_ptr<Deployment> deployment;  // nullptr: see error
  std::optional<ServiceError> error;
};

// For an operator: whatever its state. Empty: the only one.
FoundDeployment FindDeployment(const Engine& engine, absl::string_view model);
// For a request: it has to be ready.
FoundDeployment FindReadyDeployment(const Engine& engine, absl::string_view model);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_ENGINE_FIND_DEPLOYMENT_H_
