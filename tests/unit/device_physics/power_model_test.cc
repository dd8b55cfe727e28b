#include "device/physics/power_model.h"

#include <gtest/gtest.h>

#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

class PowerModelTest : public ::testing::Test {
 protected:
  const Profile profile_ = DefaultProfile();
  const PowerModel one_{profile_, 1};
  const PowerModel eight_{profile_, 8};
};

TEST_F(PowerModelTest, VoltageAndPowerRiseWithTheClock) {
  ASSERT_EQ(profile_.pstates.size(), 13u);
  EXPECT_DOUBLE_EQ(profile_.pstates.front().hertz, 0.6e9);
  EXPECT_DOUBLE_EQ(profile_.pstates.back().hertz, 1.8e9);
  EXPECT_NEAR(profile_.pstates.front().volts, 0.55, 1e-12);
  EXPECT_NEAR(profile_.pstates.back().volts, 0.75, 1e-12);
  EXPECT_EQ(profile_.pstates.back().slowdown, 1.0);
  EXPECT_EQ(profile_.pstates.back().activity_ratio, 1.0);
  for (int i = 1; i < one_.states(); ++i) {
    EXPECT_GT(profile_.pstates[i].hertz, profile_.pstates[i - 1].hertz);
    EXPECT_GE(profile_.pstates[i].volts, profile_.pstates[i - 1].volts);
    EXPECT_GT(one_.Idle(IdleState::kHot, i), one_.Idle(IdleState::kHot, i - 1));
    EXPECT_GT(one_.HostGap(i), one_.HostGap(i - 1));
    EXPECT_GT(one_.WorstCase(i), one_.WorstCase(i - 1));
  }
}

TEST_F(PowerModelTest, IdleStatesAreOrdered) {
  EXPECT_LT(one_.Idle(IdleState::kOff, 0), one_.Idle(IdleState::kParked, 0));
  EXPECT_LT(one_.Idle(IdleState::kParked, 0), one_.Warm());
  EXPECT_LT(one_.Warm(), one_.HostGap(0));
  EXPECT_LT(one_.HostGap(0), one_.Idle(IdleState::kHot, 0));
}

TEST_F(PowerModelTest, ADeviceIsItsChips) {
  EXPECT_EQ(eight_.Idle(IdleState::kHot, 12), one_.Idle(IdleState::kHot, 12) * 8);
}

TEST_F(PowerModelTest, NoStepDrawsMoreThanTheWorstCase) {
  const ModelTiming models[] = {
      Timing(profile_, Small135M(), 1),
      Timing(profile_, Dense70B(), 1),
      Timing(profile_, Dense70B(), 8),
      Timing(profile_, Dense70B(), 256),
  };
  for (uint64_t index = 0; index < 4000; ++index) {
    const ModelTiming& model = models[index % 4];
    const PowerModel power(profile_, model.chips);
    const int state = static_cast<int>(index / 4 % profile_.pstates.size());
    const StepPrice price = PriceStep(profile_, model, ShapeOf(RandomWork(index)), state);
    const double hot = power.TripLeakage();
    EXPECT_LE(power.Forward(price, state, hot), power.WorstCase(state)) << index;
    EXPECT_LE(power.HostGap(state), power.Forward(price, state));
  }
}

// A step made for the bound comes near it: the bound is not idle talk.
TEST_F(PowerModelTest, TheWorstCaseIsTight) {
  Profile profile = profile_;
  profile.issue_latency.value = 0;
  profile.host_step.value = 0;
  profile.host_sequence.value = 0;
  profile.trip_temperature.value = 60;  // so that the bound's leakage is the step's
  model::ModelCard card = Dense70B();
  card.weights = card.activations = model::Precision::kBf16;
  const ModelTiming model = Timing(profile, card, 1);
  const PowerModel power(profile, 1);
  Power most;
  for (int64_t rows = 16; rows <= 1024; rows += 16) {
    most =
        std::max(most, power.Forward(PriceStep(profile, model, ShapeOf(Decodes(rows, 0)), 12), 12));
  }
  EXPECT_GT(ToWatts(most), 0.98 * ToWatts(power.WorstCase(12)));
}

TEST_F(PowerModelTest, TheHighestStateUnderACap) {
  EXPECT_EQ(one_.HighestStateUnder(profile_.TdpPower()), 12);
  for (int state = 0; state < one_.states(); ++state) {
    EXPECT_EQ(one_.HighestStateUnder(one_.WorstCase(state)), state);
    const std::optional<int> below = one_.HighestStateUnder(one_.WorstCase(state) - Milliwatts(1));
    if (state == 0) {
      EXPECT_FALSE(below.has_value());
    } else {
      EXPECT_EQ(below, state - 1);
    }
  }
}

TEST_F(PowerModelTest, WaitingForLinksSavesHalfOfTheActivity) {
  StepPrice price;
  price.forward_seconds = 1;
  price.comm_share = 1;
  EXPECT_EQ(one_.Forward(price, 12), Watts(120));
}

TEST_F(PowerModelTest, StepEnergyIsPowerTimesPhases) {
  const ModelTiming model = Timing(profile_, Small135M(), 1);
  const StepPrice price = PriceStep(profile_, model, ShapeOf(Decodes(4, 300)), 7);
  EXPECT_EQ(one_.StepEnergy(price, 7),
            one_.HostGap(7) * price.host_gap + one_.Forward(price, 7) * price.forward);
}

using PowerModelDeathTest = PowerModelTest;

TEST_F(PowerModelDeathTest, StatesOutOfRange) {
  EXPECT_DEATH(one_.HostGap(13), "states");
  EXPECT_DEATH(one_.WorstCase(-1), "state");
}

}  // namespace
}  // namespace scoville::device
