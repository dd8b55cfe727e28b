// What a device has drawn over its longest window, rounded up, and what it is about to draw.
//
// h(t) = max(power, tail) as pieces of constant power: `tail` since ever, then what Append() adds.
// The tail is the most the device draws without anyone's decision; without it, pieces below it
// leaving a window would let an idle device's mean rise. Prefix sums stand beside the pieces, so
// the energy of any window takes two binary searches.
//
// The number of pieces is bounded: when it is reached the two oldest become one at the higher
// power. That can only count too much. One place is kept free for a piece at the tail, so idling
// never merges anything and a wait computed before it stays right.
//
// Units: milliwatts, nanoseconds, picojoules in 128 bits (the product of any two 64-bit values
// fits). Ownership: a value. Threading: engine thread only. Errors: CHECK failures for negative
// durations and for reading what Forget() has dropped.
#ifndef SCOVILLE_DEVICE_POWER_POWER_LEDGER_H_
#define SCOVILLE_DEVICE_POWER_POWER_LEDGER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"

namespace scoville::device {

class PowerLedger {
 public:
  using Picojoules = __int128;

  // `max_pieces` is a power of two, at least 16.
  PowerLedger(TimePoint start, Power tail, Duration longest_window, int64_t max_pieces);

  // Adds a piece at the end. Adjacent pieces of equal power are one.
  void Append(Duration duration, Power power);
  // Forgets everything from `at` on: a step was cut short. Precondition: `at` <= end().
  void Truncate(TimePoint at);

  // Windows that end before `now` will not be asked for again.
  void Forget(TimePoint now);

  TimePoint end() const { return end_; }
  Power tail() const { return tail_; }
  int64_t pieces() const { return count_; }

  // Integral of h over [from, to], to <= end().
  Picojoules EnergyOver(TimePoint from, TimePoint to) const;
  // The first v with the integral of h - tail over [from, v] at or above `energy` (> 0): how long a
  // window's start must move over the past to shed it. None if the past does not hold that much.
  std::optional<TimePoint> ShedTime(TimePoint from, Picojoules energy) const;

  // Counts as high what lies above `threshold`; HighUntil() is the end of the last such piece, or
  // an instant long ago.
  void SetHighThreshold(Power threshold);
  TimePoint HighUntil() const { return high_until_; }

  // Piece by piece: the one that holds `at` (<= end()), its power and its end (end() for the last).
  int64_t IndexAt(TimePoint at) const;
  Power PowerOf(int64_t index) const { return At(index).power; }
  TimePoint EndOf(int64_t index) const { return index + 1 < count_ ? At(index + 1).start : end_; }

 private:
  struct Piece {
    TimePoint start;
    Power power;
    Picojoules before = 0;  // integral of h up to the start
  };

  const Piece& At(int64_t index) const { return ring_[(head_ + index) & mask_]; }
  Piece& At(int64_t index) { return ring_[(head_ + index) & mask_]; }
  Picojoules SumUpTo(TimePoint at) const;
  Picojoules ExcessUpTo(int64_t index) const;
  void MergeOldest();
  void Push(const Piece& piece);

  const Power tail_;
  const Duration longest_window_;
  const int64_t max_pieces_;
  std::vector<Piece> ring_;
  int64_t mask_;
  int64_t head_ = 0;
  int64_t count_ = 0;
  TimePoint end_;
  Power threshold_;
  TimePoint high_until_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_POWER_LEDGER_H_
