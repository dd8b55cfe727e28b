#include "scheduler/forecast/drain_rate.h"

#include <algorithm>

#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr int64_t kNewest = 4;  // a quarter

}  // namespace

void DrainRate::Drained(TimePoint now, int64_t amount) {
  CHECK_GE(amount, 0);
  CHECK(now >= window_start_);
  in_window_ += amount;
  const Duration elapsed = now - window_start_;
  if (elapsed < options_.window) {
    return;
  }
  const int64_t rate = static_cast<int64_t>(static_cast<__int128>(in_window_) * kFraction *
                                            kNanosecondsPerSecond / elapsed.value());
  // After a long window the average is no better than this one number.
  const bool long_ago = elapsed > options_.window * kNewest;
  rate_ = measured_ && !long_ago ? rate_ + (rate - rate_) / kNewest : rate;
  measured_ = true;
  window_start_ = now;
  in_window_ = 0;
}

void DrainRate::Idle(TimePoint now) {
  CHECK(now >= window_start_);
  window_start_ = now;
  in_window_ = 0;
}

int64_t DrainRate::RateQ10(TimePoint now) const {
  int64_t rate = measured_ ? rate_ : options_.first_rate * kFraction;
  const Duration elapsed = now - window_start_;
  if ((measured_ || in_window_ > 0) && elapsed > options_.window) {
    rate = std::min(rate, static_cast<int64_t>(static_cast<__int128>(in_window_) * kFraction *
                                               kNanosecondsPerSecond / elapsed.value()));
  }
  return std::max<int64_t>(1, rate);
}

int64_t DrainRate::Rate(TimePoint now) const { return RateQ10(now) / kFraction; }

Duration DrainRate::RetryAfter(TimePoint now, int64_t deficit, uint64_t id) const {
  constexpr uint64_t kSpread = 1 << 16;
  const __int128 wait = static_cast<__int128>(std::max<int64_t>(deficit, 0)) *
                        kNanosecondsPerSecond * kFraction / RateQ10(now);
  const int64_t bounded = static_cast<int64_t>(
      std::clamp<__int128>(wait, options_.least.value(), options_.most.value()));
  const int64_t part = static_cast<int64_t>(RandomBelow(0, id, 0, kSpread));
  return Duration(bounded + bounded / 4 * part / static_cast<int64_t>(kSpread));
}

}  // namespace scoville::scheduler
