// More work than the pool can do in time: what is late already does not make the rest late, and
// does not starve either.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/power/fleet_power.h"
#include "tests/support/core_fixture.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::RequestRecord;
using scheduler::ServiceClass;

constexpr int64_t kPrompt = 400;
constexpr int64_t kOutput = 8;

CoreOptions OptionsWith(Duration ttft_target, int32_t late_share) {
  CoreOptions options{.kv_blocks = 512, .ttft_target = ttft_target};
  options.routing = scheduler::RoutePolicy::kCost;
  options.scheduler.late_share = late_share;
  return options;
}

// The time of a request where they follow each other without end.
Duration TimeEach() {
  constexpr int64_t kMany = 200;
  Core core(OptionsWith(Duration(), 0));
  for (int64_t i = 0; i < kMany; ++i) {
    core.scheduler->Submit(core.NewRequest(kPrompt, kOutput));
  }
  core.loop.Run();
  return (core.loop.Now() - TimePoint()) / kMany;
}

struct Crowd {
  int64_t in_time = 0;
  int64_t late = 0;
  std::vector<RequestRecord> ended;  // while more were arriving
};

// `requests`, each `gap` after the one before.
Crowd Arrive(int64_t requests, Duration gap, Duration target, int32_t late_share) {
  Core core(OptionsWith(target, late_share));
  for (int64_t i = 0; i < requests; ++i) {
    core.loop.RunUntil(TimePoint() + gap * i);
    core.scheduler->Submit(core.NewRequest(kPrompt, kOutput));
    core.scheduler->CheckInvariants();
  }
  Crowd crowd;
  crowd.ended = core.observer.ended;
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), static_cast<size_t>(requests));
  for (const RequestRecord& record : core.observer.ended) {
    EXPECT_EQ(record.outcome, Outcome::kLength);
    (record.first_token - record.arrival <= target ? crowd.in_time : crowd.late) += 1;
  }
  return crowd;
}

TEST(OverloadScenarios, TheLateDoNotMakeOthersLate) {
  const Duration each = TimeEach();
  const Duration target = each * 12;
  const Crowd kept = Arrive(600, each * 2 / 3, target, 0);
  const Crowd ours = Arrive(600, each * 2 / 3, target, 8);
  // Half as much again as the device can do: first come first served, all soon are late; else two
  // thirds can be in time, less the turns of the late.
  EXPECT_LT(kept.in_time, 600 / 6);
  EXPECT_GT(ours.in_time, 600 / 2);
}

TEST(OverloadScenarios, TheLateHaveTheirTurns) {
  const Duration each = TimeEach();
  const Duration target = each * 12;
  const Crowd crowd = Arrive(1'200, each / 2, target, 4);
  int64_t late = 0;
  uint64_t newest_late = 0;
  for (const RequestRecord& record : crowd.ended) {
    if (record.first_token - record.arrival > target) {
      ++late;
      EXPECT_GT(record.id.value, newest_late) << "the late go by age";
      newest_late = record.id.value;
    }
  }
  const auto ended = static_cast<int64_t>(crowd.ended.size());
  EXPECT_GE(late, ended / 4 - 20);
  EXPECT_LT(late, ended / 2);
}

TEST(OverloadScenarios, ALateRequestIsToldThatItIsLate) {
  const Duration each = TimeEach();
  Core core(OptionsWith(each * 12, 8));
  RequestId last;
  for (int i = 0; i < 60; ++i) {
    last = core.scheduler->Submit(core.NewRequest(kPrompt, kOutput)).id;
  }
  const auto status = core.scheduler->Explain(last);
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->phase, scheduler::Phase::kQueued);
  EXPECT_NE(status->wait, scheduler::WaitReason::kNone);
  EXPECT_NE(status->detail.find("can no longer be in time"), std::string::npos) << status->detail;
  EXPECT_NE(status->unbounded.find("its turn is after"), std::string::npos) << status->unbounded;
  core.loop.Run();
}

// All of its prompt is cached: the time that it would take to compute says nothing.
TEST(OverloadScenarios, ALongPromptThatIsCachedIsNotLateForItsLength) {
  CoreOptions options{.kv_blocks = 512, .max_running = 1, .prefix_cache = true};
  options.routing = scheduler::RoutePolicy::kCost;
  Core core(options);
  core.scheduler->Submit(core.NewRequest(4'000, 1));
  core.loop.Run();
  const Duration computing = core.observer.ended[0].first_token - core.observer.ended[0].scheduled;
  core.scheduler->Submit(core.NewRequest(16, 20));  // has the only slot
  scheduler::Request cached = core.NewRequest(4'000, 1);
  cached.ttft_target = computing * 3 / 4;
  const RequestId id = core.scheduler->Submit(std::move(cached)).id;
  core.loop.RunUntil(core.loop.Now() + computing / 8);
  const auto status = core.scheduler->Explain(id);
  ASSERT_TRUE(status.has_value());
  ASSERT_EQ(status->phase, scheduler::Phase::kQueued);
  EXPECT_EQ(status->detail.find("can no longer be in time"), std::string::npos) << status->detail;
  core.loop.Run();
}

TEST(OverloadScenarios, WithinCapacityNobodyIsLateAndTheOrderIsTheSame) {
  const Duration each = TimeEach();
  const Crowd kept = Arrive(200, each * 3 / 2, each * 12, 0);
  const Crowd ours = Arrive(200, each * 3 / 2, each * 12, 8);
  EXPECT_EQ(ours.late, 0);
  ASSERT_EQ(ours.ended.size(), kept.ended.size());
  for (size_t i = 0; i < ours.ended.size(); ++i) {
    EXPECT_EQ(ours.ended[i].id, kept.ended[i].id);
    EXPECT_EQ(ours.ended[i].first_token, kept.ended[i].first_token);
  }
}

// A request that needs three quarters of the blocks, and small ones that could pass it for ever.
TEST(OverloadScenarios, NobodyIsPassedUntilHeIsLate) {
  CoreOptions options{.kv_blocks = 64, .ttft_target = Milliseconds(60)};
  options.scheduler.max_passes = 1'000;
  Core core(options);
  std::shared_ptr<SinkLog> large;
  for (int i = 0; i < 400; ++i) {
    core.loop.RunUntil(TimePoint() + Microseconds(1300) * i);
    core.scheduler->Submit(core.NewRequest(100, 20));
    if (i == 40) {
      large = std::make_shared<SinkLog>();
      core.scheduler->Submit(core.NewRequest(760, 4, large));
    }
  }
  core.loop.Run();
  int64_t passed = 0;
  for (const RequestRecord& record : core.observer.ended) {
    passed += record.arrival > large->end->arrival && record.scheduled < large->end->scheduled;
    EXPECT_LE(record.first_token - record.arrival, Milliseconds(60)) << record.id.value;
  }
  EXPECT_GT(passed, 2) << "others went by as long as there was time";
  EXPECT_GE(large->end->scheduled - large->end->arrival, Milliseconds(20));
}

// Four rows of a lower class fill the device's slots.
class FullDevice {
 public:
  FullDevice(Duration ttft_target, int64_t output)
      : core_({.kv_blocks = 600, .max_running = 4, .ttft_target = ttft_target}) {
    for (int i = 0; i < 4; ++i) {
      scheduler::Request request = core_.NewRequest(40, output);
      request.service_class = ServiceClass::kBatch;
      core_.scheduler->Submit(std::move(request));
    }
    core_.loop.RunUntil(TimePoint() + Milliseconds(1));
    scheduler::Request request = core_.NewRequest(40, 4);
    request.service_class = ServiceClass::kInteractive;
    arrived_ = core_.loop.Now();
    id_ = core_.scheduler->Submit(std::move(request)).id;
  }

  // When the request of the higher class got its slot.
  Duration Waited() {
    core_.loop.Run();
    const auto record = std::find_if(core_.observer.ended.begin(), core_.observer.ended.end(),
                                     [&](const RequestRecord& r) { return r.id == id_; });
    return record->scheduled - arrived_;
  }
  int64_t preempted() const { return core_.observer.preempted; }
  Duration LongestStep() const {
    Duration longest;
    for (const device::StepRecord& step : core_.observer.steps) {
      longest = std::max(longest, step.duration);
    }
    return longest;
  }

 private:
  Core core_;
  TimePoint arrived_;
  RequestId id_;
};

TEST(OverloadScenarios, AHigherClassAsksOthersToLeaveWhenHalfOfItsTimeIsGone) {
  // Nobody ends in time: one leaves, but not before.
  FullDevice device(Milliseconds(40), 2'000);
  const Duration waited = device.Waited();
  EXPECT_EQ(device.preempted(), 1);
  EXPECT_GE(waited, Milliseconds(20));
  EXPECT_LE(waited, Milliseconds(20) + device.LongestStep() * 2);
}

TEST(OverloadScenarios, NoWorkIsThrownAwayForARequestThatHasTimeToWait) {
  FullDevice device(Seconds(4), 200);
  const Duration waited = device.Waited();
  EXPECT_EQ(device.preempted(), 0);
  EXPECT_LT(waited, Seconds(2));
  // Without a target it does not wait.
  FullDevice at_once(Duration(), 200);
  EXPECT_LE(at_once.Waited(), at_once.LongestStep() * 2);
  EXPECT_EQ(at_once.preempted(), 1);
}

// The time that one device takes for a prompt, as chunks without a prefix before them would need.
constexpr int64_t kLong = 7'000;
Duration TimeOfLong() {
  Core core;
  core.scheduler->Submit(core.NewRequest(512, 1));
  core.loop.Run();
  return (core.observer.ended[0].first_token - core.observer.ended[0].arrival) * kLong / 512;
}

// They are computed after it: however long they are, it is in time.
TEST(OverloadScenarios, PromptsOfALowerClassMakeNobodyLate) {
  const Duration time = TimeOfLong();
  CoreOptions options{.kv_blocks = 1'024};
  options.routing = scheduler::RoutePolicy::kCost;
  Core core(options);
  scheduler::Request batch = core.NewRequest(kLong, 4);
  batch.service_class = ServiceClass::kBatch;
  core.scheduler->Submit(std::move(batch));
  core.loop.RunUntil(TimePoint() + time / 50);
  const auto log = std::make_shared<SinkLog>();
  scheduler::Request urgent = core.NewRequest(100, 4, log);
  urgent.service_class = ServiceClass::kInteractive;
  urgent.ttft_target = time / 3;
  core.scheduler->Submit(std::move(urgent));
  core.scheduler->CheckInvariants();
  core.loop.Run();
  EXPECT_LE(log->end->first_token - log->end->arrival, time / 3);
}

// The end of its output will not be there by its deadline; its first token will be by its target.
TEST(OverloadScenarios, ADeadlineThatCannotBeHeldIsNoMissedFirstToken) {
  const Duration time = TimeOfLong();
  CoreOptions options{.kv_blocks = 1'024, .ttft_target = time * 100};
  options.routing = scheduler::RoutePolicy::kCost;
  Core core(options);
  core.scheduler->Submit(core.NewRequest(kLong, 4));
  core.loop.RunUntil(TimePoint() + time / 50);
  const auto log = std::make_shared<SinkLog>();
  scheduler::Request request = core.NewRequest(100, 4'096, log);
  request.deadline = core.loop.Now() + time * 3 / 2;
  const RequestId id = core.scheduler->Submit(std::move(request)).id;
  const auto status = core.scheduler->Explain(id);
  ASSERT_TRUE(status.has_value());
  EXPECT_NE(status->phase, scheduler::Phase::kQueued) << status->detail;
  core.loop.Run();
  EXPECT_EQ(log->end->outcome, Outcome::kDeadlineExceeded);
}

TEST(OverloadScenarios, DeadlinesDoNotCountOnDevicesThatTakeNothing) {
  const Duration time = TimeOfLong();
  Core core({.devices = 2, .kv_blocks = 1'024, .refuse_hopeless = true});
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, false).ok());
  core.scheduler->Submit(core.NewRequest(kLong, 4));
  const auto submit = [&] {
    scheduler::Request request = core.NewRequest(16, 1);
    request.deadline = core.loop.Now() + time * 3 / 4;
    return core.scheduler->Submit(std::move(request)).refusal.has_value();
  };
  EXPECT_TRUE(submit()) << "one device has to compute what is before it";
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
  EXPECT_FALSE(submit());
  core.loop.Run();
}

TEST(OverloadScenarios, WhatHasToBeComputedAgainIsCountedForDeadlines) {
  const Duration time = TimeOfLong();
  Core core({.devices = 2, .kv_blocks = 1'024, .max_running = 1, .refuse_hopeless = true});
  const auto submit = [&](int64_t prompt, Duration left) {
    scheduler::Request request = core.NewRequest(prompt, 1);
    request.deadline = core.loop.Now() + left;
    return core.scheduler->Submit(std::move(request));
  };
  ASSERT_FALSE(submit(kLong, time * 5 / 2).refusal);
  ASSERT_FALSE(submit(kLong, time * 5 / 2).refusal);
  core.loop.RunUntil(TimePoint() + Microseconds(1));
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{0}, true).ok());
  while (core.observer.migrated == 0) {
    core.loop.RunUntil(core.loop.Now() + time / 100);
  }
  core.scheduler->CheckInvariants();
  // Behind the prompt under way and the one that begins anew.
  EXPECT_TRUE(submit(kLong * 9 / 10, time * 13 / 5).refusal);
  EXPECT_FALSE(submit(kLong / 10, time * 13 / 5).refusal);
  core.loop.Run();
}

// They may not be placed, so they stand in nobody's way, however long they have waited.
TEST(OverloadScenarios, BatchPromptsThatTheBudgetStopsHoldUpNobody) {
  CoreOptions options{.devices = 4, .max_running = 1};
  options.scheduler.class_ageing = Milliseconds(1);
  Core core(options);
  for (int i = 0; i < 40; ++i) {
    scheduler::Request request = core.NewRequest(100, 40);
    request.service_class = ServiceClass::kBatch;
    ASSERT_FALSE(core.scheduler->Submit(std::move(request)).refusal);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(5));
  scheduler::PowerRequest budget;
  budget.watts = Watts(300);
  const auto answer = core.scheduler->fleet().Set(budget);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_GE(answer->rung, scheduler::Rung::kPrefill);
  core.loop.RunUntil(core.loop.Now() + Seconds(20));
  ASSERT_LT(core.observer.ended.size(), 31U);
  const auto log = std::make_shared<SinkLog>();
  scheduler::Request urgent = core.NewRequest(100, 4, log);
  urgent.service_class = ServiceClass::kInteractive;
  core.scheduler->Submit(std::move(urgent));
  core.scheduler->CheckInvariants();
  core.loop.RunUntil(core.loop.Now() + Seconds(10));
  EXPECT_TRUE(log->end.has_value());
  budget.watts = Watts(2'800);
  ASSERT_TRUE(core.scheduler->fleet().Set(budget).ok());
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), 41U);
}

}  // namespace
}  // namespace scoville::tests
