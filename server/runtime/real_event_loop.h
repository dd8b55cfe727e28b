// The event loop of the daemon: the shared timer queue against the monotonic clock, and an inbox
// for other threads.
//
// Real time is read once per turn, so Now() stands still while callbacks run. A turn: what was
// posted, in order, then every event that is due, then the turn hook. Between turns the thread
// sleeps until the next event or post.
//
// Units: engine time, nanoseconds since construction. Ownership: owns pending callbacks; those left
// at the end are dropped on the engine thread. Threading: Run on the engine thread; Post, Stop,
// RealNow, LastTurn on any; the rest on the engine thread (or before Run). Errors: as EventLoop.
#ifndef SCOVILLE_SERVER_RUNTIME_REAL_EVENT_LOOP_H_
#define SCOVILLE_SERVER_RUNTIME_REAL_EVENT_LOOP_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "base/event_loop.h"
#include "base/timer_queue.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

class RealEventLoop final : public EventLoop {
 public:
  RealEventLoop();

  // EventLoop.
  TimePoint Now() const override { return now_; }
  TimerId RunAt(TimePoint when, EventClass event_class, uint64_t id,
                EventCallback callback) override;
  bool Cancel(TimerId timer) override { return queue_.Cancel(timer); }

  // Runs turns until Stop; what was posted before Stop still runs.
  void Run();

  // False once the loop has stopped: `fn` is then dropped.
  bool Post(absl::AnyInvocable<void()> fn) ABSL_LOCKS_EXCLUDED(mutex_);
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // Set before Run, or on the engine thread.
  void SetTurnHook(absl::AnyInvocable<void()> hook) { hook_ = std::move(hook); }

  // The clock itself, any thread.
  TimePoint RealNow() const;
  // When the last turn began or the loop last went to sleep with nothing overdue.
  TimePoint LastTurn() const { return TimePoint(last_turn_.load(std::memory_order_relaxed)); }

 private:
  // Waits until something is posted, stopped or due; false: stopped and nothing is left to run.
  bool WaitForWork(std::vector<absl::AnyInvocable<void()>>* posted) ABSL_LOCKS_EXCLUDED(mutex_);

  // Constant after construction.
  const std::chrono::steady_clock::time_point origin_;

  // Engine thread.
  TimerQueue queue_;
  TimePoint now_;
  absl::AnyInvocable<void()> hook_;

  std::atomic<int64_t> last_turn_{0};

  Mutex mutex_;
  CondVar wake_;
  std::vector<absl::AnyInvocable<void()>> inbox_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_RUNTIME_REAL_EVENT_LOOP_H_
