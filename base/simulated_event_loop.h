// The EventLoop of the simulator and of tests: virtual time jumps from event to event.
//
// Ownership: owns pending callbacks. Threading: one thread. Errors: as EventLoop.
#ifndef SCOVILLE_BASE_SIMULATED_EVENT_LOOP_H_
#define SCOVILLE_BASE_SIMULATED_EVENT_LOOP_H_

#include <cstdint>
#include <utility>

#include "base/event_loop.h"
#include "base/timer_queue.h"

namespace scoville {

class SimulatedEventLoop final : public EventLoop {
 public:
  TimePoint Now() const override { return now_; }

  TimerId RunAt(TimePoint when, EventClass event_class, uint64_t id,
                EventCallback callback) override {
    CHECK_GE(when, now_);
    return queue_.Push(when, event_class, id, std::move(callback));
  }

  bool Cancel(TimerId timer) override { return queue_.Cancel(timer); }

  // Runs the next event; false when none is pending.
  bool RunOne() {
    if (queue_.empty()) {
      return false;
    }
    now_ = queue_.NextTime();
    queue_.RunNext();
    ++events_run_;
    return true;
  }

  // Runs until nothing is pending.
  void Run() {
    while (RunOne()) {
    }
  }

  // Runs everything due up to and including `end`, then stands at `end`.
  void RunUntil(TimePoint end) {
    while (queue_.NextTime() <= end && RunOne()) {
    }
    if (now_ < end) {
      now_ = end;
    }
  }

  int64_t events_run() const { return events_run_; }
  size_t pending() const { return queue_.size(); }
  // Of the next event; TimePoint::Max() if none is pending.
  TimePoint next_time() const { return queue_.NextTime(); }

 private:
  TimerQueue queue_;
  TimePoint now_;
  int64_t events_run_ = 0;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_SIMULATED_EVENT_LOOP_H_
