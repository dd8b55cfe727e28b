// The cap of one limit over time: what it is now and the lowerings to come.
//
// A falling staircase. Raises take effect at once and so never lie ahead.
//
// Units: milliwatts, device time. Ownership: a value. Threading: engine thread only. Errors: CHECK
// failures for steps that do not fall.
#ifndef SCOVILLE_DEVICE_POWER_CAP_SCHEDULE_H_
#define SCOVILLE_DEVICE_POWER_CAP_SCHEDULE_H_

#include <cstddef>
#include <vector>

#include "base/units.h"

namespace scoville::device {

class CapSchedule {
 public:
  struct Lowering {
    TimePoint requested_at;
    TimePoint effective_at;
    Power cap;
  };

  explicit CapSchedule(Power cap) : now_(cap) {}

  // Lowerings that have taken effect by `now` become the cap.
  void Advance(TimePoint now);
  // A raise, or a change that takes effect at once: drops all that was announced.
  void Set(Power cap);
  // Drops the lowerings below `cap`.
  void CancelBelow(Power cap);
  // Drops the lowerings whose cap is not above `cap` or that take effect at or after
  // `effective_at`, and appends this one.
  void Lower(const Lowering& lowering);

  // The cap of windows that end at `at`, not before the last Advance.
  Power At(TimePoint at) const;
  // What has been asked for from `at` on.
  Power RequestedAt(TimePoint at) const;
  Power Lowest() const { return ahead_.empty() ? now_ : ahead_.back().cap; }
  // In order of time, caps falling.
  const std::vector<Lowering>& ahead() const { return ahead_; }
  Power now() const { return now_; }

 private:
  Power now_;
  std::vector<Lowering> ahead_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_CAP_SCHEDULE_H_
