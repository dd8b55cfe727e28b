#include "scheduler/power/power_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/scheduler_power/fake_fleet.h"

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Four devices: interactive, standard, batch, idle. 2,000 W in all.
class PowerEventTest : public ::testing::Test {
 protected:
  PowerEventTest() {
    policy_.reserve_ppm = 0;
    views_ = {FakeView(LoadOfTier(0)), FakeView(LoadOfTier(1)), FakeView(LoadOfTier(2)),
              FakeView(DeviceLoadView())};
  }

  absl::StatusOr<PowerAnswer> Plan(const PowerRequest& request) const {
    const std::vector<Power> limits = tree_.Caps();
    return PlanPowerEvent({&tree_, limits, views_, &policy_}, request);
  }
  PowerAnswer Planned(const PowerRequest& request) const {
    auto answer = Plan(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : PowerAnswer();
  }
  std::string ErrorOf(const PowerRequest& request) const {
    const auto answer = Plan(request);
    return answer.ok() ? "" : std::string(answer.status().message());
  }
  static PowerRequest To(Power watts) {
    PowerRequest request;
    request.watts = watts;
    return request;
  }
  static std::vector<Power> CapsOf(const PowerAnswer& answer) {
    std::vector<Power> caps;
    for (const DevicePowerChange& change : answer.devices) caps.push_back(change.after);
    return caps;
  }
  static std::vector<DeviceFate> FatesOf(const PowerAnswer& answer) { return answer.plan.fates; }

  FleetPowerPolicy policy_;
  BudgetTree tree_ = BudgetTree::Flat(Watts(2000), 4);
  std::vector<DevicePowerView> views_;
};

TEST_F(PowerEventTest, EnoughWattsCostNothing) {
  const PowerAnswer answer = Planned(To(Watts(2000)));
  EXPECT_EQ(answer.rung, Rung::kNone);
  EXPECT_TRUE(answer.rungs.empty());
  EXPECT_TRUE(answer.in_time);
  EXPECT_EQ(answer.arrival, Duration());
  EXPECT_EQ(answer.latency_factor_milli, 1000);
  EXPECT_THAT(CapsOf(answer), ElementsAre(Watts(500), Watts(500), Watts(500), Watts(500)));
}

TEST_F(PowerEventTest, ClocksComeFirstAndHitAllAlike) {
  // 1,400 W: between all at 200 W (most efficient) and all at 500 W.
  const PowerAnswer answer = Planned(To(Watts(1400)));
  EXPECT_EQ(answer.rung, Rung::kClocks);
  EXPECT_EQ(answer.after, Watts(1400));
  // 300 W each is worth more than anything above; the rest goes by id, tiers unseen.
  EXPECT_THAT(CapsOf(answer), ElementsAre(Watts(500), Watts(300), Watts(300), Watts(300)));
  ASSERT_EQ(answer.rungs.size(), 1u);
  EXPECT_EQ(answer.rungs[0].freed, Watts(600));
  EXPECT_EQ(answer.rungs[0].millitokens_per_second_lost, 200'000);  // of the two that work
  EXPECT_THAT(answer.rungs[0].devices, ElementsAre(1, 2, 3));
  EXPECT_EQ(answer.rungs[0].sequences, (std::array<int64_t, 3>{0, 8, 8}));
  EXPECT_EQ(answer.millitokens_per_second_before, 2'100'000);
  EXPECT_EQ(answer.millitokens_per_second_after, 1'900'000);
  EXPECT_EQ(answer.latency_factor_milli, 1106);  // 2,100 / 1,900, rounded up
  EXPECT_EQ(answer.arrival, Milliseconds(1200));
}

TEST_F(PowerEventTest, ThenTokensWorthLeast) {
  // Below 4 x 200 W clocks do not suffice; 4 x 150 W is what full prefill chunks need.
  const PowerAnswer answer = Planned(To(Watts(750)));
  EXPECT_EQ(answer.rung, Rung::kTiers);
  ASSERT_EQ(answer.rungs.size(), 2u);
  EXPECT_EQ(answer.rungs[0].freed, Watts(1200));
  EXPECT_EQ(answer.rungs[1].freed, Watts(50));
  // Interactive keeps 200 W and rises; batch is at the floor. The idle one stands for standard.
  EXPECT_EQ(CapsOf(answer)[0], Watts(300));
  EXPECT_EQ(CapsOf(answer)[2], Watts(150));
  EXPECT_EQ(answer.after, Watts(750));
}

TEST_F(PowerEventTest, ThenPrefillThenIdleDevices) {
  views_[2].load.batch_prefill_millitokens_per_second = 5'000;
  const PowerAnswer prefill = Planned(To(Watts(500)));
  EXPECT_EQ(prefill.rung, Rung::kPrefill);
  EXPECT_TRUE(prefill.plan.prefill_limited);
  EXPECT_EQ(prefill.rungs.size(), 3u);

  const PowerAnswer park = Planned(To(Watts(450)));
  EXPECT_EQ(park.rung, Rung::kPark);
  EXPECT_THAT(FatesOf(park),
              ElementsAre(DeviceFate::kRun, DeviceFate::kRun, DeviceFate::kRun, DeviceFate::kPark));
  EXPECT_EQ(CapsOf(park)[3], Watts(30));
  EXPECT_FALSE(park.plan.admission_closed[kBatchTier]);
  // Nothing was lost by parking what idles: what it frees beyond need goes to the others.
  EXPECT_LE(park.rungs[3].millitokens_per_second_lost, 0);
  EXPECT_EQ(park.after, Watts(450));
}

TEST_F(PowerEventTest, ThenBatchStopsThenOthersDrain) {
  // 3 x 120 + 30 = 390 W is the least with three running.
  const PowerAnswer batch = Planned(To(Watts(380)));
  EXPECT_EQ(batch.rung, Rung::kAdmission);
  EXPECT_THAT(FatesOf(batch), ElementsAre(DeviceFate::kRun, DeviceFate::kRun, DeviceFate::kDrain,
                                          DeviceFate::kPark));
  EXPECT_TRUE(batch.plan.admission_closed[kBatchTier]);
  EXPECT_FALSE(batch.plan.admission_closed[kStandardTier]);
  EXPECT_EQ(batch.arrival, Milliseconds(21'200));
  EXPECT_EQ(batch.rungs.back().takes, Milliseconds(21'200));
  // Until the batch device sleeps the sum can only come down to 3 x 120 + 30.
  EXPECT_EQ(batch.stairs.front().limit, Watts(390));
  EXPECT_EQ(batch.stairs.back().limit, Watts(380));

  const PowerAnswer standard = Planned(To(Watts(290)));
  EXPECT_EQ(standard.rung, Rung::kAdmission);
  EXPECT_TRUE(standard.plan.admission_closed[kStandardTier]);
  EXPECT_EQ(standard.plan.fates[1], DeviceFate::kDrain);

  // One device runs whatever happens: 120 + 3 x 30.
  EXPECT_EQ(Planned(To(Watts(210))).after, Watts(210));
  EXPECT_THAT(ErrorOf(To(Watts(209))),
              HasSubstr("sum to 480 W (120 W + 120 W + 120 W + 120 W): 271 W short; with "
                        "everything asleep that can sleep 210 W remain"));
}

TEST_F(PowerEventTest, InteractiveDevicesDrainLast) {
  views_[1].load = LoadOfTier(0);
  views_[2].load = LoadOfTier(0);
  const PowerAnswer answer = Planned(To(Watts(300)));
  EXPECT_EQ(answer.rung, Rung::kDrain);
  EXPECT_TRUE(answer.plan.admission_closed[kStandardTier]);
  EXPECT_FALSE(answer.plan.admission_closed[0]);
}

TEST_F(PowerEventTest, ADeadlineTurnsDrainingIntoPreemption) {
  PowerRequest request = To(Watts(300));
  request.by = Seconds(30);
  EXPECT_EQ(Planned(request).rung, Rung::kAdmission);
  request.by = Seconds(5);
  const PowerAnswer answer = Planned(request);
  EXPECT_EQ(answer.rung, Rung::kPreempt);
  EXPECT_TRUE(answer.in_time);
  EXPECT_EQ(answer.arrival, Milliseconds(1200));
  EXPECT_EQ(answer.plan.fates[2], DeviceFate::kPreempt);
}

TEST_F(PowerEventTest, ALateDeadlineIsAnswered) {
  PowerRequest request = To(Watts(1000));
  request.by = Seconds(1);
  PowerAnswer answer = Planned(request);
  EXPECT_TRUE(answer.reachable);
  EXPECT_FALSE(answer.in_time);
  EXPECT_FALSE(answer.would_apply);
  EXPECT_EQ(answer.arrival, Milliseconds(1200));  // the earliest
  EXPECT_EQ(answer.lowest_by_deadline, Watts(2000));
  EXPECT_THAT(answer.summary, HasSubstr("too late for a deadline in 1 s"));
  request.best_effort = true;
  EXPECT_TRUE(Planned(request).would_apply);

  request = To(Watts(1000));
  request.ramp_per_second = Watts(100);
  request.by = Seconds(4);
  answer = Planned(request);
  EXPECT_FALSE(answer.in_time);
  EXPECT_EQ(answer.arrival, Milliseconds(10'200));
  EXPECT_EQ(answer.lowest_by_deadline, Watts(1700));  // stairs at 1.2, 2.2 and 3.2 s
}

TEST_F(PowerEventTest, TheStairsStayBelowTheRamp) {
  for (const int64_t ramp : {1, 7, 130, 999, 1'001, 50'000, 123'457}) {
    PowerRequest request = To(Watts(900));
    request.ramp_per_second = Milliwatts(ramp * 10);
    const PowerAnswer answer = Planned(request);
    ASSERT_FALSE(answer.stairs.empty());
    ASSERT_LE(answer.stairs.size(), 1'000u);
    EXPECT_EQ(answer.stairs.back().limit, Watts(900));
    EXPECT_EQ(answer.stairs.front().at, answer.lead);
    for (size_t i = 0; i < answer.stairs.size(); ++i) {
      // The line at the end of the stair, where it is lowest.
      const Duration end = answer.stairs[i].at + answer.stair_width;
      const __int128 fallen = static_cast<__int128>(ramp) * 10 * (end - answer.lead).value();
      const __int128 line =
          std::max<__int128>(static_cast<__int128>(900'000) * 1'000'000'000,
                             static_cast<__int128>(2'000'000) * 1'000'000'000 - fallen);
      // A stair is a whole milliwatt, the line is not.
      ASSERT_TRUE(static_cast<__int128>(answer.stairs[i].limit.value() - 1) * 1'000'000'000 < line)
          << "ramp " << ramp << " stair " << i;
      if (i > 0) {
        ASSERT_LT(answer.stairs[i].limit, answer.stairs[i - 1].limit);
      }
    }
  }
}

TEST_F(PowerEventTest, WallWattsAndTheReserve) {
  policy_.pue_milli = 1250;
  policy_.overhead_per_device = Watts(50);
  policy_.reserve_ppm = 50'000;
  PowerRequest request = To(Watts(2000));
  request.basis = PowerBasis::kWall;
  const PowerAnswer answer = Planned(request);
  EXPECT_EQ(answer.device_budget, Watts(1400));  // 2,000 / 1.25 - 4 x 50
  EXPECT_EQ(answer.usable, Watts(1330));
  EXPECT_EQ(answer.after, Watts(1330));
  request.watts = Watts(250);
  EXPECT_THAT(ErrorOf(request), HasSubstr("250 W at the wall, which PUE 1.250 and 4 x 50 W"));
}

TEST_F(PowerEventTest, RefusesWhatMeansNothing) {
  EXPECT_THAT(ErrorOf(To(Watts(0))), HasSubstr("watts is 0 W: a budget must be above zero"));
  EXPECT_THAT(ErrorOf(To(Watts(-5))), HasSubstr("watts is -5 W"));
  EXPECT_THAT(ErrorOf(To(ThroughputCurve::kMaxPower + Power(1))), HasSubstr("at most"));
  PowerRequest request = To(Watts(1000));
  request.ramp_per_second = Watts(-1);
  EXPECT_THAT(ErrorOf(request), HasSubstr("ramp is -1 W per second"));
  request = To(Watts(1000));
  request.by = Duration(0);
  EXPECT_THAT(ErrorOf(request), HasSubstr("by is 0 s from now"));
  request = To(Watts(1000));
  request.node = "flet";
  EXPECT_THAT(ErrorOf(request), HasSubstr("did you mean 'fleet'"));
  policy_.reserve_ppm = 1'000'000;
  EXPECT_THAT(ErrorOf(To(Watts(1000))), HasSubstr("reserve"));
}

TEST_F(PowerEventTest, BestEffortGoesAsLowAsItCan) {
  for (DevicePowerView& view : views_) view.parkable = false;
  PowerRequest request = To(Watts(300));
  EXPECT_THAT(ErrorOf(request), HasSubstr("480 W remain"));
  request.best_effort = true;
  const PowerAnswer answer = Planned(request);
  EXPECT_FALSE(answer.reachable);
  EXPECT_TRUE(answer.would_apply);
  EXPECT_EQ(answer.after, Watts(480));
  EXPECT_THAT(answer.summary, HasSubstr("480 W is the lowest"));
}

TEST_F(PowerEventTest, ALostDeviceCountsWhatItMayDraw) {
  views_[3].lost = true;
  views_[3].parkable = false;
  const PowerAnswer answer = Planned(To(Watts(1100)));
  EXPECT_EQ(CapsOf(answer)[3], Watts(500));
  EXPECT_EQ(answer.after, Watts(1100));
  EXPECT_EQ(answer.plan.fates[3], DeviceFate::kLost);
}

TEST_F(PowerEventTest, TheWholeLadderAddsUp) {
  const std::vector<Power> limits = tree_.Caps();
  std::vector<Power> lowest;
  const std::vector<RungReport> ladder =
      WholeLadder({&tree_, limits, views_, &policy_, std::nullopt}, &lowest);
  ASSERT_EQ(ladder.size(), 7u);
  Power freed;
  int64_t lost = 0;
  for (size_t i = 0; i < ladder.size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(ladder[i].rung), i + 1);
    EXPECT_GE(ladder[i].freed, Power());
    EXPECT_FALSE(RungMeaning(ladder[i].rung).empty());
    EXPECT_FALSE(RungWhoIsHit(ladder[i].rung).empty());
    freed += ladder[i].freed;
    lost += ladder[i].millitokens_per_second_lost;
  }
  EXPECT_EQ(freed, Watts(2000) - Watts(210));
  EXPECT_THAT(lowest, ElementsAre(Watts(210)));
  // All but what the last device yields at its least cap, 20 W above its idle floor.
  EXPECT_EQ(lost, 2'100'000 - 80'000);
}

TEST_F(PowerEventTest, ARackOfItsOwn) {
  const auto tree = BudgetTree::Create(
      std::vector<BudgetNodeSpec>{{"fleet", BudgetLevel::kFleet, Watts(2000), {"a", "b"}, {}},
                                  {"a", BudgetLevel::kRack, Watts(1000), {}, {0, 1}},
                                  {"b", BudgetLevel::kRack, Watts(1000), {}, {2, 3}}},
      4);
  ASSERT_TRUE(tree.ok());
  tree_ = *tree;
  PowerRequest request = To(Watts(200));
  request.node = "b";
  const PowerAnswer answer = Planned(request);
  EXPECT_EQ(answer.before, Watts(1000));
  EXPECT_EQ(answer.after, Watts(200));
  EXPECT_EQ(answer.plan.fates[3], DeviceFate::kPark);  // the idle one of that rack
  EXPECT_EQ(answer.plan.fates[0], DeviceFate::kRun);
  EXPECT_EQ(CapsOf(answer)[0], Watts(500));
}

}  // namespace
}  // namespace scoville::scheduler
