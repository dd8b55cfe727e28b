#include "scheduler/power/water_filling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ThroughputCurve Curve(std::vector<CurvePoint> points) {
  auto curve = ThroughputCurve::Create(points);
  EXPECT_TRUE(curve.ok()) << curve.status();
  return *curve;
}

TEST(WaterFillingTest, HandsOutTheSteepestFirstAndCutsTheLast) {
  const ThroughputCurve steep = Curve({{Power(100), 100}, {Power(200), 500}, {Power(300), 600}});
  const ThroughputCurve flat = Curve({{Power(100), 100}, {Power(300), 500}});
  const BudgetTree tree = BudgetTree::Flat(Power(450), 2);
  const std::vector<WattDemand> demands = {{&steep, 1, Power(100), Power(300)},
                                           {&flat, 1, Power(100), Power(300)}};
  // 4 per mW for 100, then 2 per mW for the 150 left; 1 per mW gets nothing.
  EXPECT_THAT(*WaterFill(tree, tree.Caps(), demands), ElementsAre(Power(200), Power(250)));
  EXPECT_THAT(*UniformCaps(tree, tree.Caps(), demands), ElementsAre(Power(225), Power(225)));
}

TEST(WaterFillingTest, WeightsMultiplySlopes) {
  const ThroughputCurve curve = Curve({{Power(0), 0}, {Power(100), 100}});
  const BudgetTree tree = BudgetTree::Flat(Power(100), 2);
  EXPECT_THAT(*WaterFill(tree, tree.Caps(),
                         std::vector<WattDemand>{{&curve, 1, Power(), Power(100)},
                                                 {&curve, 2, Power(), Power(100)}}),
              ElementsAre(Power(0), Power(100)));
  // Equal worth: the lower id.
  EXPECT_THAT(*WaterFill(tree, tree.Caps(),
                         std::vector<WattDemand>{{&curve, 2, Power(), Power(100)},
                                                 {&curve, 2, Power(), Power(100)}}),
              ElementsAre(Power(100), Power(0)));
  // Worth nothing: nothing.
  EXPECT_THAT(*WaterFill(tree, tree.Caps(),
                         std::vector<WattDemand>{{&curve, 0, Power(), Power(100)},
                                                 {&curve, 0, Power(5), Power(100)}}),
              ElementsAre(Power(0), Power(5)));
}

TEST(WaterFillingTest, PassesOverDevicesUnderAFullNode) {
  const ThroughputCurve good = Curve({{Power(0), 0}, {Power(100), 1000}});
  const ThroughputCurve bad = Curve({{Power(0), 0}, {Power(100), 100}});
  const auto tree = BudgetTree::Create(
      std::vector<BudgetNodeSpec>{{"fleet", BudgetLevel::kFleet, Power(250), {"left", "right"}, {}},
                                  {"left", BudgetLevel::kRack, Power(120), {}, {0, 1}},
                                  {"right", BudgetLevel::kRack, Power(200), {}, {2, 3}}},
      4);
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::vector<WattDemand> demands = {{&good, 1, Power(), Power(100)},
                                           {&good, 1, Power(), Power(100)},
                                           {&bad, 1, Power(), Power(100)},
                                           {&bad, 1, Power(), Power(100)}};
  EXPECT_THAT(*WaterFill(*tree, tree->Caps(), demands),
              ElementsAre(Power(100), Power(20), Power(100), Power(30)));
  EXPECT_THAT(*UniformCaps(*tree, tree->Caps(), demands),
              ElementsAre(Power(60), Power(60), Power(65), Power(65)));
}

TEST(WaterFillingTest, RefusesWhatDoesNotFit) {
  const ThroughputCurve curve = Curve({{Power(0), 0}, {Power(100), 100}});
  const BudgetTree tree = BudgetTree::Flat(Watts(1), 2);
  const auto fill = [&](WattDemand a, WattDemand b) {
    const auto caps = WaterFill(tree, tree.Caps(), std::vector<WattDemand>{a, b});
    return caps.ok() ? std::string() : std::string(caps.status().message());
  };
  EXPECT_THAT(fill({&curve, 1, Power(600), Power(700)}, {&curve, 1, Power(500), Power(700)}),
              HasSubstr("sum to 1.1 W (0.6 W + 0.5 W): 0.1 W short"));
  const WattDemand fine = {&curve, 1, Power(), Power()};
  EXPECT_THAT(fill({&curve, 1, Power(-1), Power(7)}, fine), HasSubstr("device 0 takes caps"));
  EXPECT_THAT(fill(fine, {&curve, 1, Power(8), Power(7)}), HasSubstr("device 1 takes caps"));
  EXPECT_THAT(fill({&curve, -1, Power(), Power()}, fine), HasSubstr("weight -1"));
  EXPECT_THAT(fill({&curve, kMaxWeight + 1, Power(), Power()}, fine), HasSubstr("weight 1000001"));
}

TEST(WaterFillingTest, WhatNobodyCanUseIsSharedEvenly) {
  const ThroughputCurve curve = Curve({{Power(0), 0}, {Power(100), 100}});
  const BudgetTree tree = BudgetTree::Flat(Power(400), 2);
  const std::vector<WattDemand> demands = {{&curve, 1, Power(), Power(300)},
                                           {&curve, 1, Power(), Power(150)}};
  EXPECT_THAT(*WaterFill(tree, tree.Caps(), demands), ElementsAre(Power(100), Power(100)));
  EXPECT_THAT(DivideWatts(tree, tree.Caps(), demands), ElementsAre(Power(250), Power(150)));
  // Too little for the least caps: those.
  const std::vector<WattDemand> large = {{&curve, 1, Power(250), Power(300)},
                                         {&curve, 1, Power(200), Power(300)}};
  EXPECT_THAT(DivideWatts(tree, tree.Caps(), large), ElementsAre(Power(250), Power(200)));
}

// A random tree over `devices` devices: up to two racks below the fleet, trays below those.
struct RandomCase {
  uint64_t seed;
  uint64_t draws = 0;
  std::vector<ThroughputCurve> curves;
  std::vector<WattDemand> demands;
  std::vector<BudgetNodeSpec> specs;

  int64_t Below(int64_t n) {
    return static_cast<int64_t>(RandomBelow(seed, 7, draws++, static_cast<uint64_t>(n)));
  }
};

// `exact`: slopes are whole numbers, so that the rate at every milliwatt is one too.
RandomCase Draw(uint64_t seed, uint32_t devices, bool exact) {
  RandomCase out;
  out.seed = seed;
  for (uint32_t i = 0; i < devices; ++i) {
    std::vector<CurvePoint> points;
    int64_t power = out.Below(3);
    int64_t rate = out.Below(20);
    const int64_t count = 1 + out.Below(4);
    for (int64_t k = 0; k < count; ++k) {
      points.push_back({Power(power), rate});
      const int64_t run = 1 + out.Below(4);
      power += run;
      rate += exact ? run * out.Below(9) : out.Below(30);
    }
    out.curves.push_back(Curve(points));
  }
  for (uint32_t i = 0; i < devices; ++i) {
    const int64_t min = out.Below(4);
    out.demands.push_back({&out.curves[i], out.Below(4), Power(min), Power(min + out.Below(8))});
  }
  const auto cap = [&out] { return Power(4 + out.Below(30)); };
  out.specs = {{"fleet", BudgetLevel::kFleet, cap(), {"r0", "r1"}, {}},
               {"r0", BudgetLevel::kRack, cap(), {"t0"}, {}},
               {"r1", BudgetLevel::kRack, cap(), {"t1", "t2"}, {}},
               {"t0", BudgetLevel::kTray, cap(), {}, {}},
               {"t1", BudgetLevel::kTray, cap(), {}, {}},
               {"t2", BudgetLevel::kTray, cap(), {}, {}}};
  for (uint32_t i = 0; i < devices; ++i) {
    out.specs[static_cast<size_t>(out.Below(6))].devices.push_back(i);
  }
  return out;
}

bool Holds(const BudgetTree& tree, const std::vector<Power>& caps) {
  return tree.CheckFloor(tree.Caps(), caps).ok();
}

// The slow, obvious answer: every assignment of whole milliwatts.
__int128 BestByEnumeration(const BudgetTree& tree, const std::vector<WattDemand>& demands) {
  std::vector<Power> caps;
  for (const WattDemand& demand : demands) caps.push_back(demand.min);
  __int128 best = -1;
  while (true) {
    if (Holds(tree, caps)) best = std::max(best, WeightedRate(demands, caps));
    size_t i = 0;
    while (i < caps.size() && caps[i] == demands[i].max) {
      caps[i] = demands[i].min;
      ++i;
    }
    if (i == caps.size()) return best;
    caps[i] += Power(1);
  }
}

TEST(WaterFillingTest, IsOptimalAgainstEnumeration) {
  int feasible = 0;
  int binding = 0;
  int better_than_uniform = 0;
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    const uint32_t devices = 1 + seed % 4;
    const RandomCase drawn = Draw(seed, devices, true);
    const auto tree = BudgetTree::Create(drawn.specs, devices);
    ASSERT_TRUE(tree.ok()) << tree.status();
    const auto caps = WaterFill(*tree, tree->Caps(), drawn.demands);
    const __int128 best = BestByEnumeration(*tree, drawn.demands);
    ASSERT_EQ(caps.ok(), best >= 0) << "seed " << seed;
    if (!caps.ok()) continue;
    ++feasible;
    ASSERT_TRUE(Holds(*tree, *caps)) << "seed " << seed;
    for (uint32_t i = 0; i < devices; ++i) {
      ASSERT_LE(drawn.demands[i].min, (*caps)[i]);
      ASSERT_LE((*caps)[i], drawn.demands[i].max);
    }
    const __int128 got = WeightedRate(drawn.demands, *caps);
    ASSERT_TRUE(got == best) << "seed " << seed << ": " << static_cast<int64_t>(got) << " of "
                             << static_cast<int64_t>(best);
    std::vector<Power> all;
    for (const WattDemand& demand : drawn.demands) all.push_back(demand.max);
    binding += Holds(*tree, all) ? 0 : 1;
    const auto uniform = UniformCaps(*tree, tree->Caps(), drawn.demands);
    ASSERT_TRUE(uniform.ok() && Holds(*tree, *uniform));
    const __int128 rival = WeightedRate(drawn.demands, *uniform);
    ASSERT_TRUE(rival <= got);
    better_than_uniform += rival < got ? 1 : 0;
  }
  // The cases are worth something.
  EXPECT_GT(feasible, 400);
  EXPECT_GT(binding, 200);
  EXPECT_GT(better_than_uniform, 50);
}

TEST(WaterFillingTest, IsOptimalWithinRoundingWhereSlopesAreNotWhole) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const uint32_t devices = 1 + seed % 4;
    const RandomCase drawn = Draw(1000 + seed, devices, false);
    const auto tree = BudgetTree::Create(drawn.specs, devices);
    ASSERT_TRUE(tree.ok());
    const auto caps = WaterFill(*tree, tree->Caps(), drawn.demands);
    if (!caps.ok()) continue;
    // Each rate is rounded down to a whole millitoken, each end of a clipped curve too.
    __int128 tolerance = 0;
    for (const WattDemand& demand : drawn.demands) tolerance += 2 * demand.weight;
    ASSERT_TRUE(WeightedRate(drawn.demands, *caps) + tolerance >=
                BestByEnumeration(*tree, drawn.demands))
        << "seed " << seed;
  }
}

TEST(WaterFillingTest, RaisingEquallyIsMaxMinFair) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const RandomCase drawn = Draw(5000 + seed, 4, true);
    const auto tree = BudgetTree::Create(drawn.specs, 4);
    ASSERT_TRUE(tree.ok());
    const auto caps = UniformCaps(*tree, tree->Caps(), drawn.demands);
    if (!caps.ok()) continue;
    ASSERT_TRUE(Holds(*tree, *caps));
    // Nobody can gain a milliwatt except from one that has no more than it, give or take the
    // milliwatts that do not divide.
    for (uint32_t i = 0; i < 4; ++i) {
      if ((*caps)[i] == drawn.demands[i].max) continue;
      std::vector<Power> raised = *caps;
      raised[i] += Power(1);
      if (Holds(*tree, raised)) {
        bool shared = false;  // a node too small to give all of its own one more
        for (int at = tree->HomeOf(i); at >= 0; at = tree->nodes()[at].parent) {
          const Power room = tree->Caps()[at] - tree->SumsOf(*caps)[at];
          shared |= room < Power(static_cast<int64_t>(tree->nodes()[at].devices.size()));
        }
        ASSERT_TRUE(shared) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
