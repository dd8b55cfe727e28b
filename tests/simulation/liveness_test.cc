// Nothing waits without a reason, and everything ends.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "tests/simulation/core_walk.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;

// Mirrors vllm-project/vllm #45414: after a burst had drained, new requests waited while
// nothing ran. CoreWalk asserts after each event that whoever is there has an event to wait for.
TEST(LivenessScenarios, LoadToEmptyAgainAndAgainNeverStalls) {
  CoreOptions options{.devices = 2, .kv_blocks = 24, .max_running = 6, .max_step_tokens = 40};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;  // so that some are preempted
  Core core(options);
  size_t submitted = 0;
  for (uint64_t round = 0; round < 40; ++round) {
    const uint64_t requests = 1 + RandomBelow(3, 1, round, 40);
    for (uint64_t i = 0; i < requests; ++i) {
      const uint64_t key = round * 100 + i;
      const auto result = core.scheduler->Submit(
          core.NewRequest(1 + static_cast<int64_t>(RandomBelow(3, 2, key, 200)),
                          1 + static_cast<int64_t>(RandomBelow(3, 3, key, 100))));
      ASSERT_FALSE(result.refusal);
      ++submitted;
    }
    CoreWalk(&core).Run();
    ASSERT_TRUE(core.scheduler->idle()) << "round " << round;
    ASSERT_EQ(core.observer.ended.size(), submitted) << "round " << round;
    ASSERT_EQ(core.UsedBlocks(), 0);
    // A pause, so that the next round meets idle devices.
    core.loop.RunUntil(core.loop.Now() + Milliseconds(3));
  }
  EXPECT_GT(core.observer.preempted, 0);
}

// Mirrors inference-sim/inference-sim #330, #374 and PR #325: devices idled beside a queue.
// A device with nothing placed on it fits the queue's head by admission, so it may never stand
// beside one; after a preemption the head may be placed 1 ns later.
TEST(LivenessScenarios, NoDeviceIdlesBesideARunnableRequest) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Core core({.devices = 3, .kv_blocks = 30, .max_running = 4, .max_step_tokens = 64});
    TimePoint at;
    for (uint64_t i = 0; i < 150; ++i) {
      at += Nanoseconds(static_cast<int64_t>(RandomBelow(seed, 1, i, 1'200'000)));
      core.loop.RunAt(at, EventClass::kArrival, i, [&core, seed, i] {
        const auto result = core.scheduler->Submit(
            core.NewRequest(1 + static_cast<int64_t>(RandomBelow(seed, 2, i, 300)),
                            1 + static_cast<int64_t>(RandomBelow(seed, 3, i, 60))));
        ASSERT_FALSE(result.refusal);
      });
    }
    CoreWalk walk(&core);
    walk.Run();
    EXPECT_GT(walk.most_waiting, 0) << "seed " << seed;
    EXPECT_LE(walk.idle_beside_waiting, Nanoseconds(core.observer.preempted)) << "seed " << seed;
    EXPECT_EQ(core.observer.ended.size(), 150u);
  }
}

// Long outputs that outgrow the pool together; how often each was preempted, and all events.
struct Outgrown {
  int64_t events = 0;
  int64_t preempted = 0;
};

Outgrown RunLongOutputs(int requests) {
  // 1,024 tokens; sequences join as long as their prompts fit.
  CoreOptions options{.kv_blocks = 64, .max_step_tokens = 128};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  Core core(options);
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < requests; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    core.scheduler->Submit(core.NewRequest(16, 500, logs.back()));
  }
  CoreWalk(&core).Run();
  for (const auto& log : logs) {
    EXPECT_TRUE(log->end);
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
    EXPECT_EQ(log->tokens.size(), 500u);
  }
  // The oldest is nobody's victim, and nobody is one more than twice.
  EXPECT_EQ(core.observer.ended.front().id.value, 1u);
  EXPECT_EQ(core.observer.ended.front().preemptions, 0);
  for (const scheduler::RequestRecord& record : core.observer.ended) {
    EXPECT_LE(record.preemptions, 2) << "request " << record.id.value;
  }
  return {core.loop.events_run(), core.observer.preempted};
}

// Mirrors inference-sim/inference-sim #529, #297 and #349: with KV short for long outputs,
// requests preempted each other for ever.
TEST(LivenessScenarios, LongOutputsWithShortKvAllEndAndEventsGrowLinearly) {
  const Outgrown few = RunLongOutputs(20);
  const Outgrown many = RunLongOutputs(40);
  EXPECT_GT(few.preempted, 0);
  EXPECT_LT(many.events, few.events * 5 / 2);
}

}  // namespace
}  // namespace scoville::tests
