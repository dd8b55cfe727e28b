// The core on its own thread, against the wall clock: one loop that several deployments share.
//
// Owns the engine thread, the real event loop, the compute pool, and of each deployment the devices
// and the scheduler. Everything else in server/ talks to the core through Post: a callback that
// runs on the engine thread.
//
// Ownership: owns all of the core; deployments are shared with their requests. Threading: by the
// groups below. Errors: Start and Add pass on what a pool refuses.
#ifndef SCOVILLE_SERVER_ENGINE_ENGINE_H_
#define SCOVILLE_SERVER_ENGINE_ENGINE_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "device/device_pool.h"
#include "model/loaded_model.h"
#include "scheduler/observer.h"
#include "scheduler/scheduler.h"
#include "server/engine/deployment.h"

namespace scoville::server {

class Engine {
 public:
  using DeploymentPtr = std::shared_ptr<Deployment>;

  // Without deployments. `compute_lanes` as in EngineOptions.
  static std::unique_ptr<Engine> Start(int compute_lanes);
  // With one, ready at once, whose model and observer are the caller's and outlive the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(const EngineOptions& options,
                                                       const model::LoadedModel* model,
                                                       scheduler::Observer* observer);
  // Stops the loop and joins the threads; requests still live end with kDraining first.
  ~Engine();

  // --- Any thread but the engine's; waits for it ---

  // Builds devices for a model: loading, until SetReady. Only what touches the loop is done on the
  // engine thread. AlreadyExists if one has its id, Cancelled if it was removed meanwhile.
  absl::StatusOr<DeploymentPtr> Add(const EngineOptions& options,
                                    std::shared_ptr<const model::LoadedModel> model);

  // --- Any thread ---

  // Requests may come.
  void SetReady(const DeploymentPtr& deployment);
  // No more of them. What it has goes on to its end; then its devices go, and `gone` runs on the
  // engine thread. False if it is not there, or already on its way out.
  bool Remove(const DeploymentPtr& deployment, absl::AnyInvocable<void()> gone);
  // Those whose devices are there, by number.
  std::vector<DeploymentPtr> deployments() const;
  // nullptr if there is none of that name. An empty name: the only one, nullptr if there are none
  // or several.
  DeploymentPtr Find(absl::string_view id) const;

  // Runs `fn` on the engine thread, in the order of posting. False (and `fn` is dropped) once the
  // engine is stopping.
  bool Post(absl::AnyInvocable<void()> fn);

  // Runs after every turn of the loop on the engine thread (flushing streams); set once, before
  // traffic.
  void SetTurnHook(absl::AnyInvocable<void()> hook);

  // Engine time, of now.
  TimePoint Now() const;
  // Engine time of the loop's last turn: liveness.
  TimePoint LastTurn() const;

  // --- Engine thread only ---

  // Gives the memory of a device that has left its pool back, on another thread: up to
  // milliseconds.
  void Discard(std::unique_ptr<device::Device> device);
  // Of all deployments.
  bool idle() const;
  void StartDrain();
  void EndAll(scheduler::Outcome outcome);
  // Of the first deployment. Precondition: there is one.
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
