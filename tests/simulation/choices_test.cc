// Several choices for one prompt, on shared blocks.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/simulation/core_walk.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::WaitReason;

std::vector<scheduler::Request> Choices(Core& core, int n, int64_t prompt, int64_t output,
                                        std::vector<std::shared_ptr<SinkLog>>* logs) {
  std::vector<scheduler::Request> choices;
  for (int i = 0; i < n; ++i) {
    logs->push_back(std::make_shared<SinkLog>());
    choices.push_back(core.NewRequest(prompt, output, logs->back()));
  }
  return choices;
}

TEST(ChoicesScenarios, AChoicesTokensDoNotDependOnHowManyThereAre) {
  const auto model = LoadTinyModel();
  for (const bool prefix_cache : {false, true}) {
    const auto run = [&](int n) {
      TinyCore core(*model, {.prefix_cache = prefix_cache});
      const auto logs = core.Submit(
          {.prompt = TinyTokens(*model, SomeText(5, 40)), .max_tokens = 30, .n = n, .seed = 70});
      core.loop.Run();
      std::vector<std::vector<uint64_t>> bits;
      for (const auto& log : logs) {
        bits.push_back(Bits(log->sampled));
      }
      return bits;
    };
    const auto five = run(5);
    for (int n : {1, 2, 3}) {
      const auto fewer = run(n);
      for (size_t i = 0; i < fewer.size(); ++i) {
        EXPECT_EQ(fewer[i], five[i]) << "choice " << i << " of " << n;
      }
    }
    EXPECT_NE(five[0], five[1]);
  }
}

TEST(ChoicesScenarios, ThePromptIsComputedOnceBesideTheEndThatFillsNoBlock) {
  for (const int64_t prompt : {160, 165}) {
    for (const int n : {1, 4, 8}) {
      Core core({.kv_blocks = 512, .prefix_cache = true});
      std::vector<std::shared_ptr<SinkLog>> logs;
      ASSERT_FALSE(core.scheduler->SubmitChoices(Choices(core, n, prompt, 50, &logs)).refusal);
      core.loop.Run();
      int64_t computed = 0;
      for (const device::StepRecord& step : core.observer.steps) {
        computed += step.prefill_tokens;
      }
      // Of a prompt of whole blocks each other choice computes the last row, to draw from it; of
      // another one what follows the last whole block.
      const int64_t tail = prompt % 16 == 0 ? 1 : prompt % 16;
      EXPECT_EQ(computed, prompt + (n - 1) * tail);
      EXPECT_EQ(core.observer.ended.size(), static_cast<size_t>(n));
      for (const auto& log : logs) {
        EXPECT_EQ(log->tokens.size(), 50u);
      }
    }
  }
}

TEST(ChoicesScenarios, SharedBlocksAreHeldOnce) {
  Core core({.kv_blocks = 512, .prefix_cache = true});
  std::vector<std::shared_ptr<SinkLog>> logs;
  ASSERT_FALSE(core.scheduler->SubmitChoices(Choices(core, 6, 1'600, 40, &logs)).refusal);
  core.loop.Run();
  // 100 of the prompt, and for each choice its own output and a copy of the block it goes on in.
  EXPECT_LE(core.devices[0]->kv().peak_used_blocks(), 100 + 6 * 4);
  EXPECT_EQ(core.UsedBlocks(), 0);
}

TEST(ChoicesScenarios, CancellingTheFirstReleasesTheOthersInEveryPhase) {
  for (const Duration after : {Nanoseconds(0), Microseconds(300), Milliseconds(3)}) {
    Core core({.kv_blocks = 512, .max_step_tokens = 32, .prefix_cache = true});
    std::vector<std::shared_ptr<SinkLog>> logs;
    const auto submitted = core.scheduler->SubmitChoices(Choices(core, 4, 600, 20, &logs));
    ASSERT_FALSE(submitted.refusal);
    core.loop.RunUntil(TimePoint() + after);
    ASSERT_FALSE(logs[0]->end);
    EXPECT_EQ(core.scheduler->Explain(submitted.ids[1])->wait, WaitReason::kLeader);
    core.scheduler->Cancel(submitted.ids[0]);
    CoreWalk(&core).Run();
    EXPECT_EQ(logs[0]->end->outcome, Outcome::kCancelled);
    for (size_t i = 1; i < logs.size(); ++i) {
      ASSERT_TRUE(logs[i]->end) << i;
      EXPECT_EQ(logs[i]->tokens.size(), 20u);
    }
    EXPECT_TRUE(core.scheduler->idle());
    EXPECT_EQ(core.UsedBlocks(), 0);
    EXPECT_EQ(core.loop.pending(), 0u);
  }
}

TEST(ChoicesScenarios, CancellingOneThatWaitsLeavesTheOthers) {
  Core core({.kv_blocks = 512, .max_step_tokens = 32, .prefix_cache = true});
  std::vector<std::shared_ptr<SinkLog>> logs;
  const auto submitted = core.scheduler->SubmitChoices(Choices(core, 4, 600, 20, &logs));
  core.loop.RunUntil(TimePoint() + Milliseconds(1));
  core.scheduler->Cancel(submitted.ids[2]);
  EXPECT_EQ(logs[2]->end->outcome, Outcome::kCancelled);
  CoreWalk(&core).Run();
  for (size_t i : {0, 1, 3}) {
    EXPECT_EQ(logs[i]->tokens.size(), 20u);
  }
}

// Mirrors vllm-project/vllm #53130: requests that waited for something else were counted as
// running, and admission stopped although slots were free.
TEST(ChoicesScenarios, ThoseThatWaitForAnotherHoldNoSlot) {
  Core core({.kv_blocks = 2'000, .max_running = 2, .max_step_tokens = 32, .prefix_cache = true});
  std::vector<std::shared_ptr<SinkLog>> logs;
  ASSERT_FALSE(core.scheduler->SubmitChoices(Choices(core, 8, 6'000, 20, &logs)).refusal);
  core.loop.RunUntil(TimePoint() + Milliseconds(1));
  // One slot of two is taken, and seven wait for it: the other one is free for others.
  auto other = std::make_shared<SinkLog>();
  ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(20, 10, other)).refusal);
  EXPECT_EQ(core.scheduler->Status().running, std::vector<int32_t>{2});
  EXPECT_EQ(core.scheduler->Status().waiting, 7);
  CoreWalk(&core).Run();
  for (size_t i = 0; i < logs.size(); ++i) {
    EXPECT_EQ(logs[i]->tokens.size(), 20u);
    if (i > 0) {
      EXPECT_LT(other->end->first_token, logs[i]->end->first_token);
    }
  }
}

}  // namespace
}  // namespace scoville::tests
