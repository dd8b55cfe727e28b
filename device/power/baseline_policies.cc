#include "device/power/baseline_policies.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace scoville::device {

CeilingPolicy::CeilingPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start)
    : limits_(std::move(limits)), top_state_(top_state), now_(start), busy_until_(start) {
  CHECK(!limits_.empty());
  CHECK_GE(top_state, 0);
}

CapDecision CeilingPolicy::Choose(TimePoint now, absl::Span<const StepCandidate> candidates) const {
  CHECK(!candidates.empty());
  CapDecision decision;
  const int wanted = static_cast<int>(candidates.size()) - 1;
  const int ceiling = Ceiling();
  for (int i = 0; i <= wanted; ++i) {
    if (candidates[i].state <= ceiling) {
      decision.candidate = i;
    }
  }
  if (ceiling < 0) {
    decision.kind = CapDecision::Kind::kNever;
    decision.until = TimePoint::Max();
  } else {
    // The thermal throttle may have taken all that is below: the slowest there is.
    decision.candidate = std::max(decision.candidate, 0);
  }
  if (decision.candidate != wanted) {
    CapExplanation& why = decision.why;
    why.constrained = true;
    why.cap = limits_[0].cap;
    why.window = limits_[0].window;
    why.at = now;
    for (const PowerPhase& phase : candidates[wanted].phases) {
      why.would_be = std::max(why.would_be, phase.power);
    }
    why.wanted_state = candidates[wanted].state;
    why.wanted_megahertz = candidates[wanted].clock_megahertz;
  }
  return decision;
}

void CeilingPolicy::Settle(TimePoint now) {
  CHECK_GE(now, now_);
  now_ = now;
  size_t due = 0;
  while (due < announced_.size() && announced_[due].at <= now) {
    limits_[announced_[due].limit].cap = announced_[due].cap;
    ++due;
  }
  announced_.erase(announced_.begin(), announced_.begin() + static_cast<std::ptrdiff_t>(due));
}

void CeilingPolicy::OnIdle(TimePoint until, Power power) {
  CHECK_GE(until, busy_until_);
  const Duration idle = until - now_;
  Settle(until);
  if (idle > Duration()) {
    Drew(idle, power);
  }
}

void CeilingPolicy::OnStepBegin(TimePoint now, absl::Span<const PowerPhase> phases) {
  Settle(now);
  running_.assign(phases.begin(), phases.end());
  busy_until_ = now + TotalDuration(phases);
}

void CeilingPolicy::OnStepEnd(TimePoint now) {
  const TimePoint begin = busy_until_ - TotalDuration(running_);
  CHECK_GE(now, begin);
  Duration left = std::min(now, busy_until_) - begin;
  for (const PowerPhase& phase : running_) {
    const Duration part = std::min(left, phase.duration);
    if (part > Duration()) {
      Drew(part, phase.power);
    }
    left -= part;
  }
  busy_until_ = std::min(now, busy_until_);
  running_.clear();
  Settle(std::max(now_, now));
  StepOver();
}

absl::StatusOr<CapChange> CeilingPolicy::ChangeCap(TimePoint now, int limit, Power cap,
                                                   TimePoint at) {
  if (limit < 0 || limit >= static_cast<int>(limits_.size())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("there is no power limit %d, they are 0 to %d", limit, limits_.size() - 1));
  }
  if (cap <= Power() || at < now) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cap of %.3f W from %d ns from now on cannot be kept", ToWatts(cap), (at - now).value()));
  }
  std::erase_if(announced_,
                [&](const Change& change) { return change.limit == limit && change.at >= at; });
  const CapChange change{at, cap};
  const auto later = std::find_if(announced_.begin(), announced_.end(),
                                  [&](const Change& other) { return other.at > at; });
  announced_.insert(later, Change{at, limit, cap});
  // A step under way keeps its power; only what follows obeys.
  if (at == now) {
    limits_[limit].cap = cap;
  }
  return change;
}

StaticPolicy::StaticPolicy(std::vector<PowerLimit> limits, std::vector<Power> worst_case,
                           TimePoint start)
    : CeilingPolicy(std::move(limits), static_cast<int>(worst_case.size()) - 1, start),
      worst_case_(std::move(worst_case)) {
  for (const PowerLimit& limit : this->limits()) {
    clock_cap_.push_back(limit.cap);
  }
}

int StaticPolicy::Ceiling() const {
  const Power cap = *std::min_element(clock_cap_.begin(), clock_cap_.end());
  int state = top_state();
  while (state >= 0 && worst_case_[state] > cap) {
    --state;
  }
  return state;
}

absl::StatusOr<CapChange> StaticPolicy::ChangeCap(TimePoint now, int limit, Power cap,
                                                  TimePoint at) {
  if (limit >= 0 && limit < static_cast<int>(clock_cap_.size()) && at > now &&
      cap > clock_cap_[limit]) {
    return absl::InvalidArgumentError("a raise cannot be announced: set it when it is due");
  }
  ASSIGN_OR_RETURN(CapChange change, CeilingPolicy::ChangeCap(now, limit, cap, at));
  before_.push_back({limit, clock_cap_[limit], std::max(now, busy_until())});
  clock_cap_[limit] = cap;
  // A window is free of what ran under a higher cap when that has left it.
  std::erase_if(before_,
                [&](const Obeyed& o) { return o.until + limits()[o.limit].window <= now; });
  for (const Obeyed& o : before_) {
    if (o.limit == limit && o.cap > cap) {
      change.effective_at = std::max(change.effective_at, o.until + limits()[limit].window);
    }
  }
  return change;
}

RaplPolicy::RaplPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start, Power idle)
    : CeilingPolicy(std::move(limits), top_state, start),
      mean_(static_cast<double>(idle.value())),
      state_(top_state) {}

void RaplPolicy::Drew(Duration duration, Power power) {
  const double weight =
      static_cast<double>(duration.value()) / static_cast<double>(limits()[0].window.value());
  mean_ += std::min(1.0, weight) * (static_cast<double>(power.value()) - mean_);
}

void RaplPolicy::StepOver() {
  const bool above = mean_ > static_cast<double>(limits()[0].cap.value());
  state_ = above ? std::max(state_ - 1, 0) : std::min(state_ + 1, top_state());
}

PiPolicy::PiPolicy(std::vector<PowerLimit> limits, int top_state, TimePoint start,
                   const Gains& gains)
    : CeilingPolicy(std::move(limits), top_state, start), gains_(gains), level_(top_state) {}

int PiPolicy::Ceiling() const { return static_cast<int>(level_ + 0.5); }

void PiPolicy::Drew(Duration duration, Power power) {
  since_ += power * duration;
  elapsed_ += duration;
}

void PiPolicy::StepOver() {
  const double seconds = ToSeconds(elapsed_);
  if (seconds <= 0) {
    return;
  }
  const double cap = ToWatts(limits()[0].cap);
  const double error = (cap - since_.joules() / seconds) / cap;
  const double integral = integral_ + error * seconds;
  const double wanted = level_ + gains_.proportional * error + gains_.integral * integral;
  level_ = std::clamp(wanted, 0.0, static_cast<double>(top_state()));
  if (level_ == wanted) {
    integral_ = integral;
  }
  since_ = Energy();
  elapsed_ = Duration();
}

}  // namespace scoville::device
