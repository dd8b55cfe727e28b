#include "scheduler/power/throughput_curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

CurvePoint At(int64_t milliwatts, int64_t rate) { return {Power(milliwatts), rate}; }

ThroughputCurve Make(std::vector<CurvePoint> points) {
  auto curve = ThroughputCurve::Create(points);
  EXPECT_TRUE(curve.ok()) << curve.status();
  return *curve;
}

TEST(ThroughputCurveTest, KeepsWhatLiesOnTheHull) {
  // (200, 150) lies below the line from (100, 100) to (300, 260); (400, 250) yields less than 300.
  const ThroughputCurve curve =
      Make({At(400, 250), At(300, 260), At(100, 100), At(200, 150), At(100, 90)});
  EXPECT_EQ(curve.hull(), (std::vector<CurvePoint>{At(100, 100), At(300, 260)}));
  EXPECT_EQ(curve.RateAt(Power(99)), 0);
  EXPECT_EQ(curve.RateAt(Power(100)), 100);
  EXPECT_EQ(curve.RateAt(Power(200)), 180);  // two states in turn beat the middle one
  EXPECT_EQ(curve.RateAt(Power(1000)), 260);
}

TEST(ThroughputCurveTest, PointsOnALineAreNoCorners) {
  const ThroughputCurve curve = Make({At(0, 0), At(10, 20), At(20, 40), At(30, 50)});
  EXPECT_EQ(curve.hull(), (std::vector<CurvePoint>{At(0, 0), At(20, 40), At(30, 50)}));
}

TEST(ThroughputCurveTest, ProductsBeyond64BitsAreExact) {
  // Slopes that differ by one part in 10^15: doubles could not tell.
  const int64_t r = ThroughputCurve::kMaxRate;
  const int64_t p = ThroughputCurve::kMaxPower.value();
  const ThroughputCurve above = Make({At(0, 0), At(p / 2, r / 2 + 1), At(p, r)});
  EXPECT_EQ(above.hull().size(), 3u);
  const ThroughputCurve below = Make({At(0, 0), At(p / 2, r / 2 - 1), At(p, r)});
  EXPECT_EQ(below.hull().size(), 2u);
}

TEST(ThroughputCurveTest, MostEfficientIsTheCornerOfMostTokensPerJoule) {
  EXPECT_EQ(Make({At(100, 50), At(200, 200), At(400, 300)}).MostEfficient(), At(200, 200));
  EXPECT_EQ(Make({At(0, 0), At(200, 200), At(400, 300)}).MostEfficient(), At(200, 200));
  EXPECT_EQ(Make({At(100, 100), At(200, 200)}).MostEfficient(), At(100, 100));  // equal: less power
  EXPECT_EQ(ThroughputCurve().MostEfficient(), At(0, 0));
}

TEST(ThroughputCurveTest, WithinCutsBothEnds) {
  const ThroughputCurve curve = Make({At(100, 100), At(200, 200), At(400, 300)});
  EXPECT_EQ(curve.Within(Power(150), Power(300)).hull(),
            (std::vector<CurvePoint>{At(150, 150), At(200, 200), At(300, 250)}));
  // Below the first state the device idles between steps.
  EXPECT_EQ(curve.Within(Power(0), Power(900)).hull(),
            (std::vector<CurvePoint>{At(0, 0), At(200, 200), At(400, 300)}));
  EXPECT_EQ(curve.Within(Power(500), Power(900)).hull(), (std::vector<CurvePoint>{At(500, 300)}));
}

TEST(ThroughputCurveTest, RefusesWhatMeansNothing) {
  EXPECT_FALSE(ThroughputCurve::Create({}).ok());
  for (const CurvePoint& bad : {At(-1, 5), At(5, -1), At(5, ThroughputCurve::kMaxRate + 1),
                                At(ThroughputCurve::kMaxPower.value() + 1, 5)}) {
    const auto curve = ThroughputCurve::Create({At(1, 1), bad});
    ASSERT_FALSE(curve.ok());
    EXPECT_NE(curve.status().message().find("point 1"), absl::string_view::npos);
  }
}

// The hull against its definition: the best of all mixes of two points with the power at hand.
TEST(ThroughputCurveTest, IsTheBestMixOfTwoStates) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::vector<CurvePoint> points;
    const int count = 1 + static_cast<int>(RandomBelow(seed, 0, 0, 9));
    for (int i = 0; i < count; ++i) {
      points.push_back(At(static_cast<int64_t>(RandomBelow(seed, 1, i, 60)),
                          static_cast<int64_t>(RandomBelow(seed, 2, i, 60))));
    }
    const ThroughputCurve curve = Make(points);
    for (int64_t p = 0; p < 70; ++p) {
      int64_t best = 0;
      for (const CurvePoint& a : points) {
        for (const CurvePoint& b : points) {
          if (a.power <= Power(p)) {
            best = std::max(best, a.millitokens_per_second);
          }
          if (a.power <= Power(p) && b.power > Power(p)) {
            const int64_t run = (b.power - a.power).value();
            best = std::max(best, (a.millitokens_per_second * (b.power.value() - p) +
                                   b.millitokens_per_second * (p - a.power.value())) /
                                      run);
          }
        }
      }
      ASSERT_EQ(curve.RateAt(Power(p)), best) << "seed " << seed << " at " << p;
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
