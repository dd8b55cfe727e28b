// How fast a queue drains, and therefore when to come back.
//
// What left is counted in windows of at least `window`; the rate is their moving average, a quarter
// for the newest. The window under way counts as soon as it makes the rate lower: a queue that
// stopped draining stands, and its answers grow.
//
// Units: the caller's (tokens, requests) per second. Integers only. Threading: engine thread.
// Errors: time that runs back, negative amounts are CHECKs.
#ifndef SCOVILLE_SCHEDULER_FORECAST_DRAIN_RATE_H_
#define SCOVILLE_SCHEDULER_FORECAST_DRAIN_RATE_H_

#include <cstdint>

#include "base/units.h"

namespace scoville::scheduler {

struct DrainOptions {
  Duration window = Milliseconds(250);
  int64_t first_rate = 1000;  // a second, until something was measured
  Duration least = Milliseconds(10);
  Duration most = Seconds(60);
};

class DrainRate {
 public:
  explicit DrainRate(const DrainOptions& options) : options_(options) {}

  // `amount` left the queue (or the pool) at `now`.
  void Drained(TimePoint now, int64_t amount);
  // Nothing was there to drain until now: that time says nothing about the rate. To be called when
  // something begins to wait after nothing did.
  void Idle(TimePoint now);

  // A second, rounded down.
  int64_t Rate(TimePoint now) const;
  // Until a deficit of this much is gone, within [least, most], then later by up to a quarter by a
  // hash of the id, so that those who were sent away together do not return together. Never falls
  // as the deficit grows, for one id at one time.
  Duration RetryAfter(TimePoint now, int64_t deficit, uint64_t id) const;

 private:
  static constexpr int64_t kFraction = 1 << 10;  // of rate_

  int64_t RateQ10(TimePoint now) const;  // at least 1

  const DrainOptions options_;
  bool measured_ = false;
  int64_t rate_ = 0;  // Q10
  TimePoint window_start_;
  int64_t in_window_ = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_FORECAST_DRAIN_RATE_H_
