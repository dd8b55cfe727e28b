#include "tests/unit/device_power/cap_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "device/power/baseline_policies.h"

namespace scoville::device {

namespace {

constexpr TimePoint kStart = TimePoint(1'000'000);

}  // namespace

WalkCounts& WalkCounts::operator+=(const WalkCounts& o) {
  steps += o.steps;
  waits += o.waits;
  split += o.split;
  skipped += o.skipped;
  aborts += o.aborts;
  cap_changes += o.cap_changes;
  throttled += o.throttled;
  trips += o.trips;
  inexact_waits += o.inexact_waits;
  tokens += o.tokens;
  seconds_ns += o.seconds_ns;
  return *this;
}

uint64_t CapWalk::Below(int64_t step, uint64_t what, uint64_t n) const {
  return RandomBelow(seed_, static_cast<uint64_t>(step), what, n);
}

int64_t CapWalk::Between(int64_t step, uint64_t what, int64_t low, int64_t high) const {
  return low >= high
             ? low
             : low + static_cast<int64_t>(Below(step, what, static_cast<uint64_t>(high - low + 1)));
}

CapWalk::CapWalk(uint64_t seed, PolicyKind kind, CapMode mode, bool tight)
    : seed_(seed), kind_(kind), mode_(mode), now_(kStart) {
  constexpr int64_t kSetup = -1;
  states_ = static_cast<int>(Between(kSetup, 0, 2, 13));
  tail_ = Power(Between(kSetup, 1, 50'000, 120'000));
  Power worst = Power(Between(kSetup, 2, 200'000, 450'000));
  for (int s = 0; s < states_; ++s) {
    worst_.push_back(worst);
    worst += Power(Between(kSetup, 100 + static_cast<uint64_t>(s), 1, 700'000 / states_));
  }
  constexpr int64_t kWindows[] = {20'000'000, 100'000'000, 1'000'000'000};
  const Duration window(kWindows[Below(kSetup, 3, 3)]);
  typical_ = window / Between(kSetup, 4, 4, 40);
  least_cap_ = tight ? tail_ + Power(Between(kSetup, 11, 1, 60'000)) : worst_[0];
  limits_.push_back({Power(Between(kSetup, 5, least_cap_.value(), worst_.back().value())), window});
  if (Below(kSetup, 6, 2) == 0) {
    limits_.push_back({worst_.back() * Between(kSetup, 7, 60, 100) / 100,
                       Duration(window.value() / Between(kSetup, 8, 3, 100))});
  }
  ledger_pieces_ = Below(kSetup, 9, 4) == 0 ? 16 : 1024;
  for (const PowerLimit& limit : limits_) {
    caps_.push_back({{kStart, limit.cap}});
  }
  ThermalLimits heat;
  // Quick enough to throttle and trip within a sequence, at a random share of the top power.
  heat.junction_seconds = ToSeconds(typical_) * 3;
  heat.sink_seconds = ToSeconds(typical_) * 40;
  heat.throttle_period = std::max(Duration(1), typical_ / 2);
  const double hot_watts =
      ToWatts(worst_.back()) * static_cast<double>(Between(kSetup, 10, 30, 100)) / 100;
  heat.junction_resistance = 25.0 / hot_watts;
  heat.sink_resistance = 35.0 / hot_watts;
  thermal_ = std::make_unique<ThermalModel>(heat, 1, states_ - 1, kStart, tail_);
  MakePolicy();
}

CapWalk::~CapWalk() = default;

void CapWalk::MakePolicy() {
  switch (kind_) {
    case PolicyKind::kPredictive: {
      CapGovernorOptions options;
      options.limits = limits_;
      options.tail = tail_;
      options.mode = mode_;
      options.ledger_pieces = ledger_pieces_;
      options.start = kStart;
      auto governor = CapGovernor::Create(options);
      CHECK(governor.ok());
      governor_ = governor->get();
      policy_ = *std::move(governor);
      return;
    }
    case PolicyKind::kStatic:
      policy_ = std::make_unique<StaticPolicy>(limits_, worst_, kStart);
      return;
    case PolicyKind::kRapl:
      policy_ = std::make_unique<RaplPolicy>(limits_, states_ - 1, kStart, tail_);
      return;
    case PolicyKind::kPi:
      policy_ = std::make_unique<PiPolicy>(limits_, states_ - 1, kStart, PiPolicy::Gains{});
      return;
  }
}

void CapWalk::Record(Duration duration, Power power) {
  if (duration > Duration()) {
    trace_.push_back({now_, duration, power});
    now_ += duration;
  }
}

void CapWalk::Idle(Duration duration, Power power) {
  thermal_->SetPower(now_, power);
  Record(duration, power);
  policy_->OnIdle(now_, power);
}

void CapWalk::ChangeCap(int limit, Power cap, TimePoint at) {
  const absl::StatusOr<CapChange> change = policy_->ChangeCap(now_, limit, cap, at);
  if (!change.ok()) {
    return;  // an announced raise
  }
  ++counts_.cap_changes;
  ASSERT_GE(change->effective_at, now_);
  std::vector<TraceCap>& caps = caps_[static_cast<size_t>(limit)];
  std::erase_if(caps, [&](const TraceCap& c) {
    return c.from > now_ && (c.cap <= cap || c.from >= change->effective_at);
  });
  caps.push_back({change->effective_at, cap});
}

// One change at once, or a staircase ahead.
void CapWalk::ChangeCaps(int64_t step, uint64_t salt) {
  const int limit = static_cast<int>(Below(step, salt, limits_.size()));
  int64_t cap = Between(step, salt + 1, least_cap_.value(), worst_.back().value());
  if (Below(step, salt + 2, 2) == 0) {
    ChangeCap(limit, Power(cap), now_);
    return;
  }
  TimePoint at = now_;
  const int64_t stairs = Between(step, salt + 3, 1, 4);
  for (int64_t i = 0; i < stairs; ++i) {
    const uint64_t s = salt + 4 + 2 * static_cast<uint64_t>(i);
    at += Duration(Between(step, s, 1, limits_[0].window.value()));
    ChangeCap(limit, Power(cap), at);
    cap = std::max(least_cap_.value(), cap * Between(step, s + 1, 70, 99) / 100);
  }
}

void CapWalk::DrawStep(int64_t step) {
  const size_t count = static_cast<size_t>(Between(step, 1, 1, 3));
  phases_.assign(static_cast<size_t>(states_), {});
  tokens_ = Between(step, 2, 1, 4096);
  for (size_t p = 0; p < count; ++p) {
    const uint64_t salt = 200 + 20 * p;
    const int64_t length = Between(step, salt, 0, 2 * typical_.value());
    const bool follows_clock = Below(step, salt + 1, 2) == 0;
    for (int s = 0; s < states_; ++s) {
      const int64_t slow = follows_clock ? 100 + 15 * (states_ - 1 - s) : 100;
      // Not monotone in the clock: each state draws its own share of its worst case.
      const int64_t share = Between(step, salt + 2 + static_cast<uint64_t>(s), 40, 100);
      phases_[static_cast<size_t>(s)].push_back(
          {Duration(std::max<int64_t>(1, length * slow / 100)),
           worst_[static_cast<size_t>(s)] * share / 100});
    }
  }
}

void CapWalk::FillCandidates(int ceiling) {
  candidates_.clear();
  for (int s = 0; s <= ceiling; ++s) {
    StepCandidate c;
    c.state = s;
    c.phases = phases_[static_cast<size_t>(s)];
    c.duration = TotalDuration(c.phases);
    c.energy = TotalEnergy(c.phases);
    c.tokens = tokens_;
    c.meets_slack = c.duration < typical_ * 3;
    candidates_.push_back(c);
  }
}

// A wait called exact ends at the first instant at which anything fits.
void CapWalk::CheckWait(const CapDecision& decision) {
  if (governor_ == nullptr) {
    return;
  }
  ASSERT_GT(decision.until, now_);
  bool fits = false;
  for (const StepCandidate& c : candidates_) {
    ASSERT_FALSE(governor_->Admissible(decision.until - Duration(1), c.phases));
    fits = fits || governor_->Admissible(decision.until, c.phases);
  }
  if (decision.exact) {
    ASSERT_TRUE(fits);
  } else {
    ++counts_.inexact_waits;
  }
}

// The governor's answer is the audit's, of the same trajectory with the tail as its floor.
void CapWalk::CheckAgainstAudit(const StepCandidate& candidate) {
  if (governor_ == nullptr || ledger_pieces_ < 1024) {
    return;  // a full ledger counts too much
  }
  const Duration longest = 2 * limits_[0].window;
  std::vector<TracePiece> trace = {{kStart - longest, longest, tail_}};
  for (const TracePiece& p : trace_) {
    trace.push_back({p.start, p.duration, std::max(p.power, tail_)});
  }
  TimePoint end = now_;
  for (const PowerPhase& phase : candidate.phases) {
    trace.push_back({end, phase.duration, std::max(phase.power, tail_)});
    end += phase.duration;
  }
  trace.push_back({end, longest * 8, tail_});
  bool fits = true;
  for (size_t k = 0; k < limits_.size(); ++k) {
    fits = fits && WorstWindow(trace, caps_[k], limits_[k].window).picojoules <= 0;
  }
  ASSERT_EQ(governor_->Admissible(now_, candidate.phases), fits);
}

void CapWalk::CoolDown() {
  ++counts_.trips;
  const Duration while_ = typical_;
  while (thermal_->At(now_).junction >= thermal_->limits().release_celsius) {
    Idle(while_, Power());
  }
}

void CapWalk::RunStep(int64_t step, const StepCandidate& chosen) {
  ++counts_.steps;
  policy_->OnStepBegin(now_, chosen.phases);
  const Duration total = TotalDuration(chosen.phases);
  Duration runs = total;
  if (Below(step, 11, 10) == 0) {
    runs = Duration(Between(step, 12, 0, total.value()));
    ++counts_.aborts;
  }
  // A change of cap while it runs.
  const bool changes = Below(step, 13, 12) == 0;
  const Duration change_after(Between(step, 14, 0, runs.value()));
  bool tripped = false;
  Duration done;
  const auto advance = [&](Duration part, Power power) {
    thermal_->SetPower(now_, power);
    const std::optional<TimePoint> trip = thermal_->TripTime(now_ + part);
    if (trip) {
      tripped = true;
      part = *trip - now_;
    }
    Record(part, power);
    done += part;
  };
  bool changed = !changes;
  for (const PowerPhase& phase : chosen.phases) {
    Duration left = std::min(phase.duration, runs - done);
    if (!changed && done + left >= change_after) {
      const Duration first = change_after - done;
      advance(first, phase.power);
      left -= first;
      changed = true;
      if (!tripped) {
        ChangeCaps(step, 300);
      }
    }
    if (!tripped) {
      advance(left, phase.power);
    }
    if (tripped || done >= runs) {
      break;
    }
  }
  policy_->OnStepEnd(now_);
  if (done == total) {
    counts_.tokens += tokens_;
  }
  if (tripped) {
    CoolDown();
  }
}

bool CapWalk::PlaceStep(int64_t step) {
  constexpr int kMostAsks = 2000;
  int halvings = 0;
  for (int ask = 0; ask < kMostAsks; ++ask) {
    const int ceiling = thermal_->Ceiling(now_);
    FillCandidates(ceiling);
    if (ask == 0 && Below(step, 15, 8) == 0) {
      CheckAgainstAudit(candidates_.back());
    }
    const CapDecision decision = policy_->Choose(now_, candidates_);
    EXPECT_EQ(decision.Sentence(now_, candidates_).empty(), !decision.why.constrained);
    switch (decision.kind) {
      case CapDecision::Kind::kRun:
        counts_.throttled += ceiling < states_ - 1 ? 1 : 0;
        RunStep(step, candidates_[static_cast<size_t>(decision.candidate)]);
        return true;
      case CapDecision::Kind::kWait:
        ++counts_.waits;
        CheckWait(decision);
        Idle(decision.until - now_, Below(step, 16, 2) == 0 ? tail_ : tail_ / 3);
        break;
      case CapDecision::Kind::kNever:
        constexpr int kMostHalvings = 14;
        if (++halvings > kMostHalvings) {
          ++counts_.skipped;
          return false;
        }
        ++counts_.split;
        tokens_ = std::max<int64_t>(1, tokens_ / 2);
        for (std::vector<PowerPhase>& phases : phases_) {
          for (PowerPhase& phase : phases) {
            phase.duration = phase.duration / 2;
          }
        }
        break;
    }
  }
  ADD_FAILURE() << "seed " << seed_ << ": a step was never placed";
  return false;
}

WalkResult CapWalk::Run(int64_t steps) {
  for (int64_t step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
    if (Below(step, 20, 6) == 0) {
      const Power power = tail_ * static_cast<int64_t>(Below(step, 21, 3)) / 2;
      Idle(Duration(Between(step, 22, 0, limits_[0].window.value() / 4)), power);
    }
    if (Below(step, 23, 12) == 0) {
      ChangeCaps(step, 400);
    }
    DrawStep(step);
    PlaceStep(step);
  }
  counts_.seconds_ns += (now_ - kStart).value();
  Idle(2 * limits_[0].window, tail_);
  WalkResult result;
  result.counts = counts_;
  for (size_t k = 0; k < limits_.size(); ++k) {
    result.worst.push_back(WorstWindow(trace_, caps_[k], limits_[k].window));
  }
  return result;
}

}  // namespace scoville::device
