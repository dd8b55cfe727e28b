// Token masks that come a while after they were asked for, on virtual time.
#ifndef SCOVILLE_TESTS_SUPPORT_LATE_MASKS_H_
#define SCOVILLE_TESTS_SUPPORT_LATE_MASKS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "scheduler/mask_maker.h"

namespace scoville::tests {

class LateMasks final : public scheduler::MaskMaker {
 public:
  // Of the job with this number, from 0 on; at least a nanosecond. Nothing: it never comes.
  using Delay = std::function<std::optional<Duration>(int64_t)>;

  // Borrows the loop, which outlives what it is told to run.
  LateMasks(EventLoop* loop, Delay delay, int64_t most_steps = INT64_MAX)
      : loop_(loop), delay_(std::move(delay)), most_steps_(most_steps) {}

  void Make(model::ConstraintState state, Begun begun, Done done) override {
    begun();
    const int64_t job = made_++;
    const std::optional<Duration> delay = delay_(job);
    if (!delay) {
      silent_.push_back(std::move(done));
      return;
    }
    loop_->RunAt(loop_->Now() + *delay, EventClass::kHostResult, static_cast<uint64_t>(job),
                 [done = std::move(done), mask = state.ComputeMask(most_steps_)]() mutable {
                   done(std::move(mask));
                 });
  }

  int64_t made() const { return made_; }

 private:
  EventLoop* const loop_;
  const Delay delay_;
  const int64_t most_steps_;
  int64_t made_ = 0;
  std::vector<Done> silent_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SUPPORT_LATE_MASKS_H_
