// What a device has drawn, then the tail until a step begins, then the step, then the tail for
// ever, walked as the energy of a window that slides over it.
//
// Units: milliwatts, nanoseconds, picojoules in 128 bits. Ownership: borrows the ledger and the
// phases. Threading: engine thread only. Errors: none.
#ifndef SCOVILLE_DEVICE_POWER_POWER_TRAJECTORY_H_
#define SCOVILLE_DEVICE_POWER_POWER_TRAJECTORY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "base/units.h"
#include "device/power/power_ledger.h"
#include "device/power/power_phase.h"

namespace scoville::device {

// Far enough ahead to be never, near enough that a window can be added.
inline constexpr TimePoint kFarAhead = TimePoint(INT64_MAX / 2);

// A place on the trajectory: the power there and where it may change next.
class TrajectoryCursor {
 public:
  // `start` >= ledger.end(); `at` is anywhere.
  TrajectoryCursor(const PowerLedger& ledger, TimePoint start, absl::Span<const PowerPhase> phases,
                   TimePoint at)
      : ledger_(ledger), phases_(phases), start_(start), tail_(ledger.tail()) {
    if (at < ledger.end()) {
      piece_ = ledger.IndexAt(at);
      power_ = ledger.PowerOf(piece_);
      next_ = ledger.EndOf(piece_);
      return;
    }
    piece_ = ledger.pieces();
    power_ = tail_;
    next_ = start;
    MoveTo(at);
  }

  Power power() const { return power_; }
  TimePoint next() const { return next_; }

  void MoveTo(TimePoint at) {
    while (next_ <= at) {
      Step();
    }
  }

 private:
  void Step() {
    if (piece_ < ledger_.pieces()) {
      ++piece_;
      if (piece_ < ledger_.pieces()) {
        power_ = ledger_.PowerOf(piece_);
        next_ = ledger_.EndOf(piece_);
      } else {
        power_ = tail_;
        next_ = start_;
      }
      return;
    }
    if (phase_ < phases_.size()) {
      power_ = std::max(phases_[phase_].power, tail_);
      next_ += phases_[phase_].duration;
      ++phase_;
      return;
    }
    power_ = tail_;
    next_ = kFarAhead;
  }

  const PowerLedger& ledger_;
  const absl::Span<const PowerPhase> phases_;
  const TimePoint start_;
  const Power tail_;
  int64_t piece_ = 0;
  size_t phase_ = 0;  // the next one
  Power power_;
  TimePoint next_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_POWER_TRAJECTORY_H_
