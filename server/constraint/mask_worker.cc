#include "server/constraint/mask_worker.h"

#include <optional>
#include <utility>

namespace scoville::server {

MaskWorker::MaskWorker(BackgroundWorker* worker, int64_t most_steps, Post post)
    : worker_(worker), most_steps_(most_steps), post_(std::move(post)) {}

void MaskWorker::Make(model::ConstraintState state, Done done) {
  // Refused only when the worker has stopped, or beyond all bounds: the request's timeout ends it.
  worker_->Post(Bytes(1), [state = std::move(state), done = std::move(done), post = post_,
                           most_steps = most_steps_]() mutable {
    post([done = std::move(done), mask = state.ComputeMask(most_steps)]() mutable {
      done(std::move(mask));
    });
  });
}

}  // namespace scoville::server
