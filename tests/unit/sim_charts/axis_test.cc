#include "sim/charts/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace scoville::sim::charts {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Labels(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) {
    if (!tick.label.empty()) {
      labels.push_back(tick.label);
    }
  }
  return labels;
}

TEST(AxisTest, LinearTicksAreRoundAndHoldEveryValue) {
  const Axis axis = MakeAxis({}, {3.0, 47.0}, 5);
  EXPECT_THAT(Labels(axis), ElementsAre("0", "10", "20", "30", "40", "50"));
  EXPECT_EQ(axis.Position(0), 0);
  EXPECT_EQ(axis.Position(25), 0.5);
}

TEST(AxisTest, StepsAreOneTwoTwoAndAHalfOrFive) {
  EXPECT_THAT(Labels(MakeAxis({}, {0, 0.0095}, 5)),
              ElementsAre("0", "0.002", "0.004", "0.006", "0.008", "0.010"));
  EXPECT_THAT(Labels(MakeAxis({}, {0, 120}, 5)), ElementsAre("0", "25", "50", "75", "100", "125"));
}

TEST(AxisTest, LargeNumbersShareAPrefix) {
  EXPECT_THAT(Labels(MakeAxis({}, {39'000}, 4)), ElementsAre("0", "10k", "20k", "30k", "40k"));
  EXPECT_THAT(Labels(MakeAxis({}, {7'000}, 4)),
              ElementsAre("0", "2,000", "4,000", "6,000", "8,000"));
}

TEST(AxisTest, AxisThatNeedNotBeginAtZero) {
  AxisOptions options;
  options.from_zero = false;
  EXPECT_THAT(Labels(MakeAxis(options, {1.0, 1.4}, 4)),
              ElementsAre("1.0", "1.1", "1.2", "1.3", "1.4"));
  EXPECT_THAT(Labels(MakeAxis({}, {-12, 31}, 5)),
              ElementsAre("-20", "-10", "0", "10", "20", "30", "40"));
}

TEST(AxisTest, LogarithmicTicksAreDecades) {
  AxisOptions options;
  options.logarithmic = true;
  const Axis axis = MakeAxis(options, {2, 5'000}, 6);
  EXPECT_THAT(Labels(axis), ElementsAre("10", "100", "1,000"));
  EXPECT_LT(axis.low, 2);
  EXPECT_GT(axis.high, 5'000);
  EXPECT_NEAR(axis.Position(std::sqrt(axis.low * axis.high)), 0.5, 1e-12);
}

TEST(AxisTest, AShortLogarithmicAxisHasMoreLabels) {
  AxisOptions options;
  options.logarithmic = true;
  options.low = 1;
  options.high = 100;
  EXPECT_THAT(Labels(MakeAxis(options, {}, 6)),
              ElementsAre("1", "2", "5", "10", "20", "50", "100"));
}

TEST(AxisTest, TicksWhereTheCallerWantsThem) {
  AxisOptions options;
  options.logarithmic = true;
  options.at = {1, 2, 4, 99, 1'000};
  EXPECT_THAT(Labels(MakeAxis(options, {1, 99}, 4)), ElementsAre("1", "2", "4", "99"));
}

TEST(AxisTest, AnAxisOfLessThanTwoDecadesIsNotLeftWithOneLabel) {
  AxisOptions options;
  options.logarithmic = true;
  EXPECT_THAT(Labels(MakeAxis(options, {0.03, 0.8}, 4)), ElementsAre("0.05", "0.1", "0.2", "0.5"));
}

TEST(AxisTest, ValuesThatAreNoNumbersAreLeftOut) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Axis axis = MakeAxis({}, {nan, 4, std::numeric_limits<double>::infinity()}, 4);
  EXPECT_EQ(axis.high, 4);
  EXPECT_EQ(MakeAxis({}, {}, 4).high, 1);
  AxisOptions options;
  options.logarithmic = true;
  EXPECT_GT(MakeAxis(options, {0, -3, 5}, 4).low, 0);
}

TEST(AxisTest, OneValueHasRoomAround) {
  AxisOptions options;
  options.from_zero = false;
  const Axis axis = MakeAxis(options, {5, 5}, 4);
  EXPECT_LT(axis.low, 5);
  EXPECT_GT(axis.high, 5);
}

TEST(RoundedTest, ThreeSignificantDigits) {
  EXPECT_EQ(Rounded(0), "0");
  EXPECT_EQ(Rounded(0.01234), "0.0123");
  EXPECT_EQ(Rounded(4.556), "4.56");
  EXPECT_EQ(Rounded(78.94), "78.9");
  EXPECT_EQ(Rounded(12'345.6), "12,346");
  EXPECT_EQ(Rounded(-1'234'567), "-1,234,567");
  EXPECT_EQ(Rounded(std::numeric_limits<double>::infinity()), "-");
  EXPECT_EQ(Fixed(-0.0004, 2), "0.00");
  EXPECT_EQ(Fixed(1234.5678, 1), "1,234.6");
}

}  // namespace
}  // namespace scoville::sim::charts
