#include "server/runtime/real_event_loop.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace scoville::server {

namespace {

// An idle loop still turns this often, so that LastTurn tells a sleeping engine from a stuck one.
constexpr Duration kHeartbeat = Seconds(1);

}  // namespace

RealEventLoop::RealEventLoop() : origin_(std::chrono::steady_clock::now()) {}

TimePoint RealEventLoop::RealNow() const {
  return TimePoint(std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::steady_clock::now() - origin_)
                       .count());
}

TimerId RealEventLoop::RunAt(TimePoint when, EventClass event_class, uint64_t id,
                             EventCallback callback) {
  // A caller computes `when` from Now(), which stands still: it cannot lie in the past.
  CHECK_GE(when, now_);
  return queue_.Push(when, event_class, id, std::move(callback));
}

bool RealEventLoop::Post(absl::AnyInvocable<void()> fn) {
  MutexLock lock(&mutex_);
  if (stopped_) {
    return false;
  }
  inbox_.push_back(std::move(fn));
  wake_.NotifyAll();
  return true;
}

void RealEventLoop::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  wake_.NotifyAll();
}

bool RealEventLoop::WaitForWork(std::vector<absl::AnyInvocable<void()>>* posted) {
  const TimePoint due = std::min(queue_.NextTime(), RealNow() + kHeartbeat);
  MutexLock lock(&mutex_);
  while (inbox_.empty() && !stopping_) {
    const Duration wait = due - RealNow();
    if (wait <= Duration()) {
      break;
    }
    wake_.WaitFor(&mutex_, wait);
  }
  posted->swap(inbox_);
  if (posted->empty() && stopping_) {
    stopped_ = true;
    return false;
  }
  return true;
}

void RealEventLoop::Run() {
  std::vector<absl::AnyInvocable<void()>> posted;
  while (WaitForWork(&posted)) {
    // Never behind an event that has run, nor behind the time of one that is about to.
    now_ = std::max(now_ + Nanoseconds(1), RealNow());
    last_turn_.store(now_.ns(), std::memory_order_relaxed);
    const TimePoint turn = now_;
    for (absl::AnyInvocable<void()>& fn : posted) {
      fn();
    }
    posted.clear();
    // Events keep their own instants, so that what they schedule "1 ns later" keeps its order.
    while (queue_.NextTime() <= turn + Microseconds(1)) {
      now_ = std::max(now_, queue_.NextTime());
      queue_.RunNext();
    }
    if (hook_) {
      hook_();
    }
  }
}

}  // namespace scoville::server
