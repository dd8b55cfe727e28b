#include "device/power/cap_schedule.h"

#include "base/status_macros.h"

namespace scoville::device {

void CapSchedule::Advance(TimePoint now) {
  size_t due = 0;
  while (due < ahead_.size() && ahead_[due].effective_at <= now) {
    now_ = ahead_[due].cap;
    ++due;
  }
  if (due > 0) {
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(due));
  }
}

void CapSchedule::Set(Power cap) {
  now_ = cap;
  ahead_.clear();
}

void CapSchedule::CancelBelow(Power cap) {
  while (!ahead_.empty() && ahead_.back().cap < cap) {
    ahead_.pop_back();
  }
}

void CapSchedule::Lower(const Lowering& lowering) {
  CHECK_LT(lowering.cap, now_);
  while (!ahead_.empty() && (ahead_.back().cap <= lowering.cap ||
                             ahead_.back().effective_at >= lowering.effective_at)) {
    ahead_.pop_back();
  }
  ahead_.push_back(lowering);
}

Power CapSchedule::At(TimePoint at) const {
  Power cap = now_;
  for (const Lowering& l : ahead_) {
    if (l.effective_at > at) {
      break;
    }
    cap = l.cap;
  }
  return cap;
}

Power CapSchedule::RequestedAt(TimePoint at) const {
  Power cap = now_;
  for (const Lowering& l : ahead_) {
    if (l.requested_at <= at) {
      cap = l.cap;
    }
  }
  return cap;
}

}  // namespace scoville::device
