#include "device/power/power_ledger.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

// Long before any start; far enough from the smallest integer that windows can be subtracted.
constexpr TimePoint kLongAgo = TimePoint(INT64_MIN / 4);
constexpr int64_t kFirstRing = 64;
constexpr int64_t kLeastPieces = 16;

}  // namespace

PowerLedger::PowerLedger(TimePoint start, Power tail, Duration longest_window, int64_t max_pieces)
    : tail_(tail),
      longest_window_(longest_window),
      max_pieces_(max_pieces),
      ring_(std::min(kFirstRing, max_pieces)),
      mask_(static_cast<int64_t>(ring_.size()) - 1),
      end_(start),
      threshold_(Power(INT64_MAX)),
      high_until_(kLongAgo) {
  CHECK_GE(max_pieces, kLeastPieces);
  CHECK_EQ(max_pieces & (max_pieces - 1), 0);
  CHECK_GE(tail, Power());
  CHECK_GT(longest_window, Duration());
  Push(Piece{kLongAgo, tail, 0});
}

void PowerLedger::Push(const Piece& piece) {
  if (count_ > mask_) {
    std::vector<Piece> larger(2 * ring_.size());
    for (int64_t i = 0; i < count_; ++i) {
      larger[i] = At(i);
    }
    ring_ = std::move(larger);
    mask_ = static_cast<int64_t>(ring_.size()) - 1;
    head_ = 0;
  }
  ++count_;
  At(count_ - 1) = piece;
}

void PowerLedger::Append(Duration duration, Power power) {
  CHECK_GE(duration, Duration());
  if (duration == Duration()) {
    return;
  }
  const Power height = std::max(power, tail_);
  if (At(count_ - 1).power != height) {
    const Piece piece{end_, height, SumUpTo(end_)};
    if (height > tail_) {
      while (count_ + 1 >= max_pieces_) {
        MergeOldest();
      }
    }
    Push(piece);
  }
  end_ += duration;
  if (height > threshold_) {
    high_until_ = end_;
  }
}

void PowerLedger::Truncate(TimePoint at) {
  CHECK_LE(at, end_);
  while (count_ > 1 && At(count_ - 1).start >= at) {
    --count_;
  }
  CHECK_LE(At(0).start, at);
  end_ = at;
  high_until_ = std::min(high_until_, at);
}

void PowerLedger::Forget(TimePoint now) {
  const TimePoint oldest = now - longest_window_;
  while (count_ > 1 && At(1).start <= oldest) {
    head_ = (head_ + 1) & mask_;
    --count_;
  }
}

void PowerLedger::MergeOldest() {
  const Piece& first = At(0);
  Piece& second = At(1);
  const Power higher = std::max(first.power, second.power);
  // The sums of later pieces stand; the merged one is counted backwards from its end, so it is its
  // `before` that falls.
  const TimePoint end = EndOf(1);
  const Picojoules end_sum =
      second.before + static_cast<Picojoules>(second.power.value()) * (end - second.start).value();
  second.start = first.start;
  second.power = higher;
  second.before = end_sum - static_cast<Picojoules>(higher.value()) * (end - first.start).value();
  head_ = (head_ + 1) & mask_;
  --count_;
  if (higher > threshold_) {
    high_until_ = std::max(high_until_, end);
  }
}

int64_t PowerLedger::IndexAt(TimePoint at) const {
  CHECK_GE(at, At(0).start);
  int64_t low = 0;
  int64_t high = count_;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (At(middle).start <= at ? low : high) = middle;
  }
  return low;
}

PowerLedger::Picojoules PowerLedger::SumUpTo(TimePoint at) const {
  const Piece& piece = At(at == end_ ? count_ - 1 : IndexAt(at));
  return piece.before + static_cast<Picojoules>(piece.power.value()) * (at - piece.start).value();
}

PowerLedger::Picojoules PowerLedger::EnergyOver(TimePoint from, TimePoint to) const {
  CHECK_LE(from, to);
  CHECK_LE(to, end_);
  return SumUpTo(to) - SumUpTo(from);
}

// Integral of h - tail up to the start of a piece, up to a constant.
PowerLedger::Picojoules PowerLedger::ExcessUpTo(int64_t index) const {
  const Piece& piece = At(index);
  return piece.before - static_cast<Picojoules>(tail_.value()) * piece.start.ns();
}

std::optional<TimePoint> PowerLedger::ShedTime(TimePoint from, Picojoules energy) const {
  if (from >= end_) {
    return std::nullopt;
  }
  int64_t low = IndexAt(from);
  const Picojoules target =
      ExcessUpTo(low) + energy +
      static_cast<Picojoules>((At(low).power - tail_).value()) * (from - At(low).start).value();
  // The last piece that starts below the target.
  int64_t high = count_;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (ExcessUpTo(middle) < target ? low : high) = middle;
  }
  const Picojoules missing = target - ExcessUpTo(low);
  const Picojoules rate = (At(low).power - tail_).value();
  if (rate == 0) {
    return std::nullopt;
  }
  const Picojoules after = (missing + rate - 1) / rate;
  if (after > (EndOf(low) - At(low).start).value()) {
    return std::nullopt;
  }
  return At(low).start + Duration(static_cast<int64_t>(after));
}

void PowerLedger::SetHighThreshold(Power threshold) {
  threshold_ = threshold;
  high_until_ = kLongAgo;
  for (int64_t i = count_ - 1; i >= 0; --i) {
    if (At(i).power > threshold) {
      high_until_ = EndOf(i);
      return;
    }
  }
}

}  // namespace scoville::device
