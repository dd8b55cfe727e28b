#include "device/device_power.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "device/power/baseline_policies.h"
#include "device/power/cap_governor.h"

namespace scoville::device {

namespace {

Duration Time(const ProfileNumber& seconds) {
  return Nanoseconds(static_cast<int64_t>(seconds.value * 1e9));
}

ThermalLimits LimitsOf(const Profile& profile) {
  ThermalLimits limits;
  limits.junction_resistance = profile.junction_resistance.value;
  limits.sink_resistance = profile.sink_resistance.value;
  limits.junction_seconds = profile.junction_time.value;
  limits.sink_seconds = profile.sink_time.value;
  limits.inlet_celsius = profile.inlet_temperature.value;
  limits.throttle_celsius = profile.throttle_temperature.value;
  limits.release_celsius = profile.release_temperature.value;
  limits.trip_celsius = profile.trip_temperature.value;
  limits.throttle_period = Time(profile.throttle_interval);
  return limits;
}

// The candidate without the phases, which are another's.
StepCandidate ClockOf(const StepCandidate& candidate) {
  StepCandidate clock;
  clock.state = candidate.state;
  clock.clock_megahertz = candidate.clock_megahertz;
  return clock;
}

}  // namespace

StepHindrance& DevicePower::Hindered(StepHindrance::Kind kind, TimePoint when) {
  last_hindrance_ = StepHindrance();
  last_hindrance_.kind = kind;
  last_hindrance_.when = when;
  return last_hindrance_;
}

DevicePower::DevicePower(StepPricer* pricer, const PowerOptions& options)
    : pricer_(pricer),
      options_(options),
      model_(pricer->profile(), pricer->model().chips),
      top_(pricer->profile().top_state()),
      cap_(options.cap == Power() ? tdp() : options.cap),
      min_cap_(MinCapOf()),
      thermal_(LimitsOf(pricer->profile()), pricer->model().chips, top_, TimePoint(),
               model_.Warm()),
      meter_(TimePoint(), model_.Warm()) {
  const size_t states = static_cast<size_t>(model_.states());
  prices_.resize(states);
  phases_.resize(2 * states);
  SetIdlePower(TimePoint(), IdleState::kWarm);
  trace_caps_.push_back({TimePoint(), cap_});
}

absl::StatusOr<std::unique_ptr<DevicePower>> DevicePower::Create(StepPricer* pricer,
                                                                 const PowerOptions& options) {
  if (options.cap_window <= Duration()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the window of a power cap is %d ns; it must be above zero", options.cap_window.value()));
  }
  if (options.cap < Power() || options.park_after < Duration()) {
    return absl::InvalidArgumentError("a power cap or the time to park is negative");
  }
  std::unique_ptr<DevicePower> device(new DevicePower(pricer, options));
  const Profile& profile = pricer->profile();
  const int64_t chips = pricer->model().chips;
  CapGovernorOptions governor;
  governor.limits.push_back({device->cap_, options.cap_window});
  // The package's own limit is no matter of the operator: it does not follow the cap.
  governor.limits.push_back(
      {Milliwatts(static_cast<int64_t>(profile.burst_power.value * 1e3)) * chips,
       Time(profile.burst_window)});
  governor.tail = device->model_.Tail();
  governor.least_cap = device->min_cap_;
  governor.mode = options.mode;
  const bool fixed_clock = options.governor == GovernorKind::kStatic;
  if (fixed_clock && device->cap_ < device->model_.WorstCase(0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a fixed clock cannot keep a cap of %.1f W: the worst step at the lowest one draws %.1f W",
        ToWatts(device->cap_), ToWatts(device->model_.WorstCase(0))));
  }
  if (device->cap_ < device->min_cap_) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cap of %.1f W cannot be kept: one sequence at the lowest clock needs %.1f W over %g s "
        "(a device draws up to %.1f W without working); ask for at least that",
        ToWatts(device->cap_), ToWatts(device->min_cap_), ToSeconds(options.cap_window),
        ToWatts(governor.tail)));
  }
  if (options.governor != GovernorKind::kPredictive) {
    device->policy_ = device->MakeBaseline(governor.limits);
    return device;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<CapGovernor> predictive, CapGovernor::Create(governor));
  device->governor_ = predictive.get();
  device->policy_ = std::move(predictive);
  return device;
}

Power DevicePower::LeastCapFor(const StepShape& shape) const {
  const StepPrice price = pricer_->Price(shape, StepClock{0, 0, true});
  const double hot = model_.TripLeakage();
  const PowerPhase phases[] = {{price.host_gap, model_.HostGap(0, hot)},
                               {price.forward, model_.Forward(price, 0, hot)}};
  return MinCap(phases, options_.cap_window, model_.Tail());
}

Duration DevicePower::LongestStep(const StepShape& shape) const {
  return pricer_->Price(shape, StepClock{0, 0, true}).duration;
}

Power DevicePower::tdp() const { return pricer_->profile().TdpPower() * pricer_->model().chips; }

// The least cap that still admits the smallest steps there are: one decode at the longest context,
// one token of a prompt likewise.
Power DevicePower::MinCapOf() const {
  Power least = model_.Tail() + Milliwatts(1);
  for (const StepRole role : {StepRole::kPrefill, StepRole::kDecode}) {
    StepShape shape;
    shape.Add(SequenceWork{role, pricer_->model().context, 1, 1, 0}, pricer_->model().rules);
    least = std::max(least, LeastCapFor(shape));
  }
  return least;
}

std::unique_ptr<CapPolicy> DevicePower::MakeBaseline(std::vector<PowerLimit> limits) const {
  switch (options_.governor) {
    case GovernorKind::kStatic: {
      std::vector<Power> worst;
      for (int state = 0; state <= top_; ++state) {
        worst.push_back(model_.WorstCase(state));
      }
      return std::make_unique<StaticPolicy>(std::move(limits), std::move(worst), TimePoint());
    }
    case GovernorKind::kRapl:
      return std::make_unique<RaplPolicy>(std::move(limits), top_, TimePoint(), model_.Warm());
    case GovernorKind::kPi:
      return std::make_unique<PiPolicy>(std::move(limits), top_, TimePoint(), PiPolicy::Gains());
    case GovernorKind::kPredictive:
      break;
  }
  CHECK(false);
}

void DevicePower::SetIdlePower(TimePoint now, IdleState state) {
  idle_state_ = state;
  const double leakage = model_.LeakageFactor(thermal_.At(now).junction);
  const Power power = model_.Idle(state, 0, leakage);
  thermal_.SetPower(now, power);
  meter_.SetPower(now, power);
  park_at_ = options_.park_after > Duration() && state == IdleState::kWarm
                 ? now + options_.park_after
                 : TimePoint::Max();
}

void DevicePower::Trace(TimePoint start, Duration duration, Power power) {
  if (options_.keep_trace && duration > Duration()) {
    trace_.push_back({start, duration, power});
  }
}

void DevicePower::AddIdle(Duration duration) {
  const Energy energy = meter_.power() * duration;
  Trace(settled_, duration, meter_.power());
  if (settled_ < cap_wait_until_) {
    idle_.cap_wait += duration;
    idle_.cap_wait_energy += energy;
  } else if (idle_state_ == IdleState::kParked) {
    idle_.parked += duration;
    idle_.parked_energy += energy;
  } else {
    idle_.warm += duration;
    idle_.warm_energy += energy;
  }
}

void DevicePower::ApplyCaps(TimePoint now) {
  size_t due = 0;
  while (due < announced_.size() && announced_[due].effective_at <= now) {
    cap_ = announced_[due].cap;
    ++due;
  }
  announced_.erase(announced_.begin(), announced_.begin() + static_cast<std::ptrdiff_t>(due));
}

// Between two changes of what it is doing.
void DevicePower::IdlePieceUntil(TimePoint until) {
  AddIdle(until - settled_);
  policy_->OnIdle(until, meter_.power());
  settled_ = until;
  ApplyCaps(until);
}

void DevicePower::StayAwakeUntil(TimePoint until) {
  if (options_.park_after > Duration()) {
    park_at_ = std::max(park_at_, until + options_.park_after);
  }
}

void DevicePower::IdleUntil(TimePoint now) {
  CHECK(!busy_);
  if (settled_ < cap_wait_until_ && cap_wait_until_ < now) {
    IdlePieceUntil(cap_wait_until_);
  }
  if (park_at_ <= now) {
    IdlePieceUntil(park_at_);
    SetIdlePower(settled_, IdleState::kParked);
  }
  IdlePieceUntil(now);
}

void DevicePower::FillCandidate(int state, const StepShape& shape, double leakage, int wanted,
                                Duration latency_limit) {
  StepPrice& price = prices_[static_cast<size_t>(state)];
  price = pricer_->Price(shape, StepClock{state, wanted, state != last_state_});
  PowerPhase* phases = &phases_[2 * static_cast<size_t>(state)];
  phases[0] = {price.host_gap, model_.HostGap(state, leakage)};
  phases[1] = {price.forward, model_.Forward(price, state, leakage)};
  StepCandidate candidate;
  candidate.state = state;
  candidate.clock_megahertz =
      static_cast<int64_t>(pricer_->profile().pstates[static_cast<size_t>(state)].hertz / 1e6);
  candidate.phases = absl::MakeConstSpan(phases, 2);
  candidate.duration = price.duration;
  candidate.energy = TotalEnergy(candidate.phases);
  candidate.tokens = shape.total_tokens();
  candidate.pace = PaceOf(candidate.energy, candidate.duration);
  candidate.meets_slack = latency_limit == Duration() || price.duration <= latency_limit;
  candidates_.push_back(candidate);
}

// A step of energy E and duration d under a mean of C, with the tail T between steps, repeats every
// (E - T d) / (C - T).
Duration DevicePower::PaceOf(Energy energy, Duration duration) const {
  const Power tail = model_.Tail();
  const __int128 above = (energy - tail * duration).total_picojoules();
  const __int128 room = (cap_ - tail).value();
  return room <= 0 || above <= 0 ? duration
                                 : std::max(duration, Duration(static_cast<int64_t>(above / room)));
}

// A burst after a rest runs at the highest clock that is admitted: it is over before the window is
// spent. Once more than half of what working may draw is, steps are taken to go on, and the
// clock that gives the most of them is chosen: racing and waiting spends more on the same tokens.
bool DevicePower::Paces(TimePoint now, const StepCandidate& fastest) const {
  if (governor_ == nullptr || fastest.pace <= fastest.duration) {
    return false;
  }
  return governor_->WindowMean(now, 0) - model_.Tail() > (cap_ - model_.Tail()) / 2;
}

// Heat moves slowly: far from the trip temperature no step can reach it.
bool DevicePower::WouldTrip(TimePoint now, const StepCandidate& candidate) const {
  constexpr double kFar = 20.0;
  if (thermal_.At(now).junction < thermal_.limits().trip_celsius - kFar) {
    return false;
  }
  ThermalModel ahead = thermal_;
  TimePoint at = now;
  for (const PowerPhase& phase : candidate.phases) {
    ahead.SetPower(at, phase.power);
    at += phase.duration;
    if (ahead.TripTime(at)) {
      return true;
    }
  }
  return false;
}

void DevicePower::Park(TimePoint now) {
  CHECK(!busy_);
  CHECK_EQ(settled_, now);
  SetIdlePower(now, IdleState::kParked);
}

void DevicePower::Wake(TimePoint now) {
  if (idle_state_ == IdleState::kWarm) {
    return;
  }
  ready_at_ = now + Time(pricer_->profile().parked_exit);
  SetIdlePower(now, IdleState::kWarm);
  StayAwakeUntil(ready_at_);
}

StepOffer DevicePower::Offer(TimePoint now, const StepShape& shape, Duration latency_limit) {
  CHECK(!busy_);
  CHECK_EQ(settled_, now);
  StepOffer offer;
  Wake(now);
  if (now < ready_at_) {
    offer.kind = StepOffer::Kind::kWait;
    offer.cause = DelayCause::kWake;
    offer.wait = ready_at_ - now;
    return offer;
  }
  const double junction = thermal_.At(now).junction;
  tripped_ = tripped_ ? junction >= thermal_.limits().release_celsius
                      : junction >= thermal_.limits().trip_celsius;
  if (tripped_) {
    offer.kind = StepOffer::Kind::kWait;
    offer.cause = DelayCause::kHeat;
    offer.wait = thermal_.limits().throttle_period;
    StepHindrance& tripped = Hindered(StepHindrance::Kind::kTripped, now);
    tripped.celsius = junction;
    tripped.works_below = thermal_.limits().release_celsius;
  } else {
    offer = OfferUnderCap(now, shape, latency_limit, thermal_.Ceiling(now),
                          model_.LeakageFactor(junction));
  }
  if (offer.kind == StepOffer::Kind::kWait) {
    cap_wait_until_ = now + offer.wait;
    StayAwakeUntil(cap_wait_until_);
  }
  return offer;
}

StepOffer DevicePower::OfferUnderCap(TimePoint now, const StepShape& shape, Duration latency_limit,
                                     int ceiling, double leakage) {
  candidates_.clear();
  // perf wants the highest clock; where it is admitted nothing else need be priced.
  const bool top_first =
      options_.mode == CapMode::kPerf && options_.governor == GovernorKind::kPredictive;
  CapDecision decision;
  bool decided = false;
  bool paces = false;
  if (top_first) {
    FillCandidate(ceiling, shape, leakage, top_, latency_limit);
    paces = Paces(now, candidates_[0]);
    if (!paces && governor_->Admissible(now, candidates_[0].phases)) {
      decision = policy_->Choose(now, candidates_);
      decided = decision.kind == CapDecision::Kind::kRun && !WouldTrip(now, candidates_[0]);
    }
  }
  if (!decided) {
    candidates_.clear();
    for (int state = 0; state <= ceiling; ++state) {
      FillCandidate(state, shape, leakage, top_, latency_limit);
      if (!paces && options_.mode == CapMode::kPerf) {
        candidates_.back().pace = Duration();
      }
      if (WouldTrip(now, candidates_.back())) {
        candidates_.pop_back();
      }
    }
  }
  StepOffer offer;
  if (candidates_.empty()) {
    offer.kind = StepOffer::Kind::kWait;
    offer.cause = DelayCause::kHeat;
    offer.wait = thermal_.limits().throttle_period;
    Hindered(StepHindrance::Kind::kWouldTrip, now);
    return offer;
  }
  if (!decided) {
    decision = policy_->Choose(now, candidates_);
  }
  return OfferOf(now, shape, decision, leakage, ceiling, paces);
}

StepOffer DevicePower::OfferOf(TimePoint now, const StepShape& shape, const CapDecision& decision,
                               double leakage, int ceiling, bool paces) {
  StepOffer offer;
  offer.why = decision.why;
  if (decision.why.constrained) {
    StepHindrance& cap = Hindered(StepHindrance::Kind::kCap, now);
    cap.decision = decision;
    cap.decision.candidate = 0;
    if (decision.kind == CapDecision::Kind::kRun) {
      cap.chosen = ClockOf(candidates_[static_cast<size_t>(decision.candidate)]);
    }
  }
  if (decision.kind == CapDecision::Kind::kNever) {
    offer.kind = StepOffer::Kind::kNever;
    offer.cause = DelayCause::kCap;
    return offer;
  }
  if (decision.kind == CapDecision::Kind::kWait) {
    offer.kind = StepOffer::Kind::kWait;
    offer.cause = DelayCause::kCap;
    offer.wait = std::max(decision.until - now, Nanoseconds(1));
    return offer;
  }
  const StepCandidate& chosen = candidates_[static_cast<size_t>(decision.candidate)];
  // Whoever weighs joules wants the chosen clock; only a cap or heat keeps it from a higher one.
  const int wanted = options_.mode == CapMode::kPerf ? top_
                     : decision.why.constrained      ? decision.why.wanted_state
                                                     : chosen.state;
  offer.clock = {chosen.state, std::max(wanted, chosen.state), chosen.state != last_state_};
  offer.price = wanted == top_ ? prices_[static_cast<size_t>(chosen.state)]
                               : pricer_->Price(shape, offer.clock);
  offer.leakage = leakage;
  offer.phases[0] = chosen.phases[0];
  offer.phases[1] = chosen.phases[1];
  if (decision.why.constrained) {
    return offer;
  }
  if (paces && chosen.state < ceiling) {
    offer.cause = DelayCause::kCap;
    StepHindrance& spacing = Hindered(StepHindrance::Kind::kSpacing, now);
    spacing.cap = cap_;
    spacing.chosen = ClockOf(chosen);
  } else if (ceiling < top_) {
    offer.cause = DelayCause::kHeat;
    StepHindrance& hot = Hindered(StepHindrance::Kind::kHot, now);
    hot.celsius = thermal_.At(now).junction;
    hot.chosen = ClockOf(chosen);
  }
  return offer;
}

void DevicePower::BeginStep(TimePoint now, const StepOffer& offer) {
  CHECK(!busy_);
  CHECK_EQ(settled_, now);
  CHECK(offer.kind == StepOffer::Kind::kBegin);
  busy_ = true;
  cap_wait_until_ = now;
  begun_ = now;
  offer_ = offer;
  policy_->OnStepBegin(now, offer_.phases);
  meter_.SetPower(now, offer_.phases[0].power);
  thermal_.SetPower(now, offer_.phases[0].power);
}

Energy DevicePower::EndStep(TimePoint now) {
  CHECK(busy_);
  CHECK_LE(now, begun_ + offer_.price.duration);
  busy_ = false;
  const TimePoint forward = begun_ + offer_.phases[0].duration;
  PowerPhase drawn[2] = {offer_.phases[0], offer_.phases[1]};
  drawn[0].duration = std::min(now, forward) - begun_;
  drawn[1].duration = now - begun_ - drawn[0].duration;
  if (now >= forward) {
    meter_.SetPower(forward, drawn[1].power);
    thermal_.SetPower(forward, drawn[1].power);
  }
  policy_->OnStepEnd(now);
  Trace(begun_, drawn[0].duration, drawn[0].power);
  Trace(forward, drawn[1].duration, drawn[1].power);
  last_state_ = offer_.clock.state;
  ApplyCaps(now);
  settled_ = now;
  SetIdlePower(now, IdleState::kWarm);
  return TotalEnergy(drawn);
}

void DevicePower::PowerOff(TimePoint now) {
  CHECK(!busy_);
  CHECK_EQ(settled_, now);
  SetIdlePower(now, IdleState::kOff);
}

absl::StatusOr<CapChange> DevicePower::SetCap(TimePoint now, Power cap, TimePoint at) {
  if (cap < min_cap_) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cap of %.1f W cannot be kept: the least is %.1f W", ToWatts(cap), ToWatts(min_cap_)));
  }
  ASSIGN_OR_RETURN(const CapChange change, policy_->ChangeCap(now, 0, cap, at));
  // Of what was to come the governor drops what is lower than this, and what would come later
  // bounds less than this does.
  const auto superseded = [&](TimePoint effective_at, Power announced) {
    return effective_at > now && (announced < cap || effective_at >= change.effective_at);
  };
  announced_.erase(
      std::remove_if(announced_.begin(), announced_.end(),
                     [&](const CapChange& c) { return superseded(c.effective_at, c.cap); }),
      announced_.end());
  announced_.push_back(change);
  ApplyCaps(now);
  trace_caps_.erase(std::remove_if(trace_caps_.begin(), trace_caps_.end(),
                                   [&](const TraceCap& c) { return superseded(c.from, c.cap); }),
                    trace_caps_.end());
  trace_caps_.push_back({change.effective_at, cap});
  return change;
}

}  // namespace scoville::device
