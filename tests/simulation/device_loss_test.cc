// Devices that die, hang, lose pages or are drained: what clients read is what they would have
// read.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/core_walk.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;

enum class Fault { kNone, kKill, kHang, kLosePages, kDrain };

std::string NameOf(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "Nothing";
    case Fault::kKill:
      return "Death";
    case Fault::kHang:
      return "Hang";
    case Fault::kLosePages:
      return "LostPages";
    case Fault::kDrain:
      return "Drain";
  }
  return "";
}

class SameTextDespite : public ::testing::TestWithParam<std::tuple<Fault, int32_t, bool>> {
 protected:
  static void SetUpTestSuite() {
    model_ = LoadTinyModel().release();
    json_ = TinyConstraint(*model_, model::ConstraintSpec::Kind::kJsonSchema,
                           R"({"type": "object", "properties": {"name": {"type": "string",
                           "maxLength": 30}, "ages": {"type": "array", "items": {"type":
                           "integer"}, "maxItems": 6}}, "required": ["name", "ages"]})");
    regex_ = TinyConstraint(*model_, model::ConstraintSpec::Kind::kRegex, "(ab|cd|e){20,60}");
  }
  static void TearDownTestSuite() {
    json_.reset();
    regex_.reset();
    delete model_;
  }

  // Seeded, greedy, constrained and two-choice requests; the fault comes amid their decoding.
  struct World {
    std::vector<std::vector<uint64_t>> bits;
    std::vector<std::string> texts;
    int64_t migrated = 0;
    int64_t faulted_at_tokens = 0;
    int64_t accepted_drafts = 0;
  };
  static World Run(Fault fault, int32_t max_drafts, bool prefix_cache) {
    TinyOptions options{.devices = 2, .prefix_cache = prefix_cache};
    options.scheduler.max_drafts = max_drafts;
    options.scheduler.routing = scheduler::RoutePolicy::kLeastLoaded;
    TinyCore core(*model_, options);
    World world;
    std::vector<std::shared_ptr<SinkLog>> logs;
    for (const TinyAsk& ask : Asks()) {
      for (auto& log : core.Submit(ask)) {
        logs.push_back(std::move(log));
      }
    }
    while (core.observer.tokens < 60) {
      CHECK(core.loop.RunOne());
    }
    while (!core.devices[0]->busy()) {
      CHECK(core.loop.RunOne());
    }
    world.faulted_at_tokens = core.observer.tokens;
    Strike(core, fault);
    core.loop.Run();
    EXPECT_TRUE(core.scheduler->idle());
    ExpectJoulesAddUp(core.observer, core.Metered());
    for (const auto& log : logs) {
      EXPECT_TRUE(log->end);
      EXPECT_TRUE(scheduler::IsCompletion(log->end->outcome));
      world.bits.push_back(Bits(log->sampled));
      world.texts.push_back(TinyText(*model_, log->tokens));
      world.accepted_drafts += log->end->accepted_draft_tokens;
    }
    world.migrated = core.observer.migrated;
    return world;
  }

  static std::vector<TinyAsk> Asks() {
    std::vector<TinyAsk> asks;
    asks.push_back({.prompt = TinyTokens(*model_, SomeText(1, 30)), .max_tokens = 60, .seed = 11});
    asks.push_back(
        {.prompt = TinyTokens(*model_, SomeText(1, 30)), .max_tokens = 60, .temperature = 0});
    asks.push_back({.prompt = TinyTokens(*model_, SomeText(2, 12)),
                    .max_tokens = 90,
                    .seed = 12,
                    .constraint = json_});
    asks.push_back({.prompt = TinyTokens(*model_, SomeText(3, 20)),
                    .max_tokens = 60,
                    .seed = 13,
                    .constraint = regex_});
    asks.push_back(
        {.prompt = TinyTokens(*model_, SomeText(4, 25)), .max_tokens = 50, .n = 2, .seed = 14});
    return asks;
  }

  static void Strike(TinyCore& core, Fault fault) {
    switch (fault) {
      case Fault::kNone:
        return;
      case Fault::kKill:
        core.devices[0]->Kill();
        return;
      case Fault::kHang:
        core.devices[0]->Hang();
        return;
      case Fault::kLosePages: {
        const std::vector<uint32_t> pages = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        CHECK(core.scheduler->LosePages(DeviceId{0}, pages).ok());
        return;
      }
      case Fault::kDrain:
        CHECK(core.scheduler->DrainDevice(DeviceId{0}, /*migrate=*/true).ok());
        return;
    }
  }

  static model::LoadedModel* model_;
  static std::shared_ptr<const model::CompiledConstraint> json_;
  static std::shared_ptr<const model::CompiledConstraint> regex_;
};

model::LoadedModel* SameTextDespite::model_ = nullptr;
std::shared_ptr<const model::CompiledConstraint> SameTextDespite::json_;
std::shared_ptr<const model::CompiledConstraint> SameTextDespite::regex_;

// Mirrors ai-dynamo/dynamo PR #7930: requests that were moved lost the state of their constraint,
// so those were not moved at all.
TEST_P(SameTextDespite, AFaultUnderSeededConstrainedAndTwoChoiceRequests) {
  const auto [fault, max_drafts, prefix_cache] = GetParam();
  const World plain = Run(Fault::kNone, 0, false);
  const World world = Run(fault, max_drafts, prefix_cache);
  EXPECT_EQ(world.texts, plain.texts);
  EXPECT_EQ(world.bits, plain.bits);
  if (fault == Fault::kKill || fault == Fault::kHang || fault == Fault::kDrain) {
    EXPECT_GT(world.migrated, 0);
  }
  if (max_drafts > 0) {
    EXPECT_GT(world.accepted_drafts, 0);
  }
  EXPECT_LT(world.faulted_at_tokens, 200);  // amid the outputs
  // The requests differ, so equality says something.
  EXPECT_NE(plain.bits[4], plain.bits[5]);
  EXPECT_EQ(plain.texts[2].front(), '{');
}

INSTANTIATE_TEST_SUITE_P(Faults, SameTextDespite,
                         ::testing::Combine(::testing::Values(Fault::kNone, Fault::kKill,
                                                              Fault::kHang, Fault::kLosePages,
                                                              Fault::kDrain),
                                            ::testing::Values(0, 4), ::testing::Bool()),
                         [](const auto& one) {
                           return absl::StrCat(NameOf(std::get<0>(one.param)),
                                               std::get<1>(one.param), "Drafts",
                                               std::get<2>(one.param) ? "Cached" : "");
                         });

// Mirrors vllm-project/vllm PR #36451 and #39863: an engine that made no step any more was
// called healthy.
TEST(DeviceLossScenarios, AStepThatNeverEndsIsGivenUpWithinTheBound) {
  CoreOptions options{.devices = 2};
  Core core(options);
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < 8; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    core.scheduler->Submit(core.NewRequest(50, 200, logs.back()));
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(10));
  const Duration usual = core.observer.steps.back().duration;
  const TimePoint hung = core.loop.Now();
  core.devices[0]->Hang();
  const Duration bound = std::max(usual * 10, core.scheduler->options().least_patience);
  CoreWalk walk(&core);
  walk.Run(hung + bound + usual * 2);
  ASSERT_EQ(core.observer.lost.size(), 1u);
  EXPECT_EQ(core.scheduler->Status().health[0].state, device::DeviceState::kLost);
  EXPECT_EQ(core.scheduler->Status().health[1].state, device::DeviceState::kReady);
  CoreWalk(&core).Run();
  for (const auto& log : logs) {
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
    EXPECT_EQ(log->tokens.size(), 200u);
  }
}

// The other side of the same issues: idle is not stalled.
TEST(DeviceLossScenarios, AnIdlePoolIsNeverGivenUpOn) {
  Core core({.devices = 2});
  core.scheduler->Submit(core.NewRequest(50, 5));
  core.loop.Run();
  core.loop.RunUntil(core.loop.Now() + Seconds(3'600));
  EXPECT_TRUE(core.observer.lost.empty());
  EXPECT_TRUE(core.scheduler->CheckLiveness().stuck.empty());
  core.scheduler->Submit(core.NewRequest(50, 5));
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), 2u);
}

TEST(DeviceLossScenarios, WithAllDevicesGoneRequestsWaitForOneToReturn) {
  Core core({.devices = 2});
  auto log = std::make_shared<SinkLog>();
  core.scheduler->Submit(core.NewRequest(50, 100, log));
  core.loop.RunUntil(TimePoint() + Milliseconds(5));
  core.devices[0]->Kill();
  core.devices[1]->Kill();
  core.loop.RunUntil(TimePoint() + Seconds(1));
  EXPECT_FALSE(log->end);
  ASSERT_TRUE(core.scheduler->FenceDevice(DeviceId{0}).ok());
  ASSERT_TRUE(core.scheduler->FenceDevice(DeviceId{1}).ok());
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
  core.loop.Run();
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->tokens.size(), 100u);
}

// Under a budget that the others have divided among themselves.
TEST(DeviceLossScenarios, ADeviceThatReturnsIsOffUntilTheBudgetHasRoomForIt) {
  CoreOptions options{.devices = 3, .kv_blocks = 4000};
  options.scheduler.fleet.budget = Watts(450);
  Core core(options);
  const auto submit = [&core] {
    for (int i = 0; i < 60; ++i) {
      EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(3000, 900)).refusal);
    }
  };
  ASSERT_TRUE(core.scheduler->FenceDevice(DeviceId{2}).ok());
  submit();
  core.loop.RunUntil(core.loop.Now() + Seconds(1));
  const scheduler::FleetPower& fleet = core.scheduler->fleet();
  const Power usable = *fleet.Get().nodes[0].usable;
  ASSERT_EQ(fleet.Get().nodes[0].counted, usable);
  const auto its = [&] { return core.scheduler->Status().devices[2]; };
  const auto its_steps = [&] {
    return std::count_if(core.observer.steps.begin(), core.observer.steps.end(),
                         [](const device::StepRecord& step) { return step.device == DeviceId{2}; });
  };
  const int64_t before = its_steps();
  const Power off = core.devices[2]->power().model().Idle(device::IdleState::kOff, 0);
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{2}).ok());
  submit();
  const TimePoint asked = core.loop.Now();
  while (its().state == device::DeviceState::kLost) {
    ASSERT_EQ(its().power, off);
    ASSERT_LE(fleet.Get().nodes[0].counted, usable);
    ASSERT_EQ(its_steps(), before);
    ASSERT_TRUE(core.loop.RunOne());
    core.scheduler->CheckInvariants();
  }
  EXPECT_GT(core.loop.Now(), asked);
  EXPECT_EQ(fleet.Get().nodes[0].in_force, usable);
  while (core.loop.RunOne()) {
    core.scheduler->CheckInvariants();
  }
  EXPECT_GT(its_steps(), before);
  EXPECT_EQ(core.observer.ended.size(), 120u);
}

// Mirrors llm-d/llm-d-router #2295: bookings of requests that were silent for some minutes ran
// out, and others were sent on top of them.
TEST(DeviceLossScenarios, TenSilentMinutesKeepWhatARequestHasBooked) {
  CoreOptions options{.devices = 2, .kv_blocks = 100};
  options.scheduler.slow_reader_timeout = Seconds(3'600);
  options.scheduler.routing = scheduler::RoutePolicy::kCost;
  Core core(options);
  std::vector<std::shared_ptr<SinkLog>> silent;
  for (int i = 0; i < 2; ++i) {
    silent.push_back(std::make_shared<SinkLog>());
    silent.back()->congested = true;
    core.scheduler->Submit(core.NewRequest(60 * 16 - 20, 100, silent.back()));
  }
  core.loop.RunUntil(TimePoint() + Seconds(600));
  EXPECT_EQ(core.scheduler->Status().paused, 2);
  const int64_t used = core.UsedBlocks();
  EXPECT_GE(used, 118);
  // Neither device has room for this one, whatever time has passed.
  auto large = std::make_shared<SinkLog>();
  const RequestId id = core.scheduler->Submit(core.NewRequest(50 * 16, 20, large)).id;
  // Small ones share what is left evenly.
  for (int i = 0; i < 8; ++i) {
    core.scheduler->Submit(core.NewRequest(16, 16));
  }
  EXPECT_EQ(core.scheduler->Explain(id)->wait, scheduler::WaitReason::kKv);
  EXPECT_EQ(core.scheduler->Status().running, (std::vector<int32_t>{5, 5}));
  core.loop.RunUntil(core.loop.Now() + Seconds(600));
  EXPECT_FALSE(large->end);
  EXPECT_EQ(core.observer.preempted, 0);
  for (uint64_t i = 0; i < 2; ++i) {
    silent[i]->congested = false;
    core.scheduler->ReaderCaughtUp(RequestId{i + 1});
  }
  core.loop.Run();
  for (const auto& log : silent) {
    EXPECT_EQ(log->tokens.size(), 100u);
  }
  EXPECT_EQ(large->tokens.size(), 20u);
}

// Mirrors vllm-project/vllm #24885 and PR #34730, ai-dynamo/dynamo #791: a shutdown cut streams off
// without a word. The daemon's side of it (readiness first) is tests/e2e/lifecycle_test.cc.
TEST(DeviceLossScenarios, ADrainRefusesFinishesAndGivesTheRestAStatus) {
  Core core({.kv_blocks = 2'000, .max_running = 3});
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < 6; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    ASSERT_FALSE(
        core.scheduler->Submit(core.NewRequest(20, i < 2 ? 50 : 5'000, logs.back())).refusal);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(5));
  core.scheduler->StartDrain();
  const auto refused = core.scheduler->Submit(core.NewRequest(20, 5));
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->reason, scheduler::RefusalReason::kDraining);
  core.loop.RunUntil(TimePoint() + Milliseconds(500));
  EXPECT_EQ(logs[0]->end->outcome, Outcome::kLength);
  EXPECT_EQ(logs[1]->end->outcome, Outcome::kLength);
  const size_t before = logs[2]->tokens.size();
  EXPECT_GT(before, 100u);  // it went on
  core.scheduler->EndAll(Outcome::kDraining);
  core.loop.Run();
  EXPECT_LE(logs[2]->tokens.size(), before + 1);
  for (size_t i = 2; i < logs.size(); ++i) {
    ASSERT_TRUE(logs[i]->end) << i;
    EXPECT_EQ(logs[i]->end->outcome, Outcome::kDraining);
  }
  EXPECT_TRUE(core.scheduler->idle());
  EXPECT_EQ(core.loop.pending(), 0u);
}

// Its steps take five times as long as predicted; then they do not.
TEST(DeviceLossScenarios, AStragglerTakesOneAtATimeUntilItHasRecovered) {
  Core core({.kv_blocks = 600});
  core.devices[0]->SlowDown(500);
  for (int i = 0; i < 40; ++i) {
    core.scheduler->Submit(core.NewRequest(20, 30));
    core.loop.RunUntil(TimePoint() + Milliseconds(1) * i);
  }
  int32_t most = 0;
  const auto run_until = [&](size_t ended) {
    most = 0;
    while (core.observer.ended.size() < ended && core.loop.RunOne()) {
      if (core.observer.steps.size() > 100) {  // past those that were there before it was noticed
        most = std::max(most, core.scheduler->Status().running[0]);
      }
    }
  };
  run_until(20);
  EXPECT_EQ(most, 1);
  core.devices[0]->SlowDown(100);
  run_until(40);
  EXPECT_GT(most, 5);
  EXPECT_EQ(core.observer.ended.size(), 40u) << "nobody waits for ever";
}

}  // namespace
}  // namespace scoville::tests
