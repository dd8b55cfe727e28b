// Computes token masks on a thread of its own, while the engine's plans the devices.
//
// One thread serves all deployments of an engine; a mask is bounded by counted work, and
// constraints have turns, so that nobody waits for long behind somebody's. The masks of one
// constraint are made in the order of asking.
//
//   BackgroundWorker thread(MaskWorker::kMostWaiting);
//   MaskWorker masks(&thread, most_steps, [loop](auto fn) { loop->Post(std::move(fn)); });
//   Scheduler scheduler(loop, devices, options, observer, &masks);
//
// Units: steps of model/grammar/compile_limits.h. Ownership: borrows the thread; what is under way
// owns all that it reads. Threading: Make on the engine thread; `post` is called on the worker's
// and runs what it gets on the engine's. Errors: as scheduler::MaskMaker.
#ifndef SCOVILLE_SERVER_CONSTRAINT_MASK_WORKER_H_
#define SCOVILLE_SERVER_CONSTRAINT_MASK_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "scheduler/mask_maker.h"
#include "server/runtime/background_worker.h"

namespace scoville::server {

class MaskWorker final : public scheduler::MaskMaker {
 public:
  // Each live request has one mask made for it at a time and one guessed ahead, each of weight 1.
  static constexpr Bytes kMostWaiting = Bytes(1 << 20);
  using Post = std::function<void(absl::AnyInvocable<void()>)>;

  MaskWorker(BackgroundWorker* worker, int64_t most_steps, Post post);

  void Make(model::ConstraintState state, Begun begun, Done done) override;

 private:
  class Turns;

  BackgroundWorker* const worker_;
  const int64_t most_steps_;
  const Post post_;
  const std::shared_ptr<Turns> turns_;  // shared with what is under way
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONSTRAINT_MASK_WORKER_H_
