#include "device/power/thermal_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "device/power/deterministic_math.h"

namespace scoville::device {
namespace {

constexpr int kTop = 12;

ThermalModel Chip(Power power = Watts(80)) {
  return ThermalModel(ThermalLimits{}, 1, kTop, TimePoint(), power);
}

TEST(DeterministicExpTest, IsWithinTwoUnitsOfTheLibraryOverItsRange) {
  double worst = 0;
  for (uint64_t i = 0; i < 200'000; ++i) {
    const double x = -708.0 + RandomUniform(1, 1, i) * (708.0 + 709.0);
    worst = std::max(worst, std::abs(DeterministicExp(x) / std::exp(x) - 1.0));
    const double small = (RandomUniform(1, 2, i) - 0.5) * 2;
    worst = std::max(worst, std::abs(DeterministicExp(small) / std::exp(small) - 1.0));
  }
  EXPECT_LT(worst, 4.5e-16);
  EXPECT_GT(worst, 0);  // something was compared
}

TEST(DeterministicExpTest, HasItsEdgesWhereItSays) {
  EXPECT_EQ(DeterministicExp(0), 1.0);
  EXPECT_EQ(DeterministicExp(-708.1), 0.0);
  EXPECT_GT(DeterministicExp(-708.0), 0.0);
  EXPECT_EQ(DeterministicExp(709.1), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isfinite(DeterministicExp(709.0)));
  EXPECT_TRUE(std::isnan(DeterministicExp(std::nan(""))));
}

TEST(ThermalModelTest, SettlesAtTheSeriesResistance) {
  ThermalModel chip = Chip();
  EXPECT_DOUBLE_EQ(chip.At(TimePoint()).junction, 35.0 + 80 * 0.07);
  chip.SetPower(TimePoint(), Watts(700));
  EXPECT_NEAR(chip.At(TimePoint() + Seconds(1000)).junction, 84.0, 1e-9);
  EXPECT_NEAR(chip.At(TimePoint() + Seconds(1000)).sink, 63.0, 1e-9);
}

TEST(ThermalModelTest, TheSolutionIsThatOfTheEquations) {
  // Against small explicit steps, through heating and cooling.
  ThermalModel chip = Chip(Power());
  const ThermalLimits l;
  double junction = l.inlet_celsius;
  double sink = l.inlet_celsius;
  TimePoint now;
  constexpr double kStep = 1e-4;
  for (const int64_t watts : {700, 100, 450}) {
    chip.SetPower(now, Watts(watts));
    for (int i = 0; i < 20'000; ++i) {
      const double through = (junction - sink) / l.junction_resistance;
      const double out = (sink - l.inlet_celsius) / l.sink_resistance;
      junction += kStep * (static_cast<double>(watts) - through) /
                  (l.junction_seconds / l.junction_resistance);
      sink += kStep * (through - out) / (l.sink_seconds / l.sink_resistance);
    }
    now += Seconds(2);
    EXPECT_NEAR(chip.At(now).junction, junction, 5e-3) << watts;
    EXPECT_NEAR(chip.At(now).sink, sink, 5e-3) << watts;
  }
}

TEST(ThermalModelTest, ReadingAndRepeatingThePowerChangeNoBit) {
  ThermalModel quiet = Chip();
  ThermalModel watched = Chip();
  quiet.SetPower(TimePoint(), Watts(600));
  watched.SetPower(TimePoint(), Watts(600));
  for (int i = 1; i <= 50; ++i) {
    const TimePoint at = TimePoint() + Milliseconds(37) * i;
    watched.At(at);
    watched.Ceiling(at);
    watched.SetPower(at, Watts(600));
  }
  const TimePoint end = TimePoint() + Seconds(5);
  quiet.SetPower(end, Watts(90));
  watched.SetPower(end, Watts(90));
  EXPECT_EQ(quiet.At(end + Seconds(3)).junction, watched.At(end + Seconds(3)).junction);
}

TEST(ThermalModelTest, AGroupOfChipsSharesItsPower) {
  ThermalModel group(ThermalLimits{}, 8, kTop, TimePoint(), Watts(80) * 8);
  EXPECT_DOUBLE_EQ(group.At(TimePoint()).junction, Chip().At(TimePoint()).junction);
}

TEST(ThermalModelTest, TheThrottleStepsDownHoldsAndReleases) {
  ThermalModel chip = Chip(Watts(700));  // 84 degrees
  EXPECT_EQ(chip.Ceiling(TimePoint() + Seconds(100)), kTop);
  chip.SetPower(TimePoint() + Seconds(100), Watts(1100));
  TimePoint hot = TimePoint() + Seconds(100);
  while (chip.At(hot).junction < 95.0) {
    hot += Milliseconds(10);
  }
  EXPECT_EQ(chip.Ceiling(hot - Milliseconds(10)), kTop);
  EXPECT_EQ(chip.Ceiling(hot), kTop - 1);
  EXPECT_EQ(chip.Ceiling(hot + Milliseconds(9)), kTop - 1);
  EXPECT_EQ(chip.Ceiling(hot + Milliseconds(40)), kTop - 5);
  // Between release and throttle it holds: 93 degrees for ever.
  const TimePoint turn = hot + Milliseconds(40);
  const Power holding = Milliwatts(static_cast<int64_t>((93.0 - chip.At(turn).sink) / 0.03 * 1e3));
  chip.SetPower(turn, holding);
  const TimePoint held = turn + Milliseconds(500);
  ASSERT_LT(chip.At(held).junction, 95.0);
  ASSERT_GT(chip.At(held).junction, 90.0);
  const int ceiling = chip.Ceiling(held);
  EXPECT_LT(ceiling, kTop - 4);
  EXPECT_EQ(chip.Ceiling(held + Milliseconds(100)), ceiling);
  // Below the release one state returns per period, up to the top.
  chip.SetPower(held, Watts(100));
  EXPECT_EQ(chip.Ceiling(held + Seconds(60)), kTop);
  TimePoint cool = held;
  while (chip.At(cool).junction >= 90.0) {
    cool += Milliseconds(10);
  }
  EXPECT_EQ(chip.Ceiling(cool - Milliseconds(10)), ceiling);
  EXPECT_LE(chip.Ceiling(cool), ceiling + 1);
  EXPECT_EQ(chip.Ceiling(cool + Milliseconds(30)), chip.Ceiling(cool) + 3);
}

TEST(ThermalModelTest, TheTripIsTheFirstNanosecond) {
  ThermalModel chip = Chip(Watts(700));
  EXPECT_FALSE(chip.TripTime(TimePoint() + Seconds(1000)));
  chip.SetPower(TimePoint(), Watts(1200));
  EXPECT_FALSE(chip.TripTime(TimePoint() + Milliseconds(1)));
  const std::optional<TimePoint> trip = chip.TripTime(TimePoint() + Seconds(100));
  ASSERT_TRUE(trip.has_value());
  EXPECT_GE(chip.At(*trip).junction, 105.0);
  EXPECT_LT(chip.At(*trip - Duration(1)).junction, 105.0);
}

TEST(ThermalModelTest, AJunctionThatCoolsTowardsAHotSinkIsSeen) {
  // The sink at 63 degrees: a short burst peaks the junction inside the phase, then it falls.
  ThermalModel chip = Chip(Watts(700));
  chip.SetPower(TimePoint(), Watts(1500));
  const std::optional<TimePoint> trip = chip.TripTime(TimePoint() + Seconds(10));
  ASSERT_TRUE(trip.has_value());
  chip.SetPower(*trip, Watts(10));
  EXPECT_EQ(chip.TripTime(*trip + Seconds(10)), *trip);
  EXPECT_LT(chip.At(*trip + Seconds(2)).junction, 90.0);
}

TEST(ThermalModelTest, LimitsThatMakeNoSenseAreRefusedInWords) {
  ThermalLimits l;
  EXPECT_TRUE(l.Validate().ok());
  l.release_celsius = 96;
  EXPECT_EQ(l.Validate().code(), absl::StatusCode::kInvalidArgument);
  l = ThermalLimits{};
  l.junction_seconds = 0;
  EXPECT_EQ(l.Validate().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace scoville::device
