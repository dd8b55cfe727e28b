// Brings models into the engine and out of it, and more devices to them or fewer: those of the
// configuration at the start, others while the daemon serves.
//
// Ownership: borrows the engine and the logger; a thread of its own loads what comes later.
// Threading: Load from any thread but the engine's, waits; LoadAside and Unload from any thread;
// Scale from the engine's. Stop before the engine goes. Errors: why a model cannot be read or its
// devices not be built.
#ifndef SCOVILLE_SERVER_MAIN_MODEL_LOADER_H_
#define SCOVILLE_SERVER_MAIN_MODEL_LOADER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config/config.h"
#include "server/engine/engine.h"
#include "server/grpc/grpc_server.h"
#include "server/log/logger.h"
#include "server/runtime/background_worker.h"

namespace scoville::server {

// The configuration of one more deployment: `config` with what `model` says in its place.
absl::StatusOr<ServerConfig> ConfigFor(const ServerConfig& config, const ModelToLoad& model);

class ModelLoader {
 public:
  // `config` is the daemon's.
  ModelLoader(const ServerConfig& config, std::string default_model_path, Engine* engine,
              Logger* log);

  // The model and the devices of one of EachDeployment's; not ready yet.
  absl::StatusOr<std::shared_ptr<Deployment>> Load(const ServerConfig& own);
  // Its first request has run, and others may come. On an error it is taken away again.
  absl::Status MakeReady(const std::shared_ptr<Deployment>& deployment);

  // For ModelAdmin.
  void LoadAside(const ModelToLoad& model, ModelAdmin::Loaded loaded);
  bool Unload(const std::shared_ptr<Deployment>& deployment);
  // Engine thread; the deployment is open.
  absl::StatusOr<scheduler::ScaleAnswer> Scale(Deployment& deployment, int64_t devices,
                                               absl::string_view budget_node);

  // Waits for the load under way; what waits behind it is dropped.
  void Stop() { worker_.Stop(); }

 private:
  absl::StatusOr<std::shared_ptr<Deployment>> LoadNow(const ModelToLoad& model);

  const ServerConfig config_;
  const std::string default_model_path_;
  Engine* const engine_;
  Logger* const log_;
  BackgroundWorker worker_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_MODEL_LOADER_H_
