// From a configuration to the model and the engine's options.
//
// Threading: pure functions apart from reading the model file. Errors: NotFound for a missing model
// with what to do about it, else those of the parts.
#ifndef SCOVILLE_SERVER_MAIN_DEPLOYMENT_H_
#define SCOVILLE_SERVER_MAIN_DEPLOYMENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/loaded_model.h"
#include "server/config/config.h"
#include "server/constraint/constraint_cache.h"
#include "server/engine/engine.h"

namespace scoville::server {

// `default_path` stands in for an empty model.path. The synthetic executor needs no weights, and
// no file either when none was named.
absl::StatusOr<std::unique_ptr<model::LoadedModel>> OpenModel(const ServerConfig& config,
                                                              const std::string& default_path);

EngineOptions EngineOptionsFor(const ServerConfig& config);
// From the system's own source: what keeps one start's prefix cache from being read with what was
// learnt of another's. It decides about no token.
uint64_t DrawSecret();
ConstraintOptions ConstraintOptionsFor(const ServerConfig& config);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_DEPLOYMENT_H_
