// The pool's power budget with real devices and a real scheduler, in virtual time.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "scheduler/power/fleet_power.h"
#include "tests/support/core_fixture.h"

namespace scoville::scheduler {
namespace {

tests::CoreOptions FourDevices() {
  tests::CoreOptions options;
  options.devices = 4;
  options.kv_blocks = 3000;
  options.power.keep_trace = true;
  return options;
}

void Load(tests::Core& core, int requests) {
  for (int i = 0; i < requests; ++i) {
    ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(300, 5000)).refusal);
  }
}

void Stop(tests::Core& core) {
  core.scheduler->EndAll(Outcome::kDraining);
  core.loop.Run();
}

Power SumOfCaps(const tests::Core& core) {
  Power sum;
  for (const auto& device : core.devices) sum += device->power().cap();
  return sum;
}

TEST(PowerBudgetTest, CapsFollowTheBudgetAndEveryWindowKeepsThem) {
  tests::Core core(FourDevices());
  Load(core, 32);
  core.loop.RunUntil(TimePoint() + Milliseconds(200));
  PowerRequest request;
  request.watts = Watts(600);
  const auto dry = core.scheduler->fleet().DryRun(request);
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(SumOfCaps(core), Watts(2800));  // asking changes nothing
  const auto answer = core.scheduler->fleet().Set(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->summary, dry->summary);
  EXPECT_TRUE(answer->in_time) << answer->summary;
  core.loop.RunUntil(core.loop.Now() + Seconds(3));
  EXPECT_LE(SumOfCaps(core), Watts(600));
  EXPECT_GE(SumOfCaps(core), Watts(400));
  core.loop.RunUntil(core.loop.Now() + Seconds(2));
  for (const auto& device : core.devices) {
    const device::WindowExcess worst =
        device::WorstWindow(device->power().trace(), device->power().trace_caps(), Seconds(1));
    EXPECT_LE(worst.picojoules, 0) << device->id() << " " << worst.watts() << " W";
  }
  request.watts = Watts(2800);
  ASSERT_TRUE(core.scheduler->fleet().Set(request).ok());
  core.loop.RunUntil(core.loop.Now() + Seconds(2));
  EXPECT_GT(SumOfCaps(core), Watts(1200));
  Stop(core);
}

TEST(PowerBudgetTest, BelowWhatAllDevicesNeedSomeRunEmptyAndSleep) {
  tests::Core core(FourDevices());
  Load(core, 8);
  core.loop.RunUntil(TimePoint() + Milliseconds(200));
  PowerRequest request;
  request.watts = Watts(400);
  request.best_effort = true;
  const auto answer = core.scheduler->fleet().Set(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  core.loop.RunUntil(core.loop.Now() + Seconds(60));
  EXPECT_LT(answer->lowest, Watts(4 * 106)) << "sleeping frees watts";
  int parked = 0;
  for (const auto& device : core.devices) parked += device->Status().parked ? 1 : 0;
  EXPECT_GT(parked, 0) << answer->summary;
  // Nothing is lost: what had to leave goes on elsewhere.
  for (const RequestRecord& record : core.observer.ended) {
    EXPECT_EQ(record.outcome, Outcome::kLength);
  }
  Stop(core);
}

TEST(PowerBudgetTest, ImpossibleBudgetsAreRefusedAndChangeNothing) {
  tests::Core core(FourDevices());
  const auto refused = [&](PowerRequest request) {
    const auto answer = core.scheduler->fleet().Set(request);
    const bool applied = answer.ok() && answer->would_apply;
    return !applied && SumOfCaps(core) == Watts(2800);
  };
  EXPECT_TRUE(refused({.node = "", .watts = Watts(0), .by = {}, .ramp_per_second = {}}));
  EXPECT_TRUE(refused({.node = "", .watts = Watts(-5), .by = {}, .ramp_per_second = {}}));
  EXPECT_TRUE(refused({.node = "", .watts = Watts(20), .by = {}, .ramp_per_second = {}}));
  EXPECT_TRUE(refused({.node = "", .watts = Watts(900), .by = {}, .ramp_per_second = Watts(-1)}));
  EXPECT_TRUE(refused({.node = "attic", .watts = Watts(900), .by = {}, .ramp_per_second = {}}));
  EXPECT_FALSE(core.scheduler->fleet().SetDeviceCap(0, Watts(20)).ok());
}

TEST(PowerBudgetTest, AnIdlePoolWithABudgetComesToRest) {
  tests::Core core(FourDevices());
  PowerRequest request;
  request.watts = Watts(900);
  ASSERT_TRUE(core.scheduler->fleet().Set(request).ok());
  core.loop.Run();  // would never end if the budget were divided for ever
  ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(30, 50)).refusal);
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), 1u);
}

}  // namespace
}  // namespace scoville::scheduler
