#include "scheduler/power/fleet_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/simulated_event_loop.h"
#include "tests/unit/scheduler_power/fake_fleet.h"

namespace scoville::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FleetPowerTest : public ::testing::Test {
 protected:
  void Build(uint32_t devices, bool budgets_set = false, Power cap = Watts(500)) {
    work_ = std::make_unique<FakeWork>(devices);
    std::vector<PowerControlledDevice*> all;
    for (uint32_t i = 0; i < devices; ++i) {
      devices_.push_back(std::make_unique<FakeDevice>(i, cap));
      all.push_back(devices_.back().get());
      work_->loads[i] = LoadOfTier(static_cast<int>(i % 3));
    }
    options_.policy.reserve_ppm = 0;
    options_.budgets_set = budgets_set;
    auto fleet = FleetPower::Create(&loop_, BudgetTree::Flat(Watts(500) * devices, devices), all,
                                    work_.get(), options_);
    ASSERT_TRUE(fleet.ok()) << fleet.status();
    fleet_ = *std::move(fleet);
  }

  static PowerRequest To(Power watts) {
    PowerRequest request;
    request.watts = watts;
    return request;
  }
  // The most the fleet may draw now, by the devices' own account.
  Power Worst() const {
    Power sum;
    for (const auto& device : devices_) sum += device->WorstAt(loop_.Now());
    return sum;
  }
  Power SumOfCaps() const {
    Power sum;
    for (const auto& device : devices_) sum += device->Cap();
    return sum;
  }
  // One more device, if the budget can hold it.
  bool Join() {
    auto more = std::make_unique<FakeDevice>(static_cast<uint32_t>(devices_.size()));
    more->fresh = true;
    PowerControlledDevice* const all[] = {more.get()};
    if (!fleet_->CanAdd(all, "").ok()) {
      return false;
    }
    devices_.push_back(std::move(more));
    work_->loads.emplace_back();
    work_->closed.push_back(false);
    work_->preempted.push_back(false);
    fleet_->Add(all, "");
    return true;
  }
  // One of: a device joins, or this one is removed, is fenced, asks to be back, where that can be.
  void ComeOrGo(int64_t what, uint32_t device) {
    const CapBook::Presence presence = fleet_->book().presence(device);
    const bool there = presence == CapBook::Presence::kPresent;
    if (what == 0 && devices_.size() < 40) {
      joined_ += Join() ? 1 : 0;
    } else if (what == 1 && there && joined_ > left_) {
      work_->loads[device] = DeviceLoadView();
      fleet_->Remove(device);
      devices_[device]->Off(loop_.Now());
      ++left_;
    } else if (what == 2 && there) {
      work_->loads[device] = DeviceLoadView();
      fleet_->DeviceFenced(device);
      devices_[device]->Off(loop_.Now(), devices_[device]->OffPower());
    } else if (what == 3 && presence == CapBook::Presence::kFenced &&
               !fleet_->Get().devices[device].removed) {
      fleet_->DeviceReturned(device);
    }
  }
  void RunFor(Duration d) { loop_.RunUntil(loop_.Now() + d); }

  SimulatedEventLoop loop_;
  FleetPowerOptions options_;
  std::vector<std::unique_ptr<FakeDevice>> devices_;
  std::unique_ptr<FakeWork> work_;
  std::unique_ptr<FleetPower> fleet_;
  int joined_ = 0;
  int left_ = 0;
};

TEST_F(FleetPowerTest, WithoutABudgetNothingHappens) {
  Build(3, false, Watts(300));
  EXPECT_EQ(loop_.pending(), 0u);
  for (const auto& device : devices_) EXPECT_EQ(device->sent, 0);
  const FleetPowerStatus status = fleet_->Get();
  EXPECT_FALSE(status.nodes[0].budget.has_value());
  EXPECT_EQ(status.nodes[0].counted, Watts(900));
  EXPECT_EQ(status.devices[1].ceiling, Watts(300));
  EXPECT_EQ(status.ladder.size(), 7u);
}

TEST_F(FleetPowerTest, ADryRunGivesTheSameAnswerAndChangesNothing) {
  Build(4);
  const auto dry = fleet_->DryRun(To(Watts(900)));
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(SumOfCaps(), Watts(2000));
  EXPECT_EQ(loop_.pending(), 0u);
  EXPECT_FALSE(fleet_->Get().nodes[0].budget.has_value());
  const auto real = fleet_->Set(To(Watts(900)));
  ASSERT_TRUE(real.ok());
  EXPECT_EQ(dry->summary, real->summary);
  EXPECT_EQ(dry->arrival, real->arrival);
  ASSERT_EQ(dry->devices.size(), real->devices.size());
  for (size_t i = 0; i < dry->devices.size(); ++i) {
    EXPECT_EQ(dry->devices[i].after, real->devices[i].after);
  }
  // And it comes true.
  RunFor(real->arrival);
  for (size_t i = 0; i < real->devices.size(); ++i) {
    EXPECT_EQ(devices_[i]->Cap(), real->devices[i].after) << i;
  }
  EXPECT_LE(Worst(), Watts(900));
  EXPECT_TRUE(fleet_->Get().settled);
}

TEST_F(FleetPowerTest, AnUnmetDeadlineChangesNothing) {
  Build(4);
  PowerRequest request = To(Watts(900));
  request.by = Milliseconds(100);
  const auto answer = fleet_->Set(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->would_apply);
  EXPECT_EQ(SumOfCaps(), Watts(2000));
  EXPECT_EQ(loop_.pending(), 0u);
  request.best_effort = true;
  ASSERT_TRUE(fleet_->Set(request).ok());
  EXPECT_EQ(SumOfCaps(), Watts(900));
}

TEST_F(FleetPowerTest, FollowsTheRampWithoutOvershoot) {
  Build(6);
  PowerRequest request = To(Watts(1200));
  request.ramp_per_second = Watts(90);
  const auto answer = fleet_->Set(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->stairs.size(), 20u);
  Power last = Watts(3000);
  for (int64_t ms = 0; ms <= 25'000; ms += 50) {
    loop_.RunUntil(TimePoint() + Milliseconds(ms));
    Power allowed = Watts(3000);
    for (const PowerStair& stair : answer->stairs) {
      if (TimePoint() + stair.at <= loop_.Now()) allowed = stair.limit;
    }
    ASSERT_LE(Worst(), allowed) << "at " << ms << " ms";
    ASSERT_LE(Worst(), last) << "at " << ms << " ms";
    last = Worst();
  }
  EXPECT_EQ(Worst(), Watts(1200));
}

TEST_F(FleetPowerTest, ARaiseSpendsOnlyWhatIsFreed) {
  Build(2);
  ASSERT_TRUE(fleet_->Set(To(Watts(600))).ok());
  RunFor(Seconds(3));
  ASSERT_EQ(Worst(), Watts(600));
  const Power before = devices_[0]->Cap();
  // The interactive device's demand vanishes, the standard one's is all there is.
  devices_[0]->curve = ThroughputCurve();
  devices_[1]->curve = FakeCurve(200);
  work_->loads[0] = DeviceLoadView();
  fleet_->DemandMoved();
  EXPECT_LT(devices_[0]->Cap(), before);
  EXPECT_EQ(Worst(), Watts(600));
  const Power at_once = devices_[1]->Cap();
  RunFor(Milliseconds(1'199));
  EXPECT_EQ(devices_[1]->Cap(), at_once);
  RunFor(Milliseconds(1));
  EXPECT_GT(devices_[1]->Cap(), at_once);
  EXPECT_LE(Worst(), Watts(600));
}

TEST_F(FleetPowerTest, DrainsParksAndWakesAgain) {
  Build(3);
  const auto answer = fleet_->Set(To(Watts(300)));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rung, Rung::kAdmission);
  EXPECT_TRUE(work_->closed[2]);  // runs batch
  EXPECT_TRUE(work_->admission[kBatchTier]);
  EXPECT_TRUE(work_->prefill_limited);
  RunFor(Seconds(10));
  EXPECT_FALSE(devices_[2]->parked);
  EXPECT_GT(Worst(), Watts(300));  // as announced
  work_->loads[2] = DeviceLoadView();
  fleet_->DeviceEmpty(2);
  EXPECT_TRUE(devices_[2]->parked);
  RunFor(Seconds(15));
  EXPECT_LE(Worst(), Watts(300));
  EXPECT_TRUE(fleet_->Get().settled);
  EXPECT_EQ(fleet_->Get().devices[2].fate, DeviceFate::kPark);
  EXPECT_FALSE(work_->admission[kBatchTier]);  // what runs on takes it again

  ASSERT_TRUE(fleet_->Set(To(Watts(1500))).ok());
  EXPECT_FALSE(devices_[2]->parked);
  EXPECT_FALSE(work_->closed[2]);
  EXPECT_FALSE(work_->prefill_limited);
  RunFor(Seconds(3));
  EXPECT_EQ(SumOfCaps(), Watts(1500));
}

TEST_F(FleetPowerTest, ADeadlinePreempts) {
  Build(3);
  PowerRequest request = To(Watts(300));
  request.by = Seconds(2);
  const auto answer = fleet_->Set(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_TRUE(answer->in_time);
  EXPECT_TRUE(work_->preempted[2]);
  RunFor(Seconds(2));
  EXPECT_TRUE(devices_[2]->parked);
  EXPECT_LE(Worst(), Watts(300));
}

TEST_F(FleetPowerTest, ALostDevicesShareReturnsWhenItIsFenced) {
  Build(3);
  ASSERT_TRUE(fleet_->Set(To(Watts(600))).ok());
  RunFor(Seconds(3));
  const Power others = devices_[0]->Cap() + devices_[1]->Cap();
  fleet_->DeviceLost(2);
  RunFor(Seconds(10));
  EXPECT_EQ(devices_[0]->Cap() + devices_[1]->Cap(), others);
  fleet_->DeviceFenced(2);
  RunFor(Seconds(3));
  EXPECT_EQ(devices_[0]->Cap() + devices_[1]->Cap(), Watts(595));  // off it draws 5 W
  fleet_->DeviceReturned(2);
  RunFor(Seconds(5));
  EXPECT_EQ(fleet_->book().presence(2), CapBook::Presence::kPresent);
  EXPECT_LE(fleet_->Get().nodes[0].counted, Watts(600));
}

TEST_F(FleetPowerTest, ADeviceIsBackWhenItIsPaidForAndNotBefore) {
  Build(3);
  ASSERT_TRUE(fleet_->Set(To(Watts(600))).ok());
  RunFor(Seconds(3));
  fleet_->DeviceLost(2);
  fleet_->DeviceFenced(2);
  RunFor(Seconds(3));
  ASSERT_EQ(devices_[0]->Cap() + devices_[1]->Cap(), Watts(595));  // nothing is left for it
  fleet_->DeviceReturned(2);
  EXPECT_THAT(work_->returned, IsEmpty());
  RunFor(Milliseconds(1'100));
  EXPECT_THAT(work_->returned, IsEmpty());  // the others have been told, and take 1.2 s
  fleet_->DeviceFenced(2);                  // changed their mind
  RunFor(Seconds(5));
  EXPECT_THAT(work_->returned, IsEmpty());
  fleet_->DeviceReturned(2);
  RunFor(Milliseconds(1'300));
  EXPECT_THAT(work_->returned, ElementsAre(2));
  EXPECT_LE(fleet_->book().counted_sums()[0], Watts(600));
  EXPECT_EQ(fleet_->book().limits_in_force()[0], Watts(600));
}

TEST_F(FleetPowerTest, ADeviceIsBackAtOnceWhereTheOthersComeDownAtOnce) {
  Build(3);
  ASSERT_TRUE(fleet_->Set(To(Watts(600))).ok());
  RunFor(Seconds(3));
  fleet_->DeviceFenced(2);
  RunFor(Seconds(3));
  devices_[0]->delay = devices_[1]->delay = Duration();
  fleet_->DeviceReturned(2);
  EXPECT_THAT(work_->returned, ElementsAre(2));
}

TEST_F(FleetPowerTest, ADeviceCapIsACeiling) {
  Build(2);
  ASSERT_TRUE(fleet_->Set(To(Watts(900))).ok());
  RunFor(Seconds(2));
  const auto answer = fleet_->SetDeviceCap(0, Watts(250));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->cap, Watts(250));
  EXPECT_EQ(answer->effective_at, loop_.Now() + Milliseconds(1200));
  RunFor(Seconds(3));
  EXPECT_EQ(devices_[1]->Cap(), Watts(500));
  EXPECT_THAT(std::string(fleet_->SetDeviceCap(0, Watts(119)).status().message()),
              HasSubstr("119 W for device 0: it takes 120 W (one sequence at the lowest clock) to "
                        "500 W"));
  EXPECT_EQ(fleet_->SetDeviceCap(2, Watts(200)).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FleetPowerTest, StartsWithinItsBudgets) {
  Build(2, true);
  EXPECT_EQ(SumOfCaps(), Watts(1000));
  FakeDevice a(0);
  FakeWork work(1);
  FleetPowerOptions options;
  options.budgets_set = true;
  const auto fleet =
      FleetPower::Create(&loop_, BudgetTree::Flat(Watts(125), 1), {&a}, &work, options);
  EXPECT_THAT(std::string(fleet.status().message()),
              HasSubstr("may draw 118.75 W, but the least caps of its 1 devices sum to 120 W"));
}

TEST_F(FleetPowerTest, ADeviceThatJoinsSleepsUntilItIsPaidForAndOneThatGoesLeavesItsShare) {
  Build(2, true);  // 1,000 W for 2 x 500 W
  FakeDevice third(2);
  third.fresh = true;
  work_->loads.emplace_back();
  work_->closed.push_back(false);
  work_->preempted.push_back(false);
  PowerControlledDevice* const more[] = {&third};
  EXPECT_EQ(fleet_->CanAdd(more, "rack").code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(fleet_->CanAdd(more, ""), absl::OkStatus());
  fleet_->Add(more, "fleet");
  EXPECT_TRUE(third.parked);
  EXPECT_TRUE(work_->closed[2]);
  const auto worst = [&] { return Worst() + third.WorstAt(loop_.Now()); };
  // What it draws asleep counts, and the limit in force says so until the others have come down.
  EXPECT_EQ(fleet_->book().limits_in_force()[0], Watts(1030));
  EXPECT_LE(worst(), Watts(1030));
  RunFor(Milliseconds(1'300));
  EXPECT_FALSE(third.parked);
  EXPECT_FALSE(work_->closed[2]);
  RunFor(Seconds(5));
  EXPECT_EQ(fleet_->book().limits_in_force()[0], Watts(1000));
  EXPECT_LE(worst(), Watts(1000));
  EXPECT_GE(third.Cap(), third.MinCap());
  EXPECT_EQ(fleet_->Get().nodes[0].devices, 3u);
  const Power before = SumOfCaps();
  fleet_->Remove(2);
  EXPECT_EQ(SumOfCaps(), before);  // others may leave at this instant
  RunFor(Nanoseconds(1));
  EXPECT_GT(SumOfCaps(), before);
  const FleetPowerStatus status = fleet_->Get();
  EXPECT_TRUE(status.devices[2].removed);
  EXPECT_EQ(status.devices[2].counted, Power());
  EXPECT_EQ(status.nodes[0].devices, 2u);
  EXPECT_THAT(std::string(fleet_->SetDeviceCap(2, Watts(200)).status().message()),
              HasSubstr("was removed"));
  const int sent = third.sent;
  RunFor(Seconds(5));
  EXPECT_EQ(third.sent, sent);  // it is left alone
}

// A division looks at every device: one for each that leaves would hold the engine's thread for
// seconds where hundreds leave.
TEST_F(FleetPowerTest, WhatThoseThatLeaveTogetherHadIsDividedOnce) {
  Build(40);
  ASSERT_TRUE(fleet_->Set(To(Watts(9'000)))->would_apply);
  RunFor(Seconds(10));
  const Power before = devices_[0]->Cap();
  const int asked = devices_[0]->asked;
  for (uint32_t device = 20; device < 40; ++device) {
    fleet_->Remove(device);
    devices_[device]->Off(loop_.Now());
  }
  RunFor(Microseconds(1));
  const int once = devices_[0]->asked - asked;
  EXPECT_GT(once, 0);
  EXPECT_LE(once, 6);
  EXPECT_GT(devices_[0]->Cap(), before);
}

TEST_F(FleetPowerTest, ADeviceForWhichThereIsNoFloorIsRefused) {
  Build(2, true);
  ASSERT_TRUE(fleet_->Set(To(Watts(300)))->would_apply);
  FakeDevice third(2);
  PowerControlledDevice* const more[] = {&third};
  const absl::Status full = fleet_->CanAdd(more, "");
  EXPECT_EQ(full.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(full.message()),
              HasSubstr("may draw 300 W, but the least caps of its 3 devices sum to 360 W"));
  fleet_->Remove(0);
  EXPECT_EQ(fleet_->CanAdd(more, ""), absl::OkStatus());
}

// Random budgets, deadlines, ramps, loads, losses: by the devices' own account the fleet never
// draws above the limit in force, and every announced stair is kept.
TEST_F(FleetPowerTest, NeverAboveTheLimitInForceWhateverHappens) {
  Build(5);
  uint64_t draws = 0;
  const auto below = [&draws](int64_t n) {
    return static_cast<int64_t>(RandomBelow(11, 4, draws++, static_cast<uint64_t>(n)));
  };
  int applied = 0;
  for (int step = 0; step < 3'000; ++step) {
    const uint32_t device = static_cast<uint32_t>(below(static_cast<int64_t>(devices_.size())));
    const bool there = fleet_->book().presence(device) == CapBook::Presence::kPresent;
    switch (below(12)) {
      case 0: {
        PowerRequest request = To(Watts(100 + below(2'600)));
        request.ramp_per_second = Watts(below(3) == 0 ? 10 + below(400) : 0);
        if (below(2) == 0) request.by = Milliseconds(1 + below(30'000));
        request.best_effort = below(3) == 0;
        const auto dry = fleet_->DryRun(request);
        const auto answer = fleet_->Set(request);
        ASSERT_EQ(dry.ok(), answer.ok());
        if (answer.ok()) {
          ASSERT_EQ(dry->summary, answer->summary);
          applied += answer->would_apply ? 1 : 0;
        }
        break;
      }
      case 1:
        if (there && !devices_[device]->parked && !work_->closed[device]) {
          work_->loads[device] = LoadOfTier(static_cast<int>(below(3)), Seconds(below(40)));
        }
        break;
      case 2:
        work_->loads[device] = DeviceLoadView();
        fleet_->DeviceEmpty(device);
        break;
      case 3:
        devices_[device]->curve = FakeCurve(1 + below(300));
        fleet_->DemandMoved();
        break;
      case 4:
        if (there) {
          (void)fleet_->SetDeviceCap(device, Watts(120 + below(381)));
        }
        break;
      case 5:
      case 6:
      case 7:
      case 8:
        ComeOrGo(below(4), device);
        break;
      default:
        RunFor(Milliseconds(below(4'000)));
    }
    const Power in_force = fleet_->book().limits_in_force()[0];
    ASSERT_LE(Worst(), in_force) << "step " << step;
    ASSERT_LE(Worst(), fleet_->book().counted_sums()[0]) << "step " << step;
  }
  EXPECT_GT(applied, 100);
  EXPECT_GT(joined_, 20);
  EXPECT_GT(left_, 20);
  EXPECT_GT(work_->returned.size(), 30u);
}

}  // namespace
}  // namespace scoville::scheduler
