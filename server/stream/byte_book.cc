#include "server/stream/byte_book.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "scheduler/forecast/drain_rate.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

namespace {

// A second, until something was measured: about what one core tokenises twice over.
constexpr int64_t kFirstRate = 16 << 20;

}  // namespace

struct ByteBook::State {
  // Who lets go has no clock (it may be a queue that is torn down), so the rate learns of it at the
  // next call. Threads read the clock before they get the lock: the rate's time must not run back.
  TimePoint CatchUp(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    latest = std::max(latest, now);
    let_go.Drained(latest, std::exchange(left, 0));
    return latest;
  }

  Mutex mutex;
  TimePoint latest ABSL_GUARDED_BY(mutex);
  Bytes booked ABSL_GUARDED_BY(mutex);
  int64_t left ABSL_GUARDED_BY(mutex) = 0;  // let go since the last call
  scheduler::DrainRate let_go ABSL_GUARDED_BY(mutex){
      scheduler::DrainOptions{Milliseconds(250), kFirstRate, Milliseconds(10), Seconds(60)}};
};

ByteBook::ByteBook(Bytes most) : most_(most), state_(std::make_shared<State>()) {}

std::shared_ptr<void> ByteBook::Take(Bytes bytes, TimePoint now) {
  {
    MutexLock lock(&state_->mutex);
    if (most_ > Bytes() && state_->booked > Bytes() && state_->booked + bytes > most_) {
      return nullptr;
    }
    const TimePoint latest = state_->CatchUp(now);
    if (state_->booked == Bytes()) {
      state_->let_go.Idle(latest);
    }
    state_->booked += bytes;
  }
  return std::shared_ptr<void>(state_.get(), [state = state_, bytes](void*) {
    MutexLock lock(&state->mutex);
    state->booked -= bytes;
    state->left += bytes.value();
  });
}

Bytes ByteBook::booked() const {
  MutexLock lock(&state_->mutex);
  return state_->booked;
}

Duration ByteBook::RetryAfter(Bytes bytes, TimePoint now, uint64_t id) const {
  MutexLock lock(&state_->mutex);
  const TimePoint latest = state_->CatchUp(now);
  const Bytes beyond = state_->booked + bytes - most_;
  return state_->let_go.RetryAfter(latest, std::max<int64_t>(1, beyond.value()), id);
}

}  // namespace scoville::server
