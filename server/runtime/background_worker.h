// One thread for long work that must not hold up the threads that serve: tokenising a prompt of
// megabytes takes a second, and a queue's thread has other streams to write meanwhile.
//
// Jobs run one after another in the order they came. What waits is bounded by its weight.
//
//   if (!worker->Post(bytes, [] { … })) return Refuse();
//
// The daemon's are BackgroundWorkers, one for each kind of work: a constraint takes up to its
// timeout to compile, and no prompt waits for that.
//
// Units: weight in bytes of what a job holds. Ownership: owns its thread and the jobs. Threading:
// any thread; Stop by the owner (the destructor calls it otherwise). Errors: Post says false when
// the queue is full or the worker has stopped, and drops the job.
#ifndef SCOVILLE_SERVER_RUNTIME_BACKGROUND_WORKER_H_
#define SCOVILLE_SERVER_RUNTIME_BACKGROUND_WORKER_H_

#include <deque>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "base/units.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

class BackgroundWorker {
 public:
  using Job = absl::AnyInvocable<void()>;

  // `most_waiting` counts the job that runs as well.
  explicit BackgroundWorker(Bytes most_waiting);
  ~BackgroundWorker();

  bool Post(Bytes weight, Job job) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for the job that runs; drops the others.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  Bytes waiting() const ABSL_LOCKS_EXCLUDED(mutex_);
  Bytes most_waiting() const { return most_waiting_; }

 private:
  struct Waiting {
    Bytes weight;
    Job job;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  const Bytes most_waiting_;
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Waiting> jobs_ ABSL_GUARDED_BY(mutex_);
  Bytes weight_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

struct BackgroundWorkers {
  explicit BackgroundWorkers(Bytes most_prompts, Bytes most_constraints = Bytes(16 << 20))
      : prompts(most_prompts), constraints(most_constraints) {}

  BackgroundWorker prompts;      // tokenises the long ones
  BackgroundWorker constraints;  // compiles them; a compilation comes after its prompt's work
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_RUNTIME_BACKGROUND_WORKER_H_
