// Which clock state a step runs at under power caps, or how long it waits: one interface for the
// predictive governor and for the controllers it is compared with.
//
// A pass of the caller: OnIdle up to now; Choose among the step's candidates, one for each clock
// state; OnStepBegin with the phases of the one that runs; OnStepEnd when it is over or cut short.
// Calls come in order of device time. A policy sees device time only: emulation lag is no part.
//
// Units: device time, milliwatts of the whole device. Ownership: policies are owned by their
// device; candidates are borrowed for the call. Threading: engine thread only. Errors: refused
// caps are InvalidArgument with the reason; calls out of order are CHECK failures.
#ifndef SCOVILLE_DEVICE_POWER_CAP_POLICY_H_
#define SCOVILLE_DEVICE_POWER_CAP_POLICY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/power/power_phase.h"

namespace scoville::device {

// perf: the most tokens per second, at the candidates' pace. eff: the fewest joules per token that
// keep the latency slack.
enum class CapMode : uint8_t { kPerf = 0, kEff = 1 };

// A step as it would run at one clock state.
struct StepCandidate {
  int state = 0;
  int64_t clock_megahertz = 0;  // for explanations only
  absl::Span<const PowerPhase> phases;
  // Time a step if many such follow one another under the cap: its duration, or longer where it
  // draws more than the cap and has to be spaced out. Zero: the duration.
  Duration pace;
  Duration duration;        // until its tokens are out: without a phase of lingering
  Energy energy;            // of all phases
  int64_t tokens = 0;       // prefill and decode
  bool meets_slack = true;  // ends within the latency slack of every sequence in it
};

// Whether `a` is to be preferred to `b`. eff: what keeps the slack before what does not, among the
// former by joules per token, among the latter by tokens per second. Ties: the lower state. Exact,
// a strict order over candidates of different states.
bool Preferred(CapMode mode, const StepCandidate& a, const StepCandidate& b);

// The index of the candidate preferred to all others. Precondition: not empty.
int MostPreferred(CapMode mode, absl::Span<const StepCandidate> candidates);

// Why a step did not get the state it would have had without caps.
struct CapExplanation {
  bool constrained = false;  // false: it got it; nothing below is set
  int limit = 0;             // the first limit the wanted state would have broken
  Power cap;                 // of that limit, at the instant in question
  Duration window;
  TimePoint at;    // when the wanted state would have stood highest above it
  Power would_be;  // the window's mean then, rounded up
  Power headroom;  // cap minus the mean of the window that ends now
  int wanted_state = 0;
  int64_t wanted_megahertz = 0;
};

struct CapDecision {
  enum class Kind : uint8_t {
    kRun,    // candidate `candidate` now
    kWait,   // none now: ask again at `until`, or after a change of cap
    kNever,  // none fits even from rest: the step has to be made smaller
  };
  Kind kind = Kind::kRun;
  int candidate = -1;
  TimePoint until;
  // Whether `until` is the first instant at which a candidate fits. Otherwise, which takes an
  // announced lowering, none fits before it.
  bool exact = true;
  CapExplanation why;

  // One sentence for a person, e.g. "1,800 MHz would bring the mean over 1 s to 312.4 W, the cap is
  // 300.0 W and 12.1 W of it are left: runs at 900 MHz". Empty if not constrained.
  std::string Sentence(TimePoint now, absl::Span<const StepCandidate> candidates) const;
};

// The answer to a change of cap.
struct CapChange {
  // Every window that ends at or after this instant keeps the new cap; until then the old one
  // holds. Before what was asked for only if that very cap stood or was announced already.
  TimePoint effective_at;
  Power cap;
};

class CapPolicy {
 public:
  virtual ~CapPolicy() = default;

  virtual absl::string_view name() const = 0;

  // `candidates`: not empty, by rising state. May be asked any number of times.
  virtual CapDecision Choose(TimePoint now, absl::Span<const StepCandidate> candidates) const = 0;

  // The device was idle until `until`, drawing `power` since the last call.
  virtual void OnIdle(TimePoint until, Power power) = 0;
  // A step begins that draws `phases`. Precondition: Choose said so.
  virtual void OnStepBegin(TimePoint now, absl::Span<const PowerPhase> phases) = 0;
  // It is over; before the end of its phases if it was cut short.
  virtual void OnStepEnd(TimePoint now) = 0;

  // From `at` (not before `now`) on the cap of a limit is to be `cap`. `at` == `now`: at once, and
  // what was announced is off. Later: an announcement, which must be a lowering.
  virtual absl::StatusOr<CapChange> ChangeCap(TimePoint now, int limit, Power cap,
                                              TimePoint at) = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_CAP_POLICY_H_
