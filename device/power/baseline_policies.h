// Three controllers to compare the predictive governor with.
//
// static: the highest clock whose worst step is at or below every cap. Keeps caps, wastes what the
// worst step would have drawn and this one does not. rapl: a running mean A <- A + min(1, d / tau)
// (P - A) over every stretch d of constant power, tau the first limit's window; one state down
// after a step that leaves A above the cap, one up otherwise. pi: the state f += K_p e + K_i I
// after each step, with e = (cap - mean power since the last step's end) / cap and I the integral
// of e over seconds, which stands still while f is at its end (anti-windup). The latter two look
// back only, so they pass their caps when the work changes; they never wait.
//
// rapl and pi follow the first limit alone. Their effective_at is when they begin to follow a new
// cap, not a promise. Units, ownership, threading, errors: as cap_policy.h.
#ifndef SCOVILLE_DEVICE_POWER_BASELINE_POLICIES_H_
#define SCOVILLE_DEVICE_POWER_BASELINE_POLICIES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/power/cap_policy.h"
#include "device/power/power_phase.h"

namespace scoville::device {

// What the three share: they hold a ceiling on the clock state and run the best candidate below it.
class CeilingPolicy : public CapPolicy {
 public:
  CapDecision Choose(TimePoint now, absl::Span<const StepCandidate> candidates) const override;
  void OnIdle(TimePoint until, Power power) override;
  void OnStepBegin(TimePoint now, absl::Span<const PowerPhase> phases) override;
  void OnStepEnd(TimePoint now) override;
  absl::StatusOr<CapChange> ChangeCap(TimePoint now, int limit, Power cap, TimePoint at) override;

 protected:
  CeilingPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start);

  // The highest state it admits; below zero: none.
  virtual int Ceiling() const = 0;
  virtual void Drew(Duration duration, Power power) = 0;
  virtual void StepOver() {}

  const std::vector<PowerLimit>& limits() const { return limits_; }
  int top_state() const { return top_state_; }
  TimePoint busy_until() const { return busy_until_; }

 private:
  struct Change {
    TimePoint at;
    int limit;
    Power cap;
  };
  void Settle(TimePoint now);

  std::vector<PowerLimit> limits_;
  const int top_state_;
  std::vector<Change> announced_;  // in order of time
  TimePoint now_;
  TimePoint busy_until_;
  std::vector<PowerPhase> running_;
};

class StaticPolicy final : public CeilingPolicy {
 public:
  // `worst_case`: by state, the most any phase draws.
  StaticPolicy(std::vector<PowerLimit> limits, std::vector<Power> worst_case, TimePoint start);

  absl::string_view name() const override { return "static"; }
  absl::StatusOr<CapChange> ChangeCap(TimePoint now, int limit, Power cap, TimePoint at) override;

 protected:
  int Ceiling() const override;
  void Drew(Duration, Power) override {}

 private:
  // A cap the clock has obeyed, and the last instant at which something ran under it.
  struct Obeyed {
    int limit;
    Power cap;
    TimePoint until;
  };

  const std::vector<Power> worst_case_;
  std::vector<Power> clock_cap_;  // what the clock obeys: announced lowerings count at once
  std::vector<Obeyed> before_;
};

class RaplPolicy final : public CeilingPolicy {
 public:
  RaplPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start, Power idle);

  absl::string_view name() const override { return "rapl"; }
  double mean_milliwatts() const { return mean_; }

 protected:
  int Ceiling() const override { return state_; }
  void Drew(Duration duration, Power power) override;
  void StepOver() override;

 private:
  double mean_;
  int state_;
};

class PiPolicy final : public CeilingPolicy {
 public:
  struct Gains {
    double proportional = 2.0;  // states per unit of relative error, at each step
    double integral = 4.0;      // states per second of relative error, at each step
  };

  PiPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start, const Gains& gains);

  absl::string_view name() const override { return "pi"; }

 protected:
  int Ceiling() const override;
  void Drew(Duration duration, Power power) override;
  void StepOver() override;

 private:
  const Gains gains_;
  double level_;         // f, in states
  double integral_ = 0;  // of the relative error, s
  Energy since_;         // drawn since the last step's end
  Duration elapsed_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_BASELINE_POLICIES_H_
