// What is refused is refused at once, with numbers; what is taken ends. Each case mirrors a failure
// that others had in public.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/simulation/core_walk.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::RefusalReason;
using scheduler::SubmitResult;
using ::testing::HasSubstr;

// Mirrors vllm-project/vllm #39734: such a request waited for ever.
TEST(AdmissionScenarios, APromptLargerThanThePoolIsRefusedAtArrivalWithBothNumbers) {
  Core core({.kv_blocks = 40});  // 640 tokens; the model's context is 8,192
  const SubmitResult refused = core.scheduler->Submit(core.NewRequest(900, 10));
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->reason, RefusalReason::kNeverFits);
  EXPECT_EQ(refused.refusal->needed, 910);
  EXPECT_EQ(refused.refusal->limit, 640);
  EXPECT_THAT(refused.refusal->message, HasSubstr("910"));
  EXPECT_THAT(refused.refusal->message, HasSubstr("640"));
  EXPECT_EQ(refused.refusal->retry_after, Duration());  // coming back would not help
  EXPECT_TRUE(core.scheduler->idle());
  EXPECT_EQ(core.loop.pending(), 0u);
  // Those behind it are served.
  auto log = std::make_shared<SinkLog>();
  EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(600, 40, log)).refusal);
  core.loop.Run();
  EXPECT_EQ(log->tokens.size(), 40u);
}

TEST(AdmissionScenarios, AnOutputThatCannotFitIsRefusedAtArrivalToo) {
  Core core({.devices = 3, .kv_blocks = 40});
  const SubmitResult refused = core.scheduler->Submit(core.NewRequest(10, 700));
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->reason, RefusalReason::kNeverFits);
}

// Mirrors RBLN-SW/vllm-rbln #957: a request that needed every block was refused or stuck.
TEST(AdmissionScenarios, ARequestThatNeedsExactlyAllBlocksRunsAloneAndInACrowd) {
  Core core({.kv_blocks = 12});
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < 5; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    const int64_t prompt = i % 2 == 0 ? 100 : 20;
    EXPECT_FALSE(
        core.scheduler->Submit(core.NewRequest(prompt, 192 - prompt, logs.back())).refusal);
  }
  CoreWalk(&core).Run();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(logs[i]->end);
    EXPECT_EQ(logs[i]->end->outcome, Outcome::kLength);
    EXPECT_EQ(logs[i]->tokens.size(), i % 2 == 0 ? 92u : 172u);
  }
  EXPECT_EQ(core.devices[0]->kv().peak_used_blocks(), 12);
  EXPECT_TRUE(core.scheduler->Submit(core.NewRequest(100, 93)).refusal);
}

// Mirrors vllm-project/vllm #18826, #2901 and #58192: the queue grew without bound and every
// client timed out.
TEST(AdmissionScenarios, ABurstOfTenTimesTheCapacityStaysFlatAndIsPushedBack) {
  constexpr int64_t kQueue = 50;
  constexpr int64_t kRunning = 2 * 8;
  Core core({.devices = 2, .max_queued_requests = kQueue, .max_running = 8});
  std::vector<std::shared_ptr<SinkLog>> taken;
  for (int wave = 0; wave < 5; ++wave) {
    for (int64_t i = 0; i < 10 * (kQueue + kRunning); ++i) {
      auto log = std::make_shared<SinkLog>();
      const SubmitResult result = core.scheduler->Submit(core.NewRequest(30, 20, log));
      ASSERT_LE(core.scheduler->Status().waiting, kQueue);
      if (!result.refusal) {
        taken.push_back(log);
        continue;
      }
      ASSERT_EQ(result.refusal->reason, RefusalReason::kQueueFull);
      ASSERT_GT(result.refusal->retry_after, Duration());
      ASSERT_EQ(result.refusal->limit, kQueue);
      ASSERT_EQ(log.use_count(), 1);  // nothing of it stays
    }
    CoreWalk walk(&core);
    walk.Run();
    EXPECT_LE(walk.most_live, kQueue + kRunning);
  }
  EXPECT_EQ(taken.size(), static_cast<size_t>(5 * (kQueue + kRunning)));
  for (const auto& log : taken) {
    ASSERT_TRUE(log->end);
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
  }
}

// Mirrors llm-d/llm-d-router #298 and vllm-project/router #177: arrivals at one instant all
// saw the same loads and went to one device.
TEST(AdmissionScenarios, ArrivalsAtOneInstantSpreadWithinOneRequest) {
  for (const auto routing : {scheduler::RoutePolicy::kLeastLoaded, scheduler::RoutePolicy::kCost}) {
    Core core({.devices = 8, .routing = routing});
    core.loop.RunAt(TimePoint(1'000), EventClass::kArrival, 0, [&] {
      for (int i = 0; i < 512; ++i) {
        ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(20, 30)).refusal);
      }
    });
    core.loop.RunUntil(TimePoint(1'000));
    const scheduler::PoolStatus status = core.scheduler->Status();
    EXPECT_EQ(status.waiting, 0);
    for (int32_t running : status.running) {
      EXPECT_EQ(running, 64);
    }
    core.loop.Run();
    EXPECT_EQ(core.observer.ended.size(), 512u);
  }
}

TEST(AdmissionScenarios, AnUnevenNumberSpreadsWithinOneRequestAsWell) {
  Core core({.devices = 8});
  for (int i = 0; i < 509; ++i) {
    ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(1 + 7 * (i % 5), 30)).refusal);
  }
  const scheduler::PoolStatus status = core.scheduler->Status();
  const auto [low, high] = std::minmax_element(status.running.begin(), status.running.end());
  EXPECT_LE(*high - *low, 1);
  core.loop.Run();
}

}  // namespace
}  // namespace scoville::tests
