// Sequences that leave a drained device with their pages, where room is short on the other side.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "tests/support/core_fixture.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;

// Two devices; the second is kept empty until the first has what is to be moved.
class LiveMove : public testing::Test {
 protected:
  LiveMove() : core_(Options()) {
    EXPECT_TRUE(core_.scheduler->DrainDevice(kTo, /*migrate=*/false).ok());
  }

  static CoreOptions Options() {
    CoreOptions options{.devices = 2, .kv_blocks = 40, .prefix_cache = true};
    options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
    return options;
  }

  // Prompts that begin alike in nothing.
  std::shared_ptr<SinkLog> Submit(int64_t prompt, int64_t output) {
    auto log = std::make_shared<SinkLog>();
    scheduler::Request request = core_.NewRequest(prompt, output, log);
    request.prompt.assign(static_cast<size_t>(prompt), 1'000 + ++prompts_);
    EXPECT_FALSE(core_.scheduler->Submit(std::move(request)).refusal);
    return log;
  }

  void StepOnce() {
    ASSERT_TRUE(core_.loop.RunOne());
    core_.scheduler->CheckInvariants();
    for (const auto& device : core_.devices) {
      device->kv().CheckInvariants();
    }
    int moving = 0;
    for (const scheduler::RequestStatus& status : core_.scheduler->Requests(100)) {
      moving += status.moving_from.has_value() ? 1 : 0;
    }
    most_moving_ = std::max(most_moving_, moving);
  }
  template <typename Until>
  void RunUntil(const Until& until) {
    while (!until() && !HasFatalFailure()) {
      StepOnce();
    }
  }

  static constexpr DeviceId kFrom{0};
  static constexpr DeviceId kTo{1};
  Core core_;
  int32_t prompts_ = 0;
  int most_moving_ = 0;
};

// Mirrors vllm-project/vllm #45388 and PR #57104 with pages that are really on their way: two
// incoming transfers held a part of the pool each.
TEST_F(LiveMove, OfTwoForWhichThereIsRoomForOneBothFinish) {
  const auto first = Submit(240, 60);  // 19 blocks at its end
  const auto second = Submit(240, 60);
  RunUntil([&] { return first->tokens.size() > 5 && second->tokens.size() > 5; });
  ASSERT_TRUE(core_.scheduler->ReturnDevice(kTo).ok());
  const auto resident = Submit(160, 200);
  RunUntil([&] { return resident->tokens.size() > 2; });
  ASSERT_TRUE(core_.scheduler->DrainDevice(kFrom, /*migrate=*/true).ok());
  RunUntil([&] { return core_.scheduler->idle(); });
  EXPECT_EQ(most_moving_, 1);
  for (const auto& log : {first, second, resident}) {
    ASSERT_TRUE(log->end);
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
    EXPECT_EQ(log->end->device, kTo);
  }
  // The one that moved computes nothing again, the other all that it had.
  EXPECT_EQ(std::min(first->end->recomputed_tokens, second->end->recomputed_tokens), 0);
  EXPECT_GE(std::max(first->end->recomputed_tokens, second->end->recomputed_tokens), 240);
}

// Mirrors NVIDIA/TensorRT-LLM #12542 likewise: blocks were evicted and written over while they were
// being sent.
TEST_F(LiveMove, AStormOfEvictionsLeavesItWhole) {
  const auto moved = Submit(320, 80);
  RunUntil([&] { return moved->tokens.size() > 5; });
  ASSERT_TRUE(core_.scheduler->ReturnDevice(kTo).ok());
  // A few short ones at a time fill the cache of the other side, again and again.
  int storm = 300;
  const auto blow = [&] {
    if (storm > 0 && core_.scheduler->Requests(100).size() < 5) {
      --storm;
      Submit(48, 3);
    }
    return false;
  };
  const device::BlockPool& kv = core_.devices[1]->kv();
  RunUntil([&] { return blow() || kv.evicted_blocks() > 20; });
  ASSERT_FALSE(moved->end);
  ASSERT_TRUE(core_.scheduler->DrainDevice(kFrom, /*migrate=*/true).ok());
  const int64_t evicted = kv.evicted_blocks();
  RunUntil([&] { return blow() || core_.scheduler->idle(); });
  EXPECT_EQ(most_moving_, 1);
  ASSERT_TRUE(moved->end);
  EXPECT_EQ(moved->end->outcome, Outcome::kLength);
  EXPECT_EQ(moved->end->device, kTo);
  EXPECT_EQ(moved->end->recomputed_tokens, 0);
  EXPECT_GT(kv.evicted_blocks(), evicted + 40);
}

}  // namespace
}  // namespace scoville::tests
