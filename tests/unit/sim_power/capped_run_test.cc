#include "sim/power/capped_run.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/sim_power/study_fixture.h"

namespace scoville::sim::power {
namespace {

// The unknown part of a window: whole steps, of which the first and last are counted whole.
constexpr double kSteps = 0.02;

class CappedRunTest : public testing::Test {
 protected:
  CappedPoint Run(CapRule rule, int64_t watts_per_chip) const {
    return RunCapped(study_.deployment, points_, rule,
                     Watts(watts_per_chip * study_.deployment.chips()), Milliseconds(200));
  }

  const Study study_ = MakeTestStudy();
  const std::vector<OperatingPoint> points_ = AtAllClocks(study_.deployment, study_.load);
};

TEST_F(CappedRunTest, MeanPowerStaysAtOrBelowTheCap) {
  for (int64_t cap = 120; cap <= 700; cap += 20) {
    for (const CapRule rule : {CapRule::kPerf, CapRule::kEff, CapRule::kPaced}) {
      const CappedPoint p = Run(rule, cap);
      ASSERT_TRUE(p.runs) << CapRuleName(rule) << " " << cap;
      EXPECT_LE(p.watts / 8, static_cast<double>(cap) * (1 + kSteps))
          << CapRuleName(rule) << " " << cap;
      EXPECT_NEAR(p.output_per_s * p.joules_per_output, p.watts, 1e-9 * p.watts);
    }
  }
}

TEST_F(CappedRunTest, NothingIsFasterThanPacedOnTheAverage) {
  for (int64_t cap = 120; cap <= 700; cap += 20) {
    const double best = Run(CapRule::kPaced, cap).output_per_s;
    for (const CapRule rule : {CapRule::kPerf, CapRule::kEff, CapRule::kStatic}) {
      EXPECT_LE(Run(rule, cap).output_per_s, best * (1 + kSteps))
          << CapRuleName(rule) << " " << cap;
    }
  }
}

TEST_F(CappedRunTest, EffTakesTheFewestJoulesAndAHigherCapCostsNoTokens) {
  double last = 0;
  for (int64_t cap = 120; cap <= 700; cap += 20) {
    const CappedPoint eff = Run(CapRule::kEff, cap);
    const CappedPoint perf = Run(CapRule::kPerf, cap);
    EXPECT_LE(eff.joules_per_output, perf.joules_per_output * (1 + kSteps)) << cap;
    EXPECT_GE(perf.output_per_s, last * (1 - kSteps)) << cap;
    last = perf.output_per_s;
  }
}

TEST_F(CappedRunTest, WithoutACapInTheWayItIsTheStepAlone) {
  const CappedPoint p = Run(CapRule::kPerf, 700);
  EXPECT_EQ(p.gap_s, 0);
  EXPECT_EQ(p.clock_ghz, points_.back().clock_ghz);
  EXPECT_EQ(p.output_per_s, points_.back().output_per_s());
  EXPECT_EQ(p.watts, points_.back().watts());
}

TEST_F(CappedRunTest, StaticHasNoAnswerWhereTheWorstStepOfTheLowestClockIsAbove) {
  EXPECT_FALSE(Run(CapRule::kStatic, 400).runs);
  EXPECT_TRUE(Run(CapRule::kStatic, 550).runs);
}

TEST_F(CappedRunTest, ACapBelowIdleRunsNothing) {
  for (const CapRule rule : {CapRule::kPerf, CapRule::kEff, CapRule::kPaced, CapRule::kStatic}) {
    EXPECT_FALSE(Run(rule, 90).runs) << CapRuleName(rule);
  }
}

}  // namespace
}  // namespace scoville::sim::power
