#include "device/power/baseline_policies.h"

#include <gtest/gtest.h>

#include <vector>

namespace scoville::device {
namespace {

TimePoint Ms(int64_t ms) { return TimePoint() + Milliseconds(ms); }

const std::vector<PowerLimit> kLimit = {{Watts(300), Seconds(1)}};

// Four states, 10 ms each at 250, 350, 450, 550 W.
struct Work {
  std::vector<std::vector<PowerPhase>> phases;
  std::vector<StepCandidate> candidates;

  Work() {
    for (int s = 0; s < 4; ++s) {
      phases.push_back({{Milliseconds(10), Watts(250 + 100 * s)}});
    }
    for (int s = 0; s < 4; ++s) {
      StepCandidate c;
      c.state = s;
      c.phases = phases[static_cast<size_t>(s)];
      c.duration = Milliseconds(10);
      c.energy = TotalEnergy(c.phases);
      c.tokens = 10;
      candidates.push_back(c);
    }
  }
};

int RunOnce(CapPolicy& policy, const Work& work, TimePoint now) {
  const CapDecision decision = policy.Choose(now, work.candidates);
  EXPECT_EQ(decision.kind, CapDecision::Kind::kRun);
  const StepCandidate& chosen = work.candidates[static_cast<size_t>(decision.candidate)];
  policy.OnStepBegin(now, chosen.phases);
  policy.OnStepEnd(now + chosen.duration);
  return chosen.state;
}

TEST(StaticPolicyTest, HoldsTheHighestClockWhoseWorstStepFits) {
  StaticPolicy policy(kLimit, {Watts(260), Watts(300), Watts(301), Watts(600)}, TimePoint());
  const Work work;
  EXPECT_EQ(RunOnce(policy, work, Ms(0)), 1);
  EXPECT_EQ(RunOnce(policy, work, Ms(10)), 1);
}

TEST(StaticPolicyTest, ALoweringHoldsOneWindowAfterTheLastStepAboveIt) {
  StaticPolicy policy(kLimit, {Watts(260), Watts(300), Watts(301), Watts(600)}, TimePoint());
  const Work work;
  policy.OnStepBegin(Ms(0), work.candidates[1].phases);
  const auto change = policy.ChangeCap(Ms(4), 0, Watts(270), Ms(4));
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->effective_at, Ms(1010));
  policy.OnStepEnd(Ms(10));
  EXPECT_EQ(RunOnce(policy, work, Ms(10)), 0);
  // Up a little, still below what ran a moment ago.
  const auto up = policy.ChangeCap(Ms(30), 0, Watts(280), Ms(30));
  ASSERT_TRUE(up.ok());
  EXPECT_EQ(up->effective_at, Ms(1010));
  EXPECT_EQ(policy.ChangeCap(Ms(40), 0, Watts(300), Ms(40))->effective_at, Ms(40));
  EXPECT_EQ(policy.ChangeCap(Ms(50), 0, Watts(100), Ms(50))->cap, Watts(100));
  EXPECT_EQ(policy.Choose(Ms(60), work.candidates).kind, CapDecision::Kind::kNever);
}

TEST(RaplPolicyTest, FollowsItsMeanOneStateAtATime) {
  RaplPolicy policy(kLimit, 3, TimePoint(), Watts(100));
  const Work work;
  EXPECT_EQ(RunOnce(policy, work, Ms(0)), 3);
  // 100 W + 0.01 x (550 - 100) W.
  EXPECT_NEAR(policy.mean_milliwatts(), 104'500.0, 1e-6);
  int64_t at = 10;
  int last = 3;
  bool fell = false;
  for (; at < 3000; at += 10) {
    const int state = RunOnce(policy, work, Ms(at));
    EXPECT_LE(std::abs(state - last), 1);
    fell = fell || state < 3;
    last = state;
  }
  EXPECT_TRUE(fell);
  EXPECT_NEAR(policy.mean_milliwatts(), 300'000.0, 15'000.0);
}

TEST(PiPolicyTest, SettlesAroundTheCapAndDoesNotWindUp) {
  const PiPolicy::Gains gains;
  const Work work;
  PiPolicy policy(kLimit, 3, TimePoint(), gains);
  // A long idle stretch far below the cap: the integral must stand still at the top.
  int64_t at = 0;
  for (int i = 0; i < 50; ++i, at += 1010) {
    policy.OnIdle(Ms(at + 1000), Watts(50));
    RunOnce(policy, work, Ms(at + 1000));
  }
  Energy energy;
  const int64_t begin = at;
  int64_t settled = 0;
  for (; at < begin + 4000; at += 10) {
    const int state = RunOnce(policy, work, Ms(at));
    if (at >= begin + 500) {
      energy += work.candidates[static_cast<size_t>(state)].energy;
      settled += 10;
    }
  }
  EXPECT_NEAR(energy.joules() / (static_cast<double>(settled) * 1e-3), 300.0, 30.0);
}

TEST(CeilingPolicyTest, AnnouncedCapsWaitForTheirTime) {
  RaplPolicy policy(kLimit, 3, TimePoint(), Watts(100));
  const Work work;
  ASSERT_TRUE(policy.ChangeCap(Ms(0), 0, Watts(50), Ms(100)).ok());
  EXPECT_EQ(RunOnce(policy, work, Ms(0)), 3);
  policy.OnIdle(Ms(100), Watts(100));
  RunOnce(policy, work, Ms(100));
  EXPECT_EQ(RunOnce(policy, work, Ms(110)), 2);  // 104 W are above 50 W
  EXPECT_FALSE(policy.ChangeCap(Ms(120), 3, Watts(50), Ms(120)).ok());
}

}  // namespace
}  // namespace scoville::device
