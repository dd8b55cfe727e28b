// Devices that join and leave while requests run: nothing is lost, nothing reads otherwise, and
// every number stays its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/core/scale_pool.h"
#include "tests/simulation/core_walk.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;

// Runs the events up to `end`, with everything checked after each.
template <typename CoreT>
void RunChecked(CoreT& core, TimePoint end = TimePoint::Max()) {
  while (core.loop.pending() > 0 && core.loop.next_time() <= end) {
    core.loop.RunOne();
    core.scheduler->CheckInvariants();
    if (core.loop.pending() == 0 || core.loop.next_time() > core.loop.Now() + Nanoseconds(1)) {
      const scheduler::Liveness liveness = core.scheduler->CheckLiveness();
      ASSERT_TRUE(liveness.stuck.empty()) << liveness.stuck.front();
    }
  }
}

device::DeviceState StateOf(const scheduler::Scheduler& scheduler, size_t device) {
  return scheduler.Status().health[device].state;
}

// --- What clients read ---

enum class Change { kNone, kDown, kUp, kUpThenDown, kDownAndDeath };

std::string NameOf(Change change) {
  switch (change) {
    case Change::kNone:
      return "Nothing";
    case Change::kDown:
      return "Down";
    case Change::kUp:
      return "Up";
    case Change::kUpThenDown:
      return "UpThenDown";
    case Change::kDownAndDeath:
      return "DownAndDeath";
  }
  return "";
}

class SameTextScaled : public ::testing::TestWithParam<std::tuple<Change, int32_t, bool>> {
 protected:
  static void SetUpTestSuite() { model_ = LoadTinyModel().release(); }
  static void TearDownTestSuite() { delete model_; }

  struct World {
    std::vector<std::vector<uint64_t>> bits;
    int64_t migrated = 0;
    int64_t steps_of_removed = 0;  // after they were gone
    std::set<uint32_t> devices;    // that ran steps
  };

  static void Scale(TinyCore& core, int64_t devices) {
    const auto answer = scheduler::ScalePool(&core.pool(), core.scheduler.get(), devices, "");
    ASSERT_TRUE(answer.ok()) << answer.status();
  }

  static World Run(Change change, int32_t max_drafts, bool prefix_cache) {
    TinyOptions options{.devices = 2, .kv_blocks = 64, .prefix_cache = prefix_cache};
    options.scheduler.max_drafts = max_drafts;
    options.scheduler.max_running = 4;
    options.scheduler.routing = scheduler::RoutePolicy::kLeastLoaded;
    TinyCore core(*model_, options);
    std::vector<std::shared_ptr<SinkLog>> logs;
    for (uint64_t i = 0; i < 10; ++i) {
      TinyAsk ask{.prompt = TinyTokens(*model_, SomeText(1 + i % 3, 10 + 4 * i)),
                  .max_tokens = 50,
                  .n = i == 2 ? 2 : 1,
                  .seed = 20 + i,
                  .temperature = i % 4 == 0 ? 0.0f : 1.0f};
      for (auto& log : core.Submit(ask)) {
        logs.push_back(std::move(log));
      }
    }
    const auto until = [&](int64_t tokens) {
      while (core.observer.tokens < tokens) {
        CHECK(core.loop.RunOne());
      }
    };
    until(80);
    switch (change) {
      case Change::kNone:
        break;
      case Change::kDown:
        Scale(core, 1);
        break;
      case Change::kUp:
        Scale(core, 4);
        break;
      case Change::kUpThenDown:
        Scale(core, 4);
        until(200);
        Scale(core, 1);
        break;
      case Change::kDownAndDeath:
        Scale(core, 1);
        core.pool().Find(DeviceId{1})->Kill();  // amid its last step
        break;
    }
    RunChecked(core);
    EXPECT_TRUE(core.scheduler->idle());
    ExpectJoulesAddUp(core.observer, core.Metered());
    World world;
    for (const auto& log : logs) {
      EXPECT_TRUE(log->end);
      EXPECT_TRUE(scheduler::IsCompletion(log->end->outcome));
      world.bits.push_back(Bits(log->sampled));
    }
    EXPECT_EQ(core.observer.ended.size(), logs.size());
    world.migrated = core.observer.migrated;
    for (const device::StepRecord& step : core.observer.steps) {
      world.devices.insert(step.device.value);
    }
    return world;
  }

  static const model::LoadedModel* model_;
};

const model::LoadedModel* SameTextScaled::model_ = nullptr;

TEST_P(SameTextScaled, BitForBit) {
  const auto [change, max_drafts, prefix_cache] = GetParam();
  const World plain = Run(Change::kNone, max_drafts, prefix_cache);
  const World scaled = Run(change, max_drafts, prefix_cache);
  EXPECT_EQ(plain.bits, scaled.bits);
  if (change == Change::kUp || change == Change::kUpThenDown) {
    EXPECT_GE(scaled.devices.size(), 3u);  // what waited went there
  }
  if (change != Change::kUp) {
    EXPECT_GT(scaled.migrated, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SameTextScaled,
                         ::testing::Combine(::testing::Values(Change::kDown, Change::kUp,
                                                              Change::kUpThenDown,
                                                              Change::kDownAndDeath),
                                            ::testing::Values(0, 4), ::testing::Bool()),
                         [](const auto& p) {
                           return absl::StrCat(NameOf(std::get<0>(p.param)),
                                               std::get<1>(p.param) > 0 ? "Drafts" : "",
                                               std::get<2>(p.param) ? "Cached" : "");
                         });

// --- Up ---

TEST(ScalingTest, WhatWaitsGoesToTheNewDevices) {
  const auto run = [](bool scale) {
    Core core({.devices = 1, .max_running = 2});
    for (int i = 0; i < 12; ++i) {
      EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(20, 100)).refusal);
    }
    core.loop.RunUntil(TimePoint() + Milliseconds(5));
    EXPECT_EQ(core.scheduler->Status().waiting, 10);
    if (scale) {
      device::Device* const one = core.NewDevice();
      device::Device* const two = core.NewDevice();
      EXPECT_EQ(core.scheduler->AddDevices({one, two}), absl::OkStatus());
      core.scheduler->CheckInvariants();
      core.loop.RunUntil(core.loop.Now() + Microseconds(1));
      EXPECT_EQ(core.scheduler->Status().waiting, 6);
      EXPECT_THAT(core.scheduler->Status().running, ElementsAre(2, 2, 2));
    }
    RunChecked(core);
    EXPECT_EQ(core.observer.ended.size(), 12u);
    return core.loop.Now();
  };
  const TimePoint alone = run(false);
  const TimePoint three = run(true);
  EXPECT_LT(three.ns(), alone.ns() / 2);
}

TEST(ScalingTest, ANumberIsTheNextOneOrNone) {
  Core core({.devices = 2});
  device::Device* const third = core.NewDevice();
  device::Device* const fourth = core.NewDevice();
  EXPECT_EQ(core.scheduler->AddDevice(fourth).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(core.scheduler->Status().devices.size(), 2u);
  EXPECT_EQ(core.scheduler->AddDevice(third), absl::OkStatus());
  EXPECT_EQ(core.scheduler->RemoveDevice(DeviceId{2}), absl::OkStatus());
  core.loop.Run();
  EXPECT_EQ(StateOf(*core.scheduler, 2), device::DeviceState::kRemoved);
  EXPECT_EQ(core.scheduler->AddDevice(third).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(core.scheduler->AddDevice(fourth), absl::OkStatus());
  EXPECT_EQ(StateOf(*core.scheduler, 3), device::DeviceState::kReady);
}

// Beyond the size at which the router looks at every device, it finds prefixes that were cached
// before.
TEST(ScalingTest, APoolThatGrowsLargeKnowsWhatIsCached) {
  Core core({.devices = 32, .routing = scheduler::RoutePolicy::kCost, .prefix_cache = true});
  const auto ask = [&](int64_t prompt) {
    auto log = std::make_shared<SinkLog>();
    EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(prompt, 4, log)).refusal);
    core.loop.Run();
    return *log->end;
  };
  const scheduler::RequestRecord first = ask(2000);
  EXPECT_EQ(core.scheduler->AddDevice(core.NewDevice()), absl::OkStatus());
  const scheduler::RequestRecord second = ask(2100);
  EXPECT_EQ(second.device, first.device);
  EXPECT_GE(second.cached_tokens, 1900);
  // And of the new ones, what they come to hold.
  EXPECT_EQ(core.scheduler->RemoveDevice(first.device), absl::OkStatus());
  core.loop.Run();
  EXPECT_EQ(StateOf(*core.scheduler, first.device.value), device::DeviceState::kRemoved);
  core.scheduler->CheckInvariants();  // nothing of what it held is known any more
  const scheduler::RequestRecord third = ask(2000);
  EXPECT_NE(third.device, first.device);
  EXPECT_EQ(third.cached_tokens, 0);
  EXPECT_GE(ask(2100).cached_tokens, 1900);
}

// --- Down ---

TEST(ScalingTest, ADeviceThatLeavesTakesNoRequestWithIt) {
  Core core({.devices = 3, .prefix_cache = true});
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < 9; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(100 + i, 200, logs.back())).refusal);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(10));
  ASSERT_GT(core.scheduler->Status().running[1], 0);
  std::vector<uint32_t> gone;
  TimePoint gone_at;
  device::DeviceStatus last;
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{1},
                                         [&](DeviceId device) {
                                           gone.push_back(device.value);
                                           gone_at = core.loop.Now();
                                           last = core.devices[1]->Status();
                                           core.devices[1].reset();
                                         }),
            absl::OkStatus());
  EXPECT_EQ(StateOf(*core.scheduler, 1), device::DeviceState::kDraining);
  EXPECT_TRUE(core.scheduler->Status().health[1].removing);
  EXPECT_EQ(core.scheduler->RemoveDevice(DeviceId{1}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(core.scheduler->ReturnDevice(DeviceId{1}).code(),
            absl::StatusCode::kFailedPrecondition);
  RunChecked(core);
  EXPECT_THAT(gone, ElementsAre(1u));
  for (const auto& log : logs) {
    ASSERT_TRUE(log->end);
    EXPECT_EQ(log->end->outcome, Outcome::kLength);
    EXPECT_EQ(log->tokens.size(), 200u);
  }
  EXPECT_EQ(core.observer.ended.size(), logs.size());
  for (const device::StepRecord& step : core.observer.steps) {
    EXPECT_TRUE(step.device.value != 1 || step.end <= gone_at);
  }
  const scheduler::PoolStatus status = core.scheduler->Status();
  ASSERT_EQ(status.devices.size(), 3u);
  EXPECT_EQ(status.devices[1].state, device::DeviceState::kRemoved);
  EXPECT_EQ(status.devices[1].energy.total(), last.energy.total());
  EXPECT_GT(last.energy.total(), Energy());
  EXPECT_EQ(status.devices[1].power, Power());
  EXPECT_EQ(status.devices[1].kv_blocks_total, 0);
  EXPECT_EQ(core.scheduler->DrainDevice(DeviceId{1}, true).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(core.scheduler->fleet().Get().devices[1].removed);
  EXPECT_EQ(core.scheduler->fleet().Get().nodes[0].devices, 2u);
}

TEST(ScalingTest, AnEmptyDeviceALostOneAndOneThatDiesGoToo) {
  Core core({.devices = 5});
  std::vector<uint32_t> gone;
  const auto note = [&](DeviceId device) { gone.push_back(device.value); };
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{4}, note), absl::OkStatus());
  core.loop.Run();
  EXPECT_THAT(gone, ElementsAre(4u));
  ASSERT_EQ(core.scheduler->FenceDevice(DeviceId{3}), absl::OkStatus());
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{3}, note), absl::OkStatus());
  core.loop.Run();
  EXPECT_THAT(gone, ElementsAre(4u, 3u));
  for (int i = 0; i < 6; ++i) {
    ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(50, 100)).refusal);
  }
  core.loop.RunUntil(TimePoint() + Milliseconds(3));
  core.devices[0]->Hang();
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{0}, note), absl::OkStatus());
  RunChecked(core);
  EXPECT_THAT(gone, ElementsAre(4u, 3u, 0u));
  EXPECT_EQ(core.observer.ended.size(), 6u);
  for (const scheduler::RequestRecord& record : core.observer.ended) {
    EXPECT_EQ(record.outcome, Outcome::kLength);
  }
}

TEST(ScalingTest, AnOperatorWhoDrainsADeviceSaysWhichIsToGo) {
  const auto model = model::SyntheticModel();
  ASSERT_TRUE(model.ok());
  SimulatedEventLoop loop;
  device::PoolOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  options.devices = 4;
  auto pool = device::DevicePool::Create(&loop, options, **model, nullptr);
  ASSERT_TRUE(pool.ok()) << pool.status();
  scheduler::SchedulerOptions how;
  how.context = (*model)->config.context;
  how.vocabulary = (*model)->config.vocabulary;
  LoggingObserver observer;
  scheduler::Scheduler scheduler(&loop, (*pool)->devices(), how, &observer);
  ASSERT_TRUE(scheduler.DrainDevice(DeviceId{1}, false).ok());
  ASSERT_TRUE(scheduler.FenceDevice(DeviceId{2}).ok());
  const auto two = scheduler::ScalePool(pool->get(), &scheduler, 2, "");
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_THAT(two->removed, ElementsAre(DeviceId{2}, DeviceId{1}));
  // Those on their way out do not count.
  const auto three = scheduler::ScalePool(pool->get(), &scheduler, 3, "");
  ASSERT_TRUE(three.ok()) << three.status();
  EXPECT_THAT(three->added, ElementsAre(DeviceId{4}));
  loop.Run();
  EXPECT_EQ((*pool)->Find(DeviceId{1}), nullptr);
  EXPECT_EQ((*pool)->devices().size(), 3u);
  // Of those left, what is drained serves nobody.
  ASSERT_TRUE(scheduler.DrainDevice(DeviceId{0}, false).ok());
  ASSERT_TRUE(scheduler.DrainDevice(DeviceId{3}, false).ok());
  EXPECT_EQ(scheduler.RemoveDevice(DeviceId{4}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ScalingTest, WhatThePoolCannotDoWithoutStays) {
  Core core({.devices = 1, .kv_blocks = 16});
  core.device_options.kv_blocks = 200;
  ASSERT_EQ(core.scheduler->AddDevice(core.NewDevice()), absl::OkStatus());
  auto log = std::make_shared<SinkLog>();
  ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(1000, 100, log)).refusal);
  const absl::Status needed = core.scheduler->RemoveDevice(DeviceId{1});
  EXPECT_EQ(needed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(needed.message()), HasSubstr("holds (256); the first, 1, 1100"));
  EXPECT_EQ(StateOf(*core.scheduler, 1), device::DeviceState::kReady);
  RunChecked(core);
  EXPECT_EQ(log->end->outcome, Outcome::kLength);
  EXPECT_EQ(core.scheduler->RemoveDevice(DeviceId{1}), absl::OkStatus());
  const absl::Status last = core.scheduler->RemoveDevice(DeviceId{0});
  EXPECT_EQ(last.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(last.message()), HasSubstr("unload the model"));
  core.loop.Run();
  // What would fit there only is refused from now on.
  EXPECT_TRUE(core.scheduler->Submit(core.NewRequest(1000, 100)).refusal);
  EXPECT_EQ(core.scheduler->RemoveDevice(DeviceId{7}).code(), absl::StatusCode::kNotFound);
}

// --- Power ---

TEST(ScalingTest, ANewDeviceSharesTheBudgetAndOneThatGoesLeavesItsShare) {
  CoreOptions options{.devices = 2, .kv_blocks = 4000};
  options.scheduler.fleet.budget = Watts(450);
  Core core(options);
  const auto counted = [&] { return core.scheduler->fleet().Get().nodes[0].counted; };
  const auto submit = [&] {
    for (int i = 0; i < 30; ++i) {
      EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(3000, 900)).refusal);
    }
  };
  submit();
  core.loop.RunUntil(TimePoint() + Milliseconds(1'500));
  const Power usable = *core.scheduler->fleet().Get().nodes[0].usable;
  EXPECT_EQ(counted(), usable);
  const Power share = core.scheduler->fleet().Get().devices[0].cap;
  ASSERT_EQ(core.scheduler->AddDevice(core.NewDevice()), absl::OkStatus());
  // Where the others cannot make room at once it sleeps meanwhile.
  while (core.scheduler->fleet().Get().devices[2].parked && core.loop.RunOne()) {
    core.scheduler->CheckInvariants();
  }
  submit();
  core.loop.RunUntil(core.loop.Now() + Seconds(2));
  const scheduler::FleetPowerStatus three = core.scheduler->fleet().Get();
  EXPECT_EQ(three.nodes[0].in_force, usable);
  EXPECT_LE(three.nodes[0].counted, usable);
  EXPECT_GE(three.devices[2].cap, three.devices[2].min_cap);
  EXPECT_LT(three.devices[0].cap, share);
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{0}), absl::OkStatus());
  core.loop.RunUntil(core.loop.Now() + Seconds(2));
  const scheduler::FleetPowerStatus two = core.scheduler->fleet().Get();
  EXPECT_TRUE(two.devices[0].removed);
  EXPECT_EQ(two.devices[0].counted, Power());
  EXPECT_GT(two.devices[2].cap, three.devices[2].cap);
  RunChecked(core);
  EXPECT_EQ(core.observer.ended.size(), 60u);
  std::set<uint32_t> ran;
  for (const device::StepRecord& step : core.observer.steps) {
    ran.insert(step.device.value);
  }
  EXPECT_THAT(ran, ElementsAre(0u, 1u, 2u));
}

TEST(ScalingTest, ABudgetThatCannotHoldOneMoreRefusesItWithNumbers) {
  const Power floor = Core().devices[0]->power().min_cap();
  CoreOptions options{.devices = 2};
  options.scheduler.fleet.budget = Power(floor.value() * 5 / 2 * 100 / 95);
  Core core(options);
  const absl::Status full = core.scheduler->AddDevice(core.NewDevice());
  EXPECT_EQ(full.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(full.message()), HasSubstr("least caps of its 3 devices sum to"));
  EXPECT_EQ(core.scheduler->Status().devices.size(), 2u);
  EXPECT_EQ(core.scheduler->fleet().Get().devices.size(), 2u);
  core.scheduler->CheckInvariants();
  ASSERT_FALSE(core.scheduler->Submit(core.NewRequest(100, 30)).refusal);
  RunChecked(core);
  // With one less there is room.
  ASSERT_EQ(core.scheduler->RemoveDevice(DeviceId{0}), absl::OkStatus());
  core.loop.Run();
  EXPECT_EQ(core.scheduler->AddDevice(core.devices[2].get()), absl::OkStatus());
}

TEST(ScalingTest, InATreeOfBudgetsANewDeviceHangsOnANamedNode) {
  CoreOptions options{.devices = 2};
  options.scheduler.fleet.nodes = {{"rack-a", scheduler::BudgetLevel::kRack, Watts(400), {}, {0}},
                                   {"rack-b", scheduler::BudgetLevel::kRack, Watts(1500), {}, {1}}};
  Core core(options);
  device::Device* const third = core.NewDevice();
  const absl::Status unnamed = core.scheduler->AddDevice(third);
  EXPECT_EQ(unnamed.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(unnamed.message()), HasSubstr("fleet, rack-a, rack-b"));
  EXPECT_EQ(core.scheduler->AddDevice(third, "rack-c").code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(core.scheduler->AddDevice(third, "rack-b"), absl::OkStatus());
  const scheduler::FleetPowerStatus status = core.scheduler->fleet().Get();
  EXPECT_EQ(status.devices[2].node, "rack-b");
  EXPECT_EQ(status.nodes[2].devices, 2u);
  EXPECT_EQ(status.nodes[0].devices, 3u);
  core.loop.Run();
}

}  // namespace
}  // namespace scoville::tests
