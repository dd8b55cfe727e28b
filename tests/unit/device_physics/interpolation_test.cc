#include "device/physics/tables/interpolation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace scoville::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::array<absl::string_view, 2> kTwo = {"batch", "context"};

// 3 + 2 a + 5 b + 7 a b: what interpolation in each variable gives back exactly.
double Bilinear(double a, double b) { return 3 + 2 * a + 5 * b + 7 * a * b; }

std::vector<Grid::Point> BilinearPoints(const std::vector<double>& as,
                                        const std::vector<double>& bs) {
  std::vector<Grid::Point> points;
  for (double a : as) {
    for (double b : bs) {
      points.push_back({{a, b}, Bilinear(a, b)});
    }
  }
  return points;
}

TEST(CurveTest, LinesBetweenHeldBelowContinuedAbove) {
  const auto curve = Curve::Make({{8, 40}, {1, 10}, {4, 16}, {7, 40}});
  ASSERT_TRUE(curve.ok());
  EXPECT_EQ(curve->At(0), 10);
  EXPECT_EQ(curve->At(1), 10);
  EXPECT_EQ(curve->At(2.5), 13);
  EXPECT_EQ(curve->At(7), 40);
  EXPECT_EQ(curve->At(8), 40);
  // Not along the flat last segment: from (4, 16), half of the range, to (8, 40).
  EXPECT_EQ(curve->At(10), 52);
}

TEST(CurveTest, FallingEndsStopAtTheLeastMeasured) {
  const auto curve = Curve::Make({{1, 10}, {2, 4}});
  ASSERT_TRUE(curve.ok());
  EXPECT_EQ(curve->At(100), 4);
  const auto one = Curve::Make({{3, 7}});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->At(1), 7);
  EXPECT_EQ(one->At(9), 7);
  const auto jump = Curve::Make({{1, 1}, {10, 10}});
  ASSERT_TRUE(jump.ok());
  EXPECT_EQ(jump->At(20), 20);
}

TEST(CurveTest, SumsAreExactAtThePointsOfBoth) {
  const auto a = Curve::Make({{0, 0}, {4, 8}});
  const auto b = Curve::Make({{0, 1}, {2, 5}, {4, 1}});
  ASSERT_TRUE(a.ok() && b.ok());
  const Curve sum = Curve::Sum(*a, *b, 10);
  for (double x : {0.0, 1.0, 2.0, 3.0, 4.0}) {
    EXPECT_DOUBLE_EQ(sum.At(x), a->At(x) + 10 * b->At(x));
  }
  EXPECT_EQ(Curve::Sum(Curve(), *b, 2).At(2), 10);
}

TEST(CurveTest, RefusesNothingAndTwoValuesAtOnePlace) {
  EXPECT_FALSE(Curve::Make({}).ok());
  EXPECT_THAT(std::string(Curve::Make({{3, 1}, {3, 1}}).status().message()),
              HasSubstr("two values at 3"));
}

TEST(GridTest, ReproducesWhatIsLinearInEachVariable) {
  const auto grid = Grid::Make(BilinearPoints({1, 2, 8}, {16, 64, 128}), kTwo);
  ASSERT_TRUE(grid.ok());
  for (double a : {1.0, 1.5, 5.0, 8.0, 20.0}) {
    for (double b : {16.0, 40.0, 100.0, 128.0, 500.0}) {
      EXPECT_NEAR(grid->At({a, b}), Bilinear(a, b), 1e-9 * Bilinear(a, b)) << a << " " << b;
    }
  }
  EXPECT_EQ(grid->At({0, 0}), Bilinear(1, 16));  // held
}

TEST(GridTest, KeepsTheLargestCompletePart) {
  std::vector<Grid::Point> points = BilinearPoints({1, 2, 4, 8}, {16, 32, 64});
  points.push_back({{3, 16}, 1e6});
  points.push_back({{2, 48}, 1e6});
  points.push_back({{8, 48}, 1e6});
  const auto grid = Grid::Make(points, kTwo);
  ASSERT_TRUE(grid.ok()) << grid.status();
  EXPECT_THAT(grid->axis(0), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(grid->axis(1), ElementsAre(16, 32, 64));
  EXPECT_NEAR(grid->At({3, 48}), Bilinear(3, 48), 1e-9);
}

TEST(GridTest, OfTwoCompletePartsTheWiderOne) {
  // A wide grid of doublings, and a denser one in its middle with an axis value more.
  std::vector<Grid::Point> points = BilinearPoints({1, 2, 4, 8}, {16, 64, 256});
  for (const Grid::Point& point : BilinearPoints({3, 4.5, 6, 7}, {20, 40, 80, 160})) {
    points.push_back(point);
  }
  const auto grid = Grid::Make(points, kTwo);
  ASSERT_TRUE(grid.ok()) << grid.status();
  EXPECT_THAT(grid->axis(0), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(grid->axis(1), ElementsAre(16, 64, 256));
}

TEST(GridTest, RefusesWhatFillsNoGrid) {
  const auto error = [](std::vector<Grid::Point> points) {
    return std::string(Grid::Make(std::move(points), kTwo).status().message());
  };
  EXPECT_THAT(error({}), HasSubstr("fill no grid over batch,context"));
  EXPECT_THAT(error({{{1, 1}, 1}, {{2, 2}, 1}, {{3, 3}, 1}}), HasSubstr("fill no grid"));
  EXPECT_THAT(error({{{1, 1}, 1}, {{1, 1}, 2}}), HasSubstr("two values at batch,context = 1,1"));
  std::vector<double> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(i);
  }
  EXPECT_THAT(error(BilinearPoints(many, {1, 2})), HasSubstr("batch has 300 different values"));
}

}  // namespace
}  // namespace scoville::device
