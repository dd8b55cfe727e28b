// One model and the devices of its own that serve it.
//
// What requests of the model are built from (tokenizer, template) lives as long as anybody holds
// the deployment; its devices and scheduler are made and taken away by the engine.
//
// Ownership: shared by the engine and by every request of the model. Threading: by the groups
// below. Errors: none.
#ifndef SCOVILLE_SERVER_ENGINE_DEPLOYMENT_H_
#define SCOVILLE_SERVER_ENGINE_DEPLOYMENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "device/device_pool.h"
#include "model/loaded_model.h"
#include "scheduler/observer.h"
#include "scheduler/scheduler.h"
#include "server/constraint/constraint_cache.h"
#include "server/constraint/mask_worker.h"
#include "server/metrics/metrics_observer.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

struct EngineOptions {
  device::PoolOptions pool;
  scheduler::SchedulerOptions scheduler;
  ConstraintOptions constraints;
  int compute_lanes = 0;  // 0: one per core; of the engine
};

enum class DeploymentState : uint8_t {
  kLoading,    // takes the daemon's own first request only
  kReady,      // takes requests
  kUnloading,  // finishes what it has
  kGone,       // its devices are no more
};

class Deployment {
 public:
  // --- Constant, any thread ---

  const std::string& id() const { return model_->id; }
  const model::LoadedModel& model() const { return *model_; }
  const DeploymentFacts& facts() const { return facts_; }
  // Of its tokenizer.
  ConstraintCache* constraints() const { return constraints_.get(); }

  // --- Any thread ---

  DeploymentState state() const { return state_.load(); }

  // --- Engine thread ---

  // False once its devices are gone: the calls below may then not be made.
  bool open() const { return scheduler_ != nullptr; }
  scheduler::Scheduler& scheduler() { return *scheduler_; }
  const scheduler::Scheduler& scheduler() const { return *scheduler_; }
  device::DevicePool& pool() { return *pool_; }
  scheduler::FleetPower& fleet_power() { return scheduler_->fleet(); }
  // What its records add up to; nullptr where somebody else observes it.
  MetricsObserver* metrics() { return metrics_.get(); }
  const MetricsObserver* metrics() const { return metrics_.get(); }

 private:
  friend class Engine;

  std::shared_ptr<const model::LoadedModel> model_;
  DeploymentFacts facts_;
  std::unique_ptr<ConstraintCache> constraints_;
  std::unique_ptr<MaskWorker> masks_;
  std::atomic<DeploymentState> state_{DeploymentState::kLoading};

  std::unique_ptr<MetricsObserver> metrics_;
  std::unique_ptr<device::DevicePool> pool_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_ENGINE_DEPLOYMENT_H_
