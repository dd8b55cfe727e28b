// What is taken in follows the devices that there are: requests by length and by deadline, devices
// by budget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "device/device_pool.h"
#include "scheduler/core/scale_pool.h"
#include "tests/support/core_fixture.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using ::testing::ElementsAre;

TEST(ScalingRoomTest, ALargerDeviceBringsRoomForLargerRequests) {
  Core core({.devices = 1, .kv_blocks = 16});
  EXPECT_TRUE(core.scheduler->Submit(core.NewRequest(1000, 100)).refusal);
  core.device_options.kv_blocks = 200;
  ASSERT_EQ(core.scheduler->AddDevice(core.NewDevice()), absl::OkStatus());
  auto log = std::make_shared<SinkLog>();
  ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(1000, 100, log)).refusal);
  core.loop.Run();
  EXPECT_EQ(log->end->outcome, Outcome::kLength);
}

TEST(ScalingRoomTest, DeadlinesReckonWithTheDevicesThatThereAre) {
  enum class Now { kAsMade, kOneMore, kOneLess, kOneOnItsWay };
  const auto taken = [](int32_t devices, Now now) {
    Core core({.devices = devices, .kv_blocks = 4000, .max_running = 1, .refuse_hopeless = true});
    auto first = std::make_shared<SinkLog>();
    EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(4000, 1, first)).refusal);
    core.loop.Run();
    const Duration alone = first->end->end - first->end->arrival;
    if (now == Now::kOneOnItsWay) {
      EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(100, 2000)).refusal);
      EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(100, 2000)).refusal);
      core.loop.RunUntil(core.loop.Now() + Milliseconds(1));
    }
    if (now == Now::kOneMore) {
      EXPECT_EQ(core.scheduler->AddDevice(core.NewDevice()), absl::OkStatus());
    } else if (now != Now::kAsMade) {
      EXPECT_EQ(core.scheduler->RemoveDevice(DeviceId{1}), absl::OkStatus());
    }
    if (now == Now::kOneLess) {
      core.loop.RunUntil(core.loop.Now() + Milliseconds(1));
    }
    int64_t accepted = 0;
    for (int i = 0; i < 30; ++i) {
      scheduler::Request request = core.NewRequest(4000, 1);
      request.deadline = core.loop.Now() + alone * 13 / 2;
      accepted += core.scheduler->Submit(std::move(request)).refusal ? 0 : 1;
    }
    core.loop.Run();
    return accepted;
  };
  const int64_t one = taken(1, Now::kAsMade);
  const int64_t two = taken(2, Now::kAsMade);
  EXPECT_GE(one, 3);
  EXPECT_GT(two, one + 2);
  EXPECT_EQ(taken(1, Now::kOneMore), two);
  EXPECT_EQ(taken(2, Now::kOneLess), one);
  // What moves from it has to be computed besides, at worst.
  EXPECT_LE(taken(2, Now::kOneOnItsWay), one);
}

TEST(ScalingRoomTest, WhatADeviceOnItsWayOutHasCachedHelpsNoDeadline) {
  for (const bool leaves : {false, true}) {
    Core core({.devices = 2, .kv_blocks = 4000, .prefix_cache = true, .refuse_hopeless = true});
    auto first = std::make_shared<SinkLog>();
    ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(4000, 4000, first)).refusal);
    while (first->tokens.size() < 5) {
      ASSERT_TRUE(core.loop.RunOne());
    }
    core.loop.RunUntil(core.loop.Now() + Microseconds(5));
    const scheduler::RequestStatus status = core.scheduler->Requests(1)[0];
    ASSERT_TRUE(core.devices[status.record.device.value]->busy());  // it leaves when that ends
    if (leaves) {
      ASSERT_EQ(core.scheduler->RemoveDevice(status.record.device), absl::OkStatus());
    }
    scheduler::Request again = core.NewRequest(4000, 1);
    again.deadline = core.loop.Now() + (core.loop.Now() - TimePoint()) / 4;
    EXPECT_EQ(core.scheduler->Submit(std::move(again)).refusal.has_value(), leaves);
    core.loop.Run();
  }
}

TEST(ScalingRoomTest, DevicesThatAreRefusedUseUpNoNumber) {
  const auto model = model::SyntheticModel();
  ASSERT_TRUE(model.ok());
  SimulatedEventLoop loop;
  device::PoolOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  options.devices = 2;
  auto pool = device::DevicePool::Create(&loop, options, **model, nullptr);
  ASSERT_TRUE(pool.ok()) << pool.status();
  scheduler::SchedulerOptions how;
  how.context = (*model)->config.context;
  how.vocabulary = (*model)->config.vocabulary;
  how.fleet.budget = (*pool)->devices()[0]->power().min_cap() * 4;
  LoggingObserver observer;
  scheduler::Scheduler scheduler(&loop, (*pool)->devices(), how, &observer);
  EXPECT_EQ(scheduler::ScalePool(pool->get(), &scheduler, 6, "").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*pool)->devices().size(), 2u);
  const auto three = scheduler::ScalePool(pool->get(), &scheduler, 3, "");
  ASSERT_TRUE(three.ok()) << three.status();
  EXPECT_THAT(three->added, ElementsAre(DeviceId{2}));
  loop.Run();
}

}  // namespace
}  // namespace scoville::tests
