// The predictive governor: admits a step only if the device could idle for ever after it and no
// window of any length that has a cap would have passed it.
//
// Why that holds, and the order of one pass, is written in device/power/README.md. All decisions
// are made on integers; a window at its cap to the picojoule is at its cap, not above it.
//
// Units: device time, milliwatts of the whole device. Ownership: by its device. Threading: engine
// thread only. Errors: Create and ChangeCap refuse with InvalidArgument: no limit, a window that is
// not above zero, a cap below the least; an idle power above the tail, calls out of order or a step
// that begins before the last one's end are CHECK failures.
#ifndef SCOVILLE_DEVICE_POWER_CAP_GOVERNOR_H_
#define SCOVILLE_DEVICE_POWER_CAP_GOVERNOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/power/cap_policy.h"
#include "device/power/cap_schedule.h"
#include "device/power/power_ledger.h"
#include "device/power/power_phase.h"

namespace scoville::device {

struct CapGovernorOptions {
  std::vector<PowerLimit> limits;  // the first is the operator's
  // The most the device draws while idle, however warm: warm idle at the trip temperature.
  Power tail;
  // Caps below are refused: MinCap of the smallest step at the lowest clock, or zero for the tail.
  Power least_cap;
  CapMode mode = CapMode::kPerf;
  // Millionths of each cap kept free, for a predictor that may be that much too low.
  int64_t guard_ppm = 0;
  int64_t ledger_pieces = 4096;  // a power of two
  TimePoint start;
};

// The least cap under which `phases` fit after a rest: of any window of that length the highest
// mean, with `tail` before and after. Rounded up.
Power MinCap(absl::Span<const PowerPhase> phases, Duration window, Power tail);

class CapGovernor final : public CapPolicy {
 public:
  static absl::StatusOr<std::unique_ptr<CapGovernor>> Create(const CapGovernorOptions& options);

  // A cap that would be broken: by which limit, when it would be worst, and by how much.
  struct Breach {
    int limit = 0;
    TimePoint at;
    __int128 picojoules = 0;  // of the window's energy above its budget
  };
  struct FirstFit {
    bool never = false;
    TimePoint at;  // the first instant at which it fits; not exact: none fits before
    bool exact = true;
  };

  // Whether a step of `phases` may begin at `start`, not before the last one's end, if the device
  // idles from then until `start` and after the step.
  bool Admissible(TimePoint start, absl::Span<const PowerPhase> phases) const;
  // What forbids it: of the first limit that does, the instant with the largest excess.
  std::optional<Breach> FirstBreach(TimePoint start, absl::Span<const PowerPhase> phases) const;
  // When it may begin. `give_up_after`: not worth knowing if later; then `at` lies after it.
  FirstFit FirstAdmissible(TimePoint now, absl::Span<const PowerPhase> phases,
                           TimePoint give_up_after = TimePoint::Max()) const;
  // Whether it fits after a rest, under the lowest cap ahead.
  bool FitsFromRest(absl::Span<const PowerPhase> phases) const;

  // Mean over the window that ends at `now`, idle power counted as the tail; rounded up.
  Power WindowMean(TimePoint now, int limit) const;
  Power Cap(TimePoint now, int limit) const { return limits_[limit].schedule.At(now); }
  int limits() const { return static_cast<int>(limits_.size()); }
  Duration window(int limit) const { return limits_[limit].window; }

  absl::string_view name() const override { return "predictive"; }
  CapDecision Choose(TimePoint now, absl::Span<const StepCandidate> candidates) const override;
  void OnIdle(TimePoint until, Power power) override;
  void OnStepBegin(TimePoint now, absl::Span<const PowerPhase> phases) override;
  void OnStepEnd(TimePoint now) override;
  absl::StatusOr<CapChange> ChangeCap(TimePoint now, int limit, Power cap, TimePoint at) override;

 private:
  struct Limit {
    Duration window;
    CapSchedule schedule;
  };

  explicit CapGovernor(const CapGovernorOptions& options);
  Power Usable(Power cap) const;
  __int128 Budget(const Limit& limit, Power cap) const;
  __int128 WindowEnergy(const Limit& limit, TimePoint at) const;
  std::optional<Breach> WorstBreach(int limit, TimePoint start, absl::Span<const PowerPhase> phases,
                                    bool any) const;
  bool BelowAllCaps(TimePoint start, absl::Span<const PowerPhase> phases) const;
  std::optional<TimePoint> NextCandidateStart(const Breach& breach, TimePoint start,
                                              absl::Span<const PowerPhase> phases) const;
  Duration MovedOut(const Breach& breach, TimePoint start,
                    absl::Span<const PowerPhase> phases) const;
  FirstFit Bisect(TimePoint low, TimePoint high, absl::Span<const PowerPhase> phases) const;
  bool LoweringsAhead() const;
  TimePoint EffectiveAt(const Limit& limit, Power cap, TimePoint at) const;
  CapExplanation Explain(TimePoint now, const StepCandidate& wanted, const Breach& breach) const;
  void UpdateThreshold();

  const CapGovernorOptions options_;
  std::vector<Limit> limits_;
  Duration longest_window_;
  PowerLedger ledger_;  // up to the end of the step under way, as planned
  Power threshold_;     // the lowest cap of all limits, now or ahead, less the guard
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_CAP_GOVERNOR_H_
