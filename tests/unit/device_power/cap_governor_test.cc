#include "device/power/cap_governor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;

constexpr Power kTail = Watts(100);
constexpr Duration kWindow = Seconds(1);

CapGovernorOptions OneLimit(Power cap) {
  CapGovernorOptions options;
  options.limits = {{cap, kWindow}};
  options.tail = kTail;
  return options;
}

std::unique_ptr<CapGovernor> Governor(const CapGovernorOptions& options) {
  auto governor = CapGovernor::Create(options);
  EXPECT_TRUE(governor.ok()) << governor.status();
  return *std::move(governor);
}

TimePoint Ms(int64_t ms) { return TimePoint() + Milliseconds(ms); }

void RunStep(CapGovernor& governor, TimePoint at, Duration duration, Power power) {
  const PowerPhase phases[] = {{duration, power}};
  ASSERT_TRUE(governor.Admissible(at, phases));
  governor.OnStepBegin(at, phases);
  governor.OnStepEnd(at + duration);
}

StepCandidate Candidate(int state, absl::Span<const PowerPhase> phases, int64_t tokens = 64,
                        bool meets_slack = true) {
  StepCandidate c;
  c.state = state;
  c.clock_megahertz = 600 + 100 * state;
  c.phases = phases;
  c.duration = TotalDuration(phases);
  c.energy = TotalEnergy(phases);
  c.tokens = tokens;
  c.meets_slack = meets_slack;
  return c;
}

TEST(CapGovernorTest, FillsAWindowToThePicojoule) {
  auto governor = Governor(OneLimit(Watts(300)));
  // 500 W for half a second and 100 W for the other half are 300 W.
  const PowerPhase fits[] = {{Milliseconds(500), Watts(500)}};
  const PowerPhase longer[] = {{Milliseconds(500) + Nanoseconds(1), Watts(500)}};
  const PowerPhase higher[] = {{Milliseconds(500), Watts(500) + Milliwatts(1)}};
  EXPECT_TRUE(governor->Admissible(TimePoint(), fits));
  EXPECT_FALSE(governor->Admissible(TimePoint(), longer));
  EXPECT_FALSE(governor->Admissible(TimePoint(), higher));
  EXPECT_TRUE(governor->FitsFromRest(fits));
  EXPECT_FALSE(governor->FitsFromRest(longer));
}

TEST(CapGovernorTest, TheFirstInstantThatFitsIsExact) {
  auto governor = Governor(OneLimit(Watts(300)));
  RunStep(*governor, Ms(0), Milliseconds(500), Watts(500));
  const PowerPhase next[] = {{Milliseconds(10), Watts(400)}};
  const CapGovernor::FirstFit fit = governor->FirstAdmissible(Ms(500), next);
  ASSERT_FALSE(fit.never);
  EXPECT_TRUE(fit.exact);
  EXPECT_TRUE(governor->Admissible(fit.at, next));
  EXPECT_FALSE(governor->Admissible(fit.at - Nanoseconds(1), next));
  // The window stands at its cap until the first step begins to leave it, at 1 s.
  EXPECT_EQ(fit.at, Ms(1000));
  // While 500 W leave, 400 W for 200 ms take the mean to 280 W. 100 ms of 900 W add 40 W to that,
  // idling takes 0.4 W away each millisecond: 50 ms of it.
  governor->OnIdle(Ms(1000), kTail);
  RunStep(*governor, Ms(1000), Milliseconds(200), Watts(400));
  const PowerPhase higher[] = {{Milliseconds(100), Watts(900)}};
  const CapGovernor::FirstFit second = governor->FirstAdmissible(Ms(1200), higher);
  ASSERT_FALSE(second.never);
  EXPECT_EQ(second.at, Ms(1250));
  EXPECT_TRUE(governor->Admissible(second.at, higher));
  EXPECT_FALSE(governor->Admissible(second.at - Nanoseconds(1), higher));
}

TEST(CapGovernorTest, ParkingBelowTheTailEarnsNothing) {
  auto governor = Governor(OneLimit(Watts(300)));
  governor->OnIdle(Ms(5000), Watts(1));
  EXPECT_EQ(governor->WindowMean(Ms(5000), 0), kTail);
  const PowerPhase fits[] = {{Milliseconds(500), Watts(500)}};
  const PowerPhase longer[] = {{Milliseconds(501), Watts(500)}};
  EXPECT_TRUE(governor->Admissible(Ms(5000), fits));
  EXPECT_FALSE(governor->Admissible(Ms(5000), longer));
}

TEST(CapGovernorTest, AnAbortedStepGivesBackWhatItDidNotDraw) {
  auto governor = Governor(OneLimit(Watts(300)));
  const PowerPhase step[] = {{Milliseconds(500), Watts(500)}};
  governor->OnStepBegin(Ms(0), step);
  EXPECT_EQ(governor->WindowMean(Ms(250), 0), Watts(200));
  governor->OnStepEnd(Ms(250));
  const PowerPhase rest[] = {{Milliseconds(250), Watts(500)}};
  EXPECT_TRUE(governor->Admissible(Ms(250), rest));
  const PowerPhase more[] = {{Milliseconds(251), Watts(500)}};
  EXPECT_FALSE(governor->Admissible(Ms(250), more));
}

TEST(CapGovernorTest, AShortWindowLooksInsideTheStep) {
  CapGovernorOptions options = OneLimit(Watts(700));
  options.limits.push_back({Watts(875), Milliseconds(10)});
  auto governor = Governor(options);
  const PowerPhase burst[] = {{Milliseconds(20), Watts(400)},
                              {Milliseconds(10), Watts(900)},
                              {Milliseconds(20), Watts(400)}};
  const PowerPhase below[] = {{Milliseconds(20), Watts(400)},
                              {Milliseconds(9), Watts(900)},
                              {Milliseconds(20), Watts(400)}};
  EXPECT_FALSE(governor->Admissible(Ms(0), burst));
  ASSERT_TRUE(governor->FirstBreach(Ms(0), burst).has_value());
  EXPECT_EQ(governor->FirstBreach(Ms(0), burst)->limit, 1);
  EXPECT_TRUE(governor->Admissible(Ms(0), below));
  EXPECT_TRUE(governor->FirstAdmissible(Ms(0), burst).never);
}

TEST(CapGovernorTest, AGuardKeepsItsShareFree) {
  CapGovernorOptions options = OneLimit(Watts(300));
  options.guard_ppm = 100'000;
  auto governor = Governor(options);
  const PowerPhase fits[] = {{Milliseconds(425), Watts(500)}};
  const PowerPhase longer[] = {{Milliseconds(426), Watts(500)}};
  EXPECT_TRUE(governor->Admissible(Ms(0), fits));
  EXPECT_FALSE(governor->Admissible(Ms(0), longer));
}

TEST(CapGovernorTest, AnUnannouncedLoweringTakesEffectWhenThePastHasLeft) {
  auto governor = Governor(OneLimit(Watts(300)));
  RunStep(*governor, Ms(0), Milliseconds(500), Watts(500));
  const auto change = governor->ChangeCap(Ms(500), 0, Watts(200), Ms(500));
  ASSERT_TRUE(change.ok());
  // At 200 W a window holds 250 ms of the step: from 1.25 s on.
  EXPECT_EQ(change->effective_at, Ms(1250));
  EXPECT_EQ(governor->Cap(Ms(1249), 0), Watts(300));
  EXPECT_EQ(governor->Cap(Ms(1250), 0), Watts(200));
  // Until then nothing may begin that draws more than idling.
  const PowerPhase small[] = {{Nanoseconds(1), kTail + Milliwatts(1)}};
  EXPECT_FALSE(governor->Admissible(Ms(1000), small));
  const CapGovernor::FirstFit fit = governor->FirstAdmissible(Ms(500), small);
  EXPECT_TRUE(fit.exact);
  EXPECT_GE(fit.at, Ms(1250));
  EXPECT_FALSE(governor->Admissible(fit.at - Nanoseconds(1), small));
  EXPECT_TRUE(governor->Admissible(fit.at, small));
}

TEST(CapGovernorTest, ALoweringDuringAStepKnowsItsEnd) {
  auto governor = Governor(OneLimit(Watts(300)));
  const PowerPhase step[] = {{Milliseconds(500), Watts(500)}};
  governor->OnStepBegin(Ms(0), step);
  const auto change = governor->ChangeCap(Ms(10), 0, Watts(200), Ms(10));
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->effective_at, Ms(1250));
  const auto mild = governor->ChangeCap(Ms(20), 0, Watts(300) - Milliwatts(1), Ms(20));
  ASSERT_TRUE(mild.ok());
  EXPECT_GT(mild->effective_at, Ms(1000));
  EXPECT_LT(mild->effective_at, Ms(1001));
}

TEST(CapGovernorTest, AnAnnouncedLoweringCausesNoGap) {
  auto governor = Governor(OneLimit(Watts(400)));
  const auto change = governor->ChangeCap(Ms(0), 0, Watts(200), Ms(2000));
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->effective_at, Ms(2000));
  // Steps of 10 ms as the cap allows: they thin out before the lowering, none is denied for long.
  const PowerPhase step[] = {{Milliseconds(10), Watts(400)}};
  TimePoint now = Ms(0);
  Duration longest;
  while (now < Ms(4000)) {
    const CapGovernor::FirstFit fit = governor->FirstAdmissible(now, step);
    ASSERT_FALSE(fit.never);
    ASSERT_TRUE(fit.exact);
    longest = std::max(longest, fit.at - now);
    governor->OnIdle(fit.at, kTail);
    governor->OnStepBegin(fit.at, step);
    now = fit.at + Milliseconds(10);
    governor->OnStepEnd(now);
  }
  EXPECT_GT(longest, Duration());
  EXPECT_LT(longest, Seconds(1));
}

TEST(CapGovernorTest, RaisesAreImmediateAndCancelWhatWasAnnounced) {
  auto governor = Governor(OneLimit(Watts(300)));
  ASSERT_TRUE(governor->ChangeCap(Ms(0), 0, Watts(200), Ms(500)).ok());
  const auto raise = governor->ChangeCap(Ms(100), 0, Watts(400), Ms(100));
  ASSERT_TRUE(raise.ok());
  EXPECT_EQ(raise->effective_at, Ms(100));
  EXPECT_EQ(governor->Cap(Ms(600), 0), Watts(400));
}

TEST(CapGovernorTest, AStaircaseKeepsItsStairs) {
  auto governor = Governor(OneLimit(Watts(500)));
  for (int i = 1; i <= 4; ++i) {
    const auto change = governor->ChangeCap(Ms(0), 0, Watts(500 - 50 * i), Ms(1000 + 100 * i));
    ASSERT_TRUE(change.ok());
    EXPECT_EQ(change->effective_at, Ms(1000 + 100 * i));
  }
  EXPECT_EQ(governor->Cap(Ms(1099), 0), Watts(500));
  EXPECT_EQ(governor->Cap(Ms(1250), 0), Watts(400));
  EXPECT_EQ(governor->Cap(Ms(9000), 0), Watts(300));
  // A later word replaces what comes after it.
  ASSERT_TRUE(governor->ChangeCap(Ms(0), 0, Watts(420), Ms(1150)).ok());
  EXPECT_EQ(governor->Cap(Ms(1120), 0), Watts(450));
  EXPECT_EQ(governor->Cap(Ms(9000), 0), Watts(420));
}

TEST(CapGovernorTest, ChangesThatMakeNoSenseAreRefusedInWords) {
  CapGovernorOptions options = OneLimit(Watts(300));
  options.least_cap = Watts(150);
  auto governor = Governor(options);
  EXPECT_THAT(governor->ChangeCap(Ms(0), 0, Watts(149), Ms(0)).status().message(),
              HasSubstr("150.000 W are needed"));
  EXPECT_THAT(governor->ChangeCap(Ms(0), 1, Watts(200), Ms(0)).status().message(),
              HasSubstr("no power limit 1"));
  EXPECT_THAT(governor->ChangeCap(Ms(10), 0, Watts(200), Ms(5)).status().message(),
              HasSubstr("past"));
  EXPECT_THAT(governor->ChangeCap(Ms(10), 0, Watts(400), Ms(50)).status().message(),
              HasSubstr("cannot be announced"));
  EXPECT_FALSE(CapGovernor::Create(CapGovernorOptions{}).ok());
  options.limits[0].window = Duration();
  EXPECT_THAT(CapGovernor::Create(options).status().message(), HasSubstr("above zero"));
  options = OneLimit(Watts(99));
  EXPECT_THAT(CapGovernor::Create(options).status().message(), HasSubstr("100.000 W are needed"));
}

TEST(CapGovernorTest, ChoosesAndExplains) {
  auto governor = Governor(OneLimit(Watts(300)));
  const PowerPhase slow[] = {{Milliseconds(900), Watts(300)}};
  const PowerPhase middle[] = {{Milliseconds(700), Watts(500)}};  // neither monotone nor admissible
  const PowerPhase quick[] = {{Milliseconds(450), Watts(550)}};
  const PowerPhase top[] = {{Milliseconds(400), Watts(700)}};
  const std::vector<StepCandidate> candidates = {Candidate(0, slow), Candidate(1, middle),
                                                 Candidate(2, quick), Candidate(3, top)};
  ASSERT_FALSE(governor->Admissible(Ms(0), quick));
  const CapDecision decision = governor->Choose(Ms(0), candidates);
  EXPECT_EQ(decision.kind, CapDecision::Kind::kRun);
  EXPECT_EQ(decision.candidate, 0);
  EXPECT_TRUE(decision.why.constrained);
  EXPECT_EQ(decision.why.wanted_state, 3);
  EXPECT_EQ(decision.why.would_be, Watts(340));
  EXPECT_EQ(decision.why.headroom, Watts(200));
  EXPECT_EQ(decision.Sentence(Ms(0), candidates),
            "900 MHz would bring the mean over 1 s to 340.0 W, the cap is 300.0 W and 200.0 W of "
            "it are left: runs at 600 MHz");

  governor->OnStepBegin(Ms(0), slow);
  governor->OnStepEnd(Ms(900));
  const CapDecision wait = governor->Choose(Ms(900), candidates);
  EXPECT_EQ(wait.kind, CapDecision::Kind::kRun);  // 300 W never break 300 W
  const CapDecision quick_only =
      governor->Choose(Ms(900), absl::MakeConstSpan(candidates).subspan(3, 1));
  EXPECT_EQ(quick_only.kind, CapDecision::Kind::kNever);  // 340 W even from rest
  EXPECT_THAT(quick_only.Sentence(Ms(900), absl::MakeConstSpan(candidates).subspan(3, 1)),
              HasSubstr("must be smaller"));
  const PowerPhase burst[] = {{Milliseconds(300), Watts(700)}};
  const StepCandidate bursts[] = {Candidate(3, burst)};
  const CapDecision later = governor->Choose(Ms(900), bursts);
  EXPECT_EQ(later.kind, CapDecision::Kind::kWait);
  EXPECT_TRUE(governor->Admissible(later.until, burst));
  EXPECT_FALSE(governor->Admissible(later.until - Nanoseconds(1), burst));
  EXPECT_THAT(later.Sentence(Ms(900), bursts), HasSubstr("no state fits for another"));
}

TEST(CapGovernorTest, EffTakesTheFewestJoulesThatKeepTheSlack) {
  CapGovernorOptions options = OneLimit(Watts(700));
  options.mode = CapMode::kEff;
  auto governor = Governor(options);
  // Joules over the clock are a U, and the slowest misses the slack.
  const PowerPhase s0[] = {{Milliseconds(5), Watts(180)}};
  const PowerPhase s1[] = {{Milliseconds(4), Watts(200)}};
  const PowerPhase s2[] = {{Milliseconds(3), Watts(300)}};
  const PowerPhase s3[] = {{Milliseconds(2), Watts(600)}};
  std::vector<StepCandidate> candidates = {Candidate(0, s0, 64, false), Candidate(1, s1),
                                           Candidate(2, s2), Candidate(3, s3)};
  EXPECT_EQ(governor->Choose(Ms(0), candidates).candidate, 1);
  candidates[1].meets_slack = false;
  EXPECT_EQ(governor->Choose(Ms(0), candidates).candidate, 2);
  for (StepCandidate& c : candidates) {
    c.meets_slack = false;
  }
  EXPECT_EQ(governor->Choose(Ms(0), candidates).candidate, 3);  // late: as little as can be
}

TEST(CapGovernorTest, TiesGoToTheLowerState) {
  auto governor = Governor(OneLimit(Watts(700)));
  const PowerPhase a[] = {{Milliseconds(5), Watts(180)}};
  const PowerPhase b[] = {{Milliseconds(5), Watts(190)}};
  const StepCandidate candidates[] = {Candidate(0, a), Candidate(1, b)};
  EXPECT_EQ(governor->Choose(Ms(0), candidates).candidate, 0);
}

TEST(MinCapTest, IsTheLeastUnderWhichAStepFitsFromRest) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::vector<PowerPhase> phases;
    const uint64_t count = 1 + RandomBelow(seed, 0, 0, 3);
    for (uint64_t i = 0; i < count; ++i) {
      phases.push_back(
          {Milliseconds(static_cast<int64_t>(1 + RandomBelow(seed, 1, i, 900))),
           Milliwatts(static_cast<int64_t>(50'000 + RandomBelow(seed, 2, i, 500'000)))});
    }
    const Power least = MinCap(phases, kWindow, kTail);
    EXPECT_TRUE(Governor(OneLimit(least))->Admissible(TimePoint(), phases));
    if (least > kTail) {
      EXPECT_FALSE(Governor(OneLimit(least - Milliwatts(1)))->Admissible(TimePoint(), phases));
    }
  }
}

}  // namespace
}  // namespace scoville::device
