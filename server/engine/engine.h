// The core on its own thread, against the wall clock.
//
// Owns the engine thread, the real event loop, the compute pool, the devices and the scheduler.
// Everything else in server/ talks to the core through Post: a callback that runs on the engine
// thread.
//
// Ownership: owns all of the core; borrows the model and the observer, which outlive it. Threading:
// Post and Now from any thread; scheduler() and pool() inside a posted callback only. Errors: Start
// passes on what the pool refuses.
#ifndef SCOVILLE_SERVER_ENGINE_ENGINE_H_
#define SCOVILLE_SERVER_ENGINE_ENGINE_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/units.h"
#include "device/device_pool.h"
#include "model/loaded_model.h"
#include "scheduler/observer.h"
#include "scheduler/scheduler.h"

namespace scoville::server {

struct EngineOptions {
  device::PoolOptions pool;
  scheduler::SchedulerOptions scheduler;
  int compute_lanes = 0;  // 0: one per core
};

class Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Start(const EngineOptions& options,
                                                       const model::LoadedModel* model,
                                                       scheduler::Observer* observer);
  // Stops the loop and joins the threads; requests still live end with kDraining first.
  ~Engine();

  // Runs `fn` on the engine thread, in the order of posting. False (and `fn` is dropped) once the
  // engine is stopping.
  bool Post(absl::AnyInvocable<void()> fn);

  // Runs after every turn of the loop on the engine thread (flushing streams); set once, before
  // traffic.
  void SetTurnHook(absl::AnyInvocable<void()> hook);

  // Engine time, of now. Any thread.
  TimePoint Now() const;
  // Engine time of the loop's last turn: liveness. Any thread.
  TimePoint LastTurn() const;

  // Engine thread only.
  scheduler::Scheduler& scheduler();
  device::DevicePool& pool();
  scheduler::FleetPower& fleet_power();

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_ENGINE_ENGINE_H_
