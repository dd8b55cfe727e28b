#include "server/constraint/mask_worker.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

// What is to be made, by constraint, in the order of their turns.
class MaskWorker::Turns {
 public:
  struct Job {
    model::ConstraintState state;
    Begun begun;
    Done done;
  };

  void Add(Job job) ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    const model::CompiledConstraint* const whose = job.state.constraint();
    auto lane = std::find_if(lanes_.begin(), lanes_.end(),
                             [&](const Lane& other) { return other.whose == whose; });
    if (lane == lanes_.end()) {
      lane = lanes_.insert(lane, Lane{whose, {}});
    }
    lane->jobs.push_back(std::move(job));
  }

  // Precondition: more were added than taken.
  Job Take() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    Lane lane = std::move(lanes_.front());
    lanes_.pop_front();
    Job job = std::move(lane.jobs.front());
    lane.jobs.pop_front();
    if (!lane.jobs.empty()) {
      lanes_.push_back(std::move(lane));
    }
    return job;
  }

 private:
  struct Lane {
    const model::CompiledConstraint* whose;
    std::deque<Job> jobs;  // never empty between calls
  };

  Mutex mutex_;
  std::deque<Lane> lanes_ ABSL_GUARDED_BY(mutex_);
};

MaskWorker::MaskWorker(BackgroundWorker* worker, int64_t most_steps, Post post)
    : worker_(worker),
      most_steps_(most_steps),
      post_(std::move(post)),
      turns_(std::make_shared<Turns>()) {}

void MaskWorker::Make(model::ConstraintState state, Begun begun, Done done) {
  turns_->Add({std::move(state), std::move(begun), std::move(done)});
  // Each takes one, whichever has its turn then. Refused only when the worker has stopped, or
  // beyond all bounds: the request's deadline ends it.
  worker_->Post(Bytes(1), [turns = turns_, post = post_, most_steps = most_steps_] {
    Turns::Job job = turns->Take();
    post([begun = std::move(job.begun)]() mutable { begun(); });
    post([done = std::move(job.done), mask = job.state.ComputeMask(most_steps)]() mutable {
      done(std::move(mask));
    });
  });
}

}  // namespace scoville::server
