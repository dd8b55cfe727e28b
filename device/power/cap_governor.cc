#include "device/power/cap_governor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "device/power/power_trajectory.h"

namespace scoville::device {

namespace {

constexpr int64_t kMillion = 1'000'000;
// Jumps solve for the first fit exactly, usually in one or two; when the worst instant keeps
// moving, and caps are constant, bisection ends it.
constexpr int kJumpsBeforeBisection = 12;
constexpr int kMostJumps = 200;

Duration LongestWindow(const CapGovernorOptions& options) {
  Duration longest;
  for (const PowerLimit& limit : options.limits) {
    longest = std::max(longest, limit.window);
  }
  return longest;
}

Power MeanRoundedUp(__int128 picojoules, Duration window) {
  return Power(static_cast<int64_t>((picojoules + window.value() - 1) / window.value()));
}

}  // namespace

Power MinCap(absl::Span<const PowerPhase> phases, Duration window, Power tail) {
  // The mean of the window that ends s after the beginning peaks where a phase ends or where a
  // phase's beginning leaves the window.
  const auto energy_up_to = [&](Duration s) {
    __int128 energy = 0;
    Duration from;
    for (const PowerPhase& phase : phases) {
      const Duration to = std::min(s, from + phase.duration);
      if (to > from) {
        energy += static_cast<__int128>(std::max(phase.power, tail).value()) * (to - from).value();
      }
      from += phase.duration;
    }
    const Duration outside = s < from ? std::min(s, Duration()) : s - from;
    return energy + static_cast<__int128>(tail.value()) * outside.value();
  };
  __int128 most = static_cast<__int128>(tail.value()) * window.value();
  Duration boundary;
  for (size_t i = 0; i <= phases.size(); ++i) {
    for (const Duration s : {boundary, boundary + window}) {
      most = std::max(most, energy_up_to(s) - energy_up_to(s - window));
    }
    boundary += i < phases.size() ? phases[i].duration : Duration();
  }
  return MeanRoundedUp(most, window);
}

absl::StatusOr<std::unique_ptr<CapGovernor>> CapGovernor::Create(
    const CapGovernorOptions& options) {
  if (options.limits.empty()) {
    return absl::InvalidArgumentError("a cap governor needs at least one limit");
  }
  if (options.guard_ppm < 0 || options.guard_ppm >= kMillion) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the guard is %d ppm of the cap, it must be in [0, 1,000,000)", options.guard_ppm));
  }
  for (size_t i = 0; i < options.limits.size(); ++i) {
    const PowerLimit& limit = options.limits[i];
    if (limit.window <= Duration()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the window of power limit %d is %d ns, it must be above zero", i, limit.window.value()));
    }
    const Power least = std::max(options.tail, options.least_cap);
    const Power usable = limit.cap - Power((limit.cap.value() / kMillion + 1) * options.guard_ppm);
    if (limit.cap < least || usable < options.tail) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the cap of power limit %d is %.3f W, at least %.3f W are needed", i,
                          ToWatts(limit.cap), ToWatts(least)));
    }
  }
  return std::unique_ptr<CapGovernor>(new CapGovernor(options));
}

CapGovernor::CapGovernor(const CapGovernorOptions& options)
    : options_(options),
      longest_window_(LongestWindow(options)),
      ledger_(options.start, options.tail, longest_window_, options.ledger_pieces) {
  for (const PowerLimit& limit : options.limits) {
    limits_.push_back(Limit{limit.window, CapSchedule(limit.cap)});
  }
  UpdateThreshold();
}

Power CapGovernor::Usable(Power cap) const {
  if (options_.guard_ppm == 0) {
    return cap;
  }
  const __int128 guard = static_cast<__int128>(cap.value()) * options_.guard_ppm;
  return cap - Power(static_cast<int64_t>((guard + kMillion - 1) / kMillion));
}

__int128 CapGovernor::Budget(const Limit& limit, Power cap) const {
  return static_cast<__int128>(Usable(cap).value()) * limit.window.value();
}

void CapGovernor::UpdateThreshold() {
  threshold_ = Power(INT64_MAX);
  for (const Limit& limit : limits_) {
    threshold_ = std::min(threshold_, Usable(limit.schedule.Lowest()));
  }
  ledger_.SetHighThreshold(threshold_);
}

// Of the window that ends at `at`; after the ledger's end the device idles.
__int128 CapGovernor::WindowEnergy(const Limit& limit, TimePoint at) const {
  const TimePoint from = at - limit.window;
  const TimePoint end = ledger_.end();
  if (at <= end) {
    return ledger_.EnergyOver(from, at);
  }
  const __int128 idle = static_cast<__int128>(ledger_.tail().value());
  if (from >= end) {
    return idle * limit.window.value();
  }
  return ledger_.EnergyOver(from, end) + idle * (at - end).value();
}

bool CapGovernor::BelowAllCaps(TimePoint start, absl::Span<const PowerPhase> phases) const {
  if (ledger_.HighUntil() > start - longest_window_) {
    return false;
  }
  for (const PowerPhase& phase : phases) {
    if (phase.power > threshold_) {
      return false;
    }
  }
  return true;
}

// The window's energy is linear between the instants at which the trajectory, or its copy shifted
// by the window, changes; and it does not rise after the step. So it is enough to look there, and
// at the lowerings of the cap up to a window after the end.
std::optional<CapGovernor::Breach> CapGovernor::WorstBreach(int index, TimePoint start,
                                                            absl::Span<const PowerPhase> phases,
                                                            bool any) const {
  const Limit& limit = limits_[index];
  const std::vector<CapSchedule::Lowering>& ahead = limit.schedule.ahead();
  const TimePoint end = start + TotalDuration(phases);
  const TimePoint horizon =
      ahead.empty() ? end : std::max(end, std::min(ahead.back().effective_at, end + limit.window));
  TrajectoryCursor lead(ledger_, start, phases, start);
  TrajectoryCursor trail(ledger_, start, phases, start - limit.window);
  size_t lowering = 0;
  __int128 budget = Budget(limit, limit.schedule.now());
  __int128 energy = WindowEnergy(limit, start);
  TimePoint at = start;
  Breach worst{index, start, 0};
  while (true) {
    while (lowering < ahead.size() && ahead[lowering].effective_at <= at) {
      budget = Budget(limit, ahead[lowering].cap);
      ++lowering;
    }
    if (energy - budget > worst.picojoules) {
      worst = Breach{index, at, energy - budget};
      if (any) {
        return worst;
      }
    }
    if (at >= horizon) {
      break;
    }
    TimePoint next = std::min({horizon, lead.next(), trail.next() + limit.window});
    if (lowering < ahead.size()) {
      next = std::min(next, ahead[lowering].effective_at);
    }
    energy += static_cast<__int128>((lead.power() - trail.power()).value()) * (next - at).value();
    at = next;
    lead.MoveTo(at);
    trail.MoveTo(at - limit.window);
  }
  return worst.picojoules > 0 ? std::optional<Breach>(worst) : std::nullopt;
}

bool CapGovernor::Admissible(TimePoint start, absl::Span<const PowerPhase> phases) const {
  CHECK_GE(start, ledger_.end());
  if (BelowAllCaps(start, phases)) {
    return true;
  }
  for (int i = 0; i < limits(); ++i) {
    if (WorstBreach(i, start, phases, /*any=*/true)) {
      return false;
    }
  }
  return true;
}

std::optional<CapGovernor::Breach> CapGovernor::FirstBreach(
    TimePoint start, absl::Span<const PowerPhase> phases) const {
  CHECK_GE(start, ledger_.end());
  if (BelowAllCaps(start, phases)) {
    return std::nullopt;
  }
  for (int i = 0; i < limits(); ++i) {
    std::optional<Breach> breach = WorstBreach(i, start, phases, /*any=*/false);
    if (breach) {
      return breach;
    }
  }
  return std::nullopt;
}

bool CapGovernor::LoweringsAhead() const {
  for (const Limit& limit : limits_) {
    if (!limit.schedule.ahead().empty()) {
      return true;
    }
  }
  return false;
}

// The next start that might mend a breach; none before it does.
//
// Seen from the step: at the same instant of a step that begins later the window's end has moved
// with the step, its beginning over the past, and the cap can only have fallen. So the excess is
// gone no sooner than when the past has shed it. If the past does not hold that much: never.
//
// Seen from the clock: at the same instant of time, as long as the window holds all the step has
// done until then, a later start takes away what the step drew last. So the excess is gone no
// sooner than when the step has been moved out by that much.
std::optional<TimePoint> CapGovernor::NextCandidateStart(
    const Breach& breach, TimePoint start, absl::Span<const PowerPhase> phases) const {
  const TimePoint from = breach.at - limits_[breach.limit].window;
  const std::optional<TimePoint> shed = ledger_.ShedTime(from, breach.picojoules);
  if (!shed) {
    return std::nullopt;
  }
  const TimePoint by_step = start + (*shed - from);
  return from <= start ? std::max(by_step, start + MovedOut(breach, start, phases)) : by_step;
}

// How much later a step must begin to have drawn, above the tail and by the instant of the breach,
// less by the excess.
Duration CapGovernor::MovedOut(const Breach& breach, TimePoint start,
                               absl::Span<const PowerPhase> phases) const {
  __int128 left = breach.picojoules;
  TimePoint end = start + TotalDuration(phases);
  for (size_t i = phases.size(); i > 0; --i) {
    const PowerPhase& phase = phases[i - 1];
    const TimePoint begin = end - phase.duration;
    const TimePoint until = std::min(end, breach.at);
    const __int128 rate = (std::max(phase.power, ledger_.tail()) - ledger_.tail()).value();
    if (until > begin && rate > 0) {
      const __int128 needed = (left + rate - 1) / rate;
      if (needed <= (until - begin).value()) {
        return breach.at - until + Duration(static_cast<int64_t>(needed));
      }
      left -= rate * (until - begin).value();
    }
    end = begin;
  }
  return breach.at - start;
}

// Under constant caps waiting only helps: the first fit is where "fits" turns true.
CapGovernor::FirstFit CapGovernor::Bisect(TimePoint low, TimePoint high,
                                          absl::Span<const PowerPhase> phases) const {
  while (high - low > Duration(1)) {
    const TimePoint middle = low + (high - low) / 2;
    (Admissible(middle, phases) ? high : low) = middle;
  }
  return FirstFit{false, high, true};
}

CapGovernor::FirstFit CapGovernor::FirstAdmissible(TimePoint now,
                                                   absl::Span<const PowerPhase> phases,
                                                   TimePoint give_up_after) const {
  CHECK_GE(now, ledger_.end());
  TimePoint start = now;
  const bool constant = !LoweringsAhead();
  for (int jump = 0; jump < kMostJumps; ++jump) {
    TimePoint next = start;
    for (int i = 0; i < limits(); ++i) {
      const std::optional<Breach> breach = WorstBreach(i, start, phases, /*any=*/false);
      if (breach) {
        const std::optional<TimePoint> later = NextCandidateStart(*breach, start, phases);
        if (!later) {
          return FirstFit{true, TimePoint::Max(), true};
        }
        next = std::max(next, *later);
      }
    }
    if (next == start) {
      return FirstFit{false, start, true};
    }
    start = next;
    if (start > give_up_after) {
      return FirstFit{false, start, false};
    }
    if (constant && jump + 1 == kJumpsBeforeBisection) {
      const TimePoint rested = std::max(start, ledger_.end() + longest_window_);
      if (!Admissible(rested, phases)) {
        return FirstFit{true, TimePoint::Max(), true};
      }
      return Bisect(start - Duration(1), rested, phases);
    }
  }
  return FirstFit{false, start, false};
}

bool CapGovernor::FitsFromRest(absl::Span<const PowerPhase> phases) const {
  for (const Limit& limit : limits_) {
    if (MinCap(phases, limit.window, ledger_.tail()) > Usable(limit.schedule.Lowest())) {
      return false;
    }
  }
  return true;
}

Power CapGovernor::WindowMean(TimePoint now, int limit) const {
  return MeanRoundedUp(WindowEnergy(limits_[limit], now), limits_[limit].window);
}

CapExplanation CapGovernor::Explain(TimePoint now, const StepCandidate& wanted,
                                    const Breach& breach) const {
  const Limit& limit = limits_[breach.limit];
  CapExplanation why;
  why.constrained = true;
  why.limit = breach.limit;
  why.cap = limit.schedule.At(breach.at);
  why.window = limit.window;
  why.at = breach.at;
  why.would_be = MeanRoundedUp(Budget(limit, why.cap) + breach.picojoules, limit.window);
  why.headroom = limit.schedule.At(now) - WindowMean(now, breach.limit);
  why.wanted_state = wanted.state;
  why.wanted_megahertz = wanted.clock_megahertz;
  return why;
}

CapDecision CapGovernor::Choose(TimePoint now, absl::Span<const StepCandidate> candidates) const {
  CapDecision decision;
  const int wanted = MostPreferred(options_.mode, candidates);
  const std::optional<Breach> breach = FirstBreach(now, candidates[wanted].phases);
  if (!breach) {
    decision.candidate = wanted;
    return decision;
  }
  decision.why = Explain(now, candidates[wanted], *breach);
  // Admissibility is not monotone in the clock: all are tried.
  for (int i = static_cast<int>(candidates.size()) - 1; i >= 0; --i) {
    if (i != wanted &&
        (decision.candidate < 0 ||
         Preferred(options_.mode, candidates[i], candidates[decision.candidate])) &&
        Admissible(now, candidates[i].phases)) {
      decision.candidate = i;
    }
  }
  if (decision.candidate >= 0) {
    return decision;
  }
  decision.kind = CapDecision::Kind::kNever;
  decision.until = TimePoint::Max();
  for (const StepCandidate& candidate : candidates) {
    const FirstFit fit = FirstAdmissible(now, candidate.phases, decision.until);
    if (!fit.never && fit.at < decision.until) {
      decision.kind = CapDecision::Kind::kWait;
      decision.until = fit.at;
      decision.exact = fit.exact;
    }
  }
  return decision;
}

void CapGovernor::OnIdle(TimePoint until, Power power) {
  CHECK_LE(power, ledger_.tail());
  CHECK_GE(until, ledger_.end());
  ledger_.Append(until - ledger_.end(), power);
  for (Limit& limit : limits_) {
    limit.schedule.Advance(until);
  }
}

void CapGovernor::OnStepBegin(TimePoint now, absl::Span<const PowerPhase> phases) {
  OnIdle(now, ledger_.tail());
  ledger_.Forget(now);
  for (const PowerPhase& phase : phases) {
    ledger_.Append(phase.duration, phase.power);
  }
}

void CapGovernor::OnStepEnd(TimePoint now) { ledger_.Truncate(now); }

// From when on every window keeps `cap` if the device idles after the step under way.
TimePoint CapGovernor::EffectiveAt(const Limit& limit, Power cap, TimePoint at) const {
  const __int128 budget = Budget(limit, cap);
  TimePoint settled = std::max(at, ledger_.end());
  const __int128 excess = WindowEnergy(limit, settled) - budget;
  if (excess > 0) {
    const TimePoint from = settled - limit.window;
    const std::optional<TimePoint> shed = ledger_.ShedTime(from, excess);
    CHECK(shed.has_value());  // the cap is not below the tail
    return settled + (*shed - from);
  }
  // It holds from the end of the step on; perhaps it holds all along.
  TrajectoryCursor lead(ledger_, ledger_.end(), {}, at);
  TrajectoryCursor trail(ledger_, ledger_.end(), {}, at - limit.window);
  __int128 energy = WindowEnergy(limit, at);
  TimePoint instant = at;
  while (energy <= budget) {
    if (instant >= settled) {
      return at;
    }
    const TimePoint next = std::min({settled, lead.next(), trail.next() + limit.window});
    energy +=
        static_cast<__int128>((lead.power() - trail.power()).value()) * (next - instant).value();
    instant = next;
    lead.MoveTo(instant);
    trail.MoveTo(instant - limit.window);
  }
  return settled;
}

absl::StatusOr<CapChange> CapGovernor::ChangeCap(TimePoint now, int index, Power cap,
                                                 TimePoint at) {
  if (index < 0 || index >= limits()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("there is no power limit %d, they are 0 to %d", index, limits() - 1));
  }
  if (at < now) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the cap is to change %d ns ago, which is past", (now - at).value()));
  }
  const Power least = std::max(ledger_.tail(), options_.least_cap);
  if (cap < least || Usable(cap) < ledger_.tail()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a cap of %.3f W cannot be kept: at least %.3f W are needed", ToWatts(cap),
                        ToWatts(least)));
  }
  if (now > ledger_.end()) {
    OnIdle(now, ledger_.tail());
  }
  Limit& limit = limits_[index];
  limit.schedule.Advance(now);
  if (at > now && cap > limit.schedule.RequestedAt(at)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a raise to %.3f W cannot be announced (the cap then is %.3f W): set it when it is due",
        ToWatts(cap), ToWatts(limit.schedule.RequestedAt(at))));
  }
  limit.schedule.CancelBelow(cap);
  CapChange change{at, cap};
  if (cap >= limit.schedule.now()) {
    limit.schedule.Set(cap);
    change.effective_at = now;
  } else if (limit.schedule.Lowest() == cap && limit.schedule.ahead().back().requested_at <= at) {
    change.effective_at = limit.schedule.ahead().back().effective_at;
  } else {
    change.effective_at = EffectiveAt(limit, cap, at);
    if (change.effective_at <= now) {
      limit.schedule.Set(cap);
    } else {
      limit.schedule.Lower({at, change.effective_at, cap});
    }
  }
  UpdateThreshold();
  return change;
}

}  // namespace scoville::device
