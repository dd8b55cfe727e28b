// Who goes first: tenants, classes, those that were preempted, and those that do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/simulation/core_walk.h"

namespace scoville::tests {
namespace {

using scheduler::JoinPolicy;
using scheduler::Outcome;
using scheduler::RequestRecord;
using scheduler::ServiceClass;

constexpr int64_t kLongestPrompt = 120;
constexpr int64_t kPoolBlocks = 64;

// Two tenants that always have something waiting, one of them ten times as much.
class TwoTenants {
 public:
  TwoTenants(uint64_t seed, bool fair) : seed_(seed), core_(Options(fair)) {}

  // The largest distance between what the two were served so far, in input tokens and output tokens
  // twice, over the lives of so many requests.
  int64_t LargestGap(int64_t requests) {
    Refill();
    int64_t gap = 0;
    while (submitted_ < requests && core_.loop.RunOne()) {
      if (core_.observer.steps.size() != steps_) {
        steps_ = core_.observer.steps.size();
        gap = std::max(gap, std::abs(Served(0) - Served(1)));
        Refill();
      }
    }
    EXPECT_GT(Served(0), 0);
    core_.scheduler->EndAll(Outcome::kCancelled);
    core_.loop.Run();
    return gap;
  }

 private:
  static CoreOptions Options(bool fair) {
    CoreOptions options{.kv_blocks = kPoolBlocks};
    options.scheduler.join = JoinPolicy::kReserve;  // nothing is computed twice
    options.scheduler.fairness.enabled = fair;
    return options;
  }

  // Looks at all that live, and counts what waits.
  int64_t Served(size_t tenant) {
    int64_t served = 0;
    waiting_[tenant] = 0;
    for (const RequestRecord& record : core_.observer.ended) {
      if (record.tenant == kNames[tenant]) {
        served += record.prompt_tokens + 2 * record.output_tokens;
      }
    }
    for (const scheduler::RequestStatus& status : core_.scheduler->Requests(1'000)) {
      if (status.record.tenant == kNames[tenant]) {
        served += std::min(status.computed_tokens, status.record.prompt_tokens) +
                  2 * status.record.output_tokens;
        waiting_[tenant] += status.phase == scheduler::Phase::kQueued ? 1 : 0;
      }
    }
    return served;
  }

  void Refill() {
    for (size_t tenant = 0; tenant < 2; ++tenant) {
      for (; waiting_[tenant] < kBacklog[tenant]; ++waiting_[tenant]) {
        const uint64_t i = static_cast<uint64_t>(submitted_++);
        scheduler::Request request =
            core_.NewRequest(1 + static_cast<int64_t>(RandomBelow(seed_, 1, i, kLongestPrompt)),
                             1 + static_cast<int64_t>(RandomBelow(seed_, 2, i, 80)));
        request.tenant = kNames[tenant];
        ASSERT_FALSE(core_.scheduler->Submit(std::move(request)).refusal);
      }
    }
  }

  static constexpr const char* kNames[2] = {"flood", "modest"};
  static constexpr int64_t kBacklog[2] = {40, 4};

  const uint64_t seed_;
  Core core_;
  int64_t submitted_ = 0;
  size_t steps_ = 0;
  int64_t waiting_[2] = {0, 0};
};

// Mirrors llm-d/llm-d-router #1182 and vllm-project/vllm #7123: whoever sent most got most. The
// bound is that of VTC (arXiv 2401.00588), with the pool as what can be under way.
TEST(FairnessScenarios, ATenantThatFloodsTenfoldIsNotServedMoreThanTheBound) {
  constexpr int64_t kBound = 2 * std::max<int64_t>(kLongestPrompt, 2 * kPoolBlocks * 16);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_LE(TwoTenants(seed, true).LargestGap(400), kBound) << "seed " << seed;
    // Without fair queueing the flood goes far beyond it, so the bound means something.
    EXPECT_GT(TwoTenants(seed, false).LargestGap(400), 2 * kBound) << "seed " << seed;
  }
}

struct Crowd {
  explicit Crowd(Core* c) : core(c) {}
  std::shared_ptr<SinkLog> Add(int64_t prompt, int64_t output,
                               ServiceClass service_class = ServiceClass::kStandard) {
    auto log = std::make_shared<SinkLog>();
    scheduler::Request request = core->NewRequest(prompt, output, log);
    request.service_class = service_class;
    const auto submitted = core->scheduler->Submit(std::move(request));
    EXPECT_FALSE(submitted.refusal);
    ids.push_back(submitted.id);
    return log;
  }
  Core* core;
  std::vector<RequestId> ids;
};

// Mirrors vllm-project/vllm #40004: with all slots taken by low priority, a high one waited for
// one of them to end.
TEST(FairnessScenarios, AHigherClassGetsASlotOfAFullDeviceAtTheNextStep) {
  Core core({.max_running = 4});
  Crowd crowd(&core);
  for (int i = 0; i < 4; ++i) {
    crowd.Add(50, 400, ServiceClass::kBatch);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(20));
  while (!core.devices[0]->busy()) {
    core.loop.RunOne();
  }
  const size_t steps_before = core.observer.steps.size();
  const auto urgent = crowd.Add(30, 10, ServiceClass::kInteractive);
  core.loop.Run();
  EXPECT_EQ(core.observer.preempted, 1);
  const RequestRecord& record = *urgent->end;
  // The step under way ends; the next one has it.
  EXPECT_LE(record.scheduled - core.observer.steps[steps_before].end, Nanoseconds(1));
  for (const RequestRecord& ended : core.observer.ended) {
    EXPECT_EQ(ended.outcome, Outcome::kLength);
  }
}

TEST(FairnessScenarios, EqualsAndLowerClassesNeverTakeASlotFromAnyone) {
  Core core({.max_running = 4});
  Crowd crowd(&core);
  for (int i = 0; i < 4; ++i) {
    crowd.Add(50, 200);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(20));
  std::vector<std::shared_ptr<SinkLog>> late;
  for (int i = 0; i < 6; ++i) {
    late.push_back(crowd.Add(30, 10, i % 2 == 0 ? ServiceClass::kStandard : ServiceClass::kBatch));
  }
  core.loop.Run();
  EXPECT_EQ(core.observer.preempted, 0);
  const TimePoint first_end = core.observer.ended.front().end;
  for (const auto& log : late) {
    EXPECT_GE(log->end->scheduled, first_end);
  }
}

// Mirrors vllm-project/vllm #41951: a preempted request went behind those that had never run.
TEST(FairnessScenarios, APreemptedRequestResumesBeforeAnOlderOneThatNeverRan) {
  CoreOptions options{.kv_blocks = 22};
  options.scheduler.join = JoinPolicy::kPromptFits;
  Core core(options);
  Crowd crowd(&core);
  const auto first = crowd.Add(100, 150);
  const auto older = crowd.Add(300, 20);  // 19 blocks: not beside the first
  const auto passed = crowd.Add(60, 200);
  CoreWalk(&core).Run();
  EXPECT_EQ(first->end->preemptions, 0);
  ASSERT_GT(passed->end->preemptions, 0);
  EXPECT_LT(passed->end->scheduled, older->end->scheduled);
  EXPECT_GE(older->end->scheduled, passed->end->end);
  EXPECT_EQ(older->tokens.size(), 20u);
}

// The same issue: some were preempted again and again.
TEST(FairnessScenarios, WhoWasPreemptedTwiceIsPinnedAndNeverPreemptedAgain) {
  CoreOptions options{.kv_blocks = 64, .max_step_tokens = 128};
  options.scheduler.join = JoinPolicy::kPromptFits;
  Core core(options);
  Crowd crowd(&core);
  for (int i = 0; i < 20; ++i) {
    crowd.Add(16, 500);
  }
  int64_t pinned = 0;
  while (core.loop.RunOne()) {
    for (const scheduler::RequestStatus& status : core.scheduler->Requests(100)) {
      ASSERT_LE(status.record.preemptions, 2);
      ASSERT_EQ(status.pinned, status.record.preemptions == 2) << status.record.id.value;
      pinned += status.pinned ? 1 : 0;
    }
  }
  EXPECT_GT(pinned, 0);
  EXPECT_EQ(core.observer.ended.size(), 20u);
}

// A head that needs 500 blocks where 400 are free, and small ones behind it. How many of those
// began before it.
int64_t PassedBy(int32_t max_passes, Duration* waited_after_room) {
  CoreOptions options{.kv_blocks = 1'000, .context = 32'768};
  options.scheduler.max_passes = max_passes;
  Core core(options);
  Crowd crowd(&core);
  const auto runner = crowd.Add(9'000, 600);
  core.loop.RunUntil(TimePoint() + Milliseconds(1));
  const auto head = crowd.Add(7'900, 100);
  const auto status = core.scheduler->Explain(crowd.ids.back());
  EXPECT_EQ(status->wait, scheduler::WaitReason::kKv);
  std::vector<std::shared_ptr<SinkLog>> small;
  for (int i = 0; i < 200; ++i) {
    small.push_back(crowd.Add(40, 200));  // 15 blocks each
  }
  CoreWalk(&core).Run();
  int64_t before = 0;
  TimePoint room = runner->end->end;  // when all that is ahead of it is gone
  for (const auto& log : small) {
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
    if (log->end->scheduled < head->end->scheduled) {
      ++before;
      room = std::max(room, log->end->end);
    }
  }
  *waited_after_room = head->end->scheduled - room;
  return before;
}

// Mirrors vllm-project/vllm #31731 and PR #36390, inference-sim/inference-sim #1061: a request
// that did not fit either blocked all behind it or was passed for ever.
TEST(FairnessScenarios, AHeadThatDoesNotFitIsPassedSoOftenAndThenServedInTheirTurn) {
  Duration after_room;
  const int64_t passes = PassedBy(32, &after_room);
  EXPECT_GT(passes, 8);
  EXPECT_LE(passes, 32);
  EXPECT_LE(after_room, Milliseconds(1));
  // Without the bound all go first.
  EXPECT_GT(PassedBy(1'000'000, &after_room), 100);
  // With none allowed, none do.
  EXPECT_EQ(PassedBy(0, &after_room), 0);
}

}  // namespace
}  // namespace scoville::tests
