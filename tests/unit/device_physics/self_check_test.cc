// The profile's published and derived figures, recomputed from it: within 5 % each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

constexpr double kTolerance = 0.05;

int StateAt(const Profile& profile, double gigahertz) {
  for (int i = 0; i <= profile.top_state(); ++i) {
    if (std::abs(profile.pstates[i].hertz / 1e9 - gigahertz) < 1e-6) {
      return i;
    }
  }
  ADD_FAILURE() << "no clock state at " << gigahertz << " GHz";
  return 0;
}

struct StepCheck {
  double gigahertz;
  double milliseconds;
  double watts;
  double millijoules_per_token;
};

// Dense 70B, FP8, eight chips, 2k context, 64 running.
TEST(SelfCheckTest, Dense70BOverTheClock) {
  const Profile profile = DefaultProfile();
  const ModelTiming model = Timing(profile, Dense70B(), 8);
  const PowerModel power(profile, 8);
  const StepShape shape = ShapeOf(Decodes(64, 2048));
  for (const StepCheck& c : {StepCheck{1.8, 2.85, 296, 106}, StepCheck{1.2, 3.30, 233, 96},
                             StepCheck{0.9, 3.83, 205, 98}, StepCheck{0.6, 4.94, 178, 110}}) {
    const int state = StateAt(profile, c.gigahertz);
    const StepPrice price = PriceStep(profile, model, shape, state);
    const double joules = power.StepEnergy(price, state).joules();
    const double watts = joules / ToSeconds(price.duration) / 8;
    std::printf("[ figure   ] dense 70B at %.1f GHz: %.3f ms, %.1f W, %.1f mJ/token\n", c.gigahertz,
                ToSeconds(price.duration) * 1e3, watts, joules / 64 * 1e3);
    EXPECT_NEAR(ToSeconds(price.duration) * 1e3, c.milliseconds, kTolerance * c.milliseconds);
    EXPECT_NEAR(watts, c.watts, kTolerance * c.watts);
    EXPECT_NEAR(joules / 64 * 1e3, c.millijoules_per_token, kTolerance * c.millijoules_per_token);
  }
}

// Energy per token over the clock is a U: slower is not always cheaper.
TEST(SelfCheckTest, EnergyPerTokenOverTheClockIsAU) {
  const Profile profile = DefaultProfile();
  const ModelTiming model = Timing(profile, Dense70B(), 8);
  const PowerModel power(profile, 8);
  const StepShape shape = ShapeOf(Decodes(64, 2048));
  const auto energy = [&](int state) {
    return power.StepEnergy(PriceStep(profile, model, shape, state), state);
  };
  int best = 0;
  for (int state = 0; state <= profile.top_state(); ++state) {
    best = energy(state) < energy(best) ? state : best;
  }
  EXPECT_GT(best, 0);
  EXPECT_LT(best, profile.top_state());
}

// A phase of one second that executes at a share of a peak and moves a share of the bandwidth.
// Compute at `compute` of the peak at the top clock, slowed by `slowdown`.
double WattsOf(const Profile& profile, int state, MathType math, double compute, double memory) {
  StepPrice price;
  price.forward_seconds = 1;
  price.linear.math = math;
  price.linear.flops_executed = compute * profile.Peak(math);
  price.linear.bytes_per_chip = memory * profile.hbm_bandwidth.value;
  return ToWatts(PowerModel(profile, 1).Forward(price, state));
}

struct WattsCheck {
  const char* name;
  MathType math;
  double compute;  // of the peak at the top clock
  bool clocked;    // the work slows with the clock; else its rate is held
  double memory;   // of the bandwidth
  double watts[4];
};

TEST(SelfCheckTest, WattsOfLoadsOverTheClock) {
  const Profile profile = DefaultProfile();
  constexpr double kClocks[] = {1.8, 1.4, 1.0, 0.6};
  const WattsCheck checks[] = {
      {"busy floor", MathType::kFp8, 0, true, 0, {140, 118, 101, 97}},
      {"decode", MathType::kFp8, 0.03, false, 0.80, {495, 471, 452, 447}},
      {"prefill", MathType::kFp8, 0.55, true, 0.20, {413, 314, 243, 216}},
      {"fused", MathType::kFp8, 0.55, true, 0.80, {672, 572, 502, 475}},
      {"virus", MathType::kFp4, 1, true, 1, {973, 784, 653, 600}},
  };
  for (const WattsCheck& c : checks) {
    for (int i = 0; i < 4; ++i) {
      const int state = StateAt(profile, kClocks[i]);
      const double rate = c.clocked ? c.compute / profile.pstates[state].slowdown : c.compute;
      const double watts = WattsOf(profile, state, c.math, rate, c.memory);
      std::printf("[ figure   ] %s at %.1f GHz: %.1f W\n", c.name, kClocks[i], watts);
      EXPECT_NEAR(watts, c.watts[i], kTolerance * c.watts[i]) << c.name << " " << kClocks[i];
    }
  }
}

TEST(SelfCheckTest, WarmIdleAndBusyFloor) {
  const PowerModel power(DefaultProfile(), 1);
  EXPECT_NEAR(ToWatts(power.Warm()), 89, 0.5);
  EXPECT_EQ(power.Idle(IdleState::kHot, power.states() - 1), Watts(140));
  EXPECT_EQ(power.Idle(IdleState::kParked, 0), Watts(45));
  EXPECT_EQ(power.Idle(IdleState::kOff, 0), Watts(5));
}

}  // namespace
}  // namespace scoville::device
