// Requests with one beginning that arrive together: it is computed once a device, nobody waits
// longer than computing it would have taken, and what becomes of the one who computes it changes
// nobody's tokens.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/simulation/core_walk.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::RoutePolicy;
using scheduler::WaitReason;

// `shared` tokens that all have, then `own` that are only of `name`.
std::vector<int32_t> PromptOf(int64_t shared, int64_t own, int32_t name) {
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < shared; ++i) {
    prompt.push_back(static_cast<int32_t>(1'000 + i));
  }
  for (int64_t i = 0; i < own; ++i) {
    prompt.push_back(static_cast<int32_t>(10'000 + name * 64 + i % 64));
  }
  return prompt;
}

struct BurstOptions {
  int requests = 64;
  int32_t devices = 1;
  bool promised = true;
  RoutePolicy routing = RoutePolicy::kCost;
  int64_t shared = 4'000;
  int64_t own = 30;
};

struct Burst {
  int64_t computed = 0;  // prompt tokens
  Duration ttft_p99;
  std::vector<int64_t> on;  // requests that ended on each device
};

Burst RunBurst(const BurstOptions& options) {
  CoreOptions core_options{.devices = options.devices,
                           .kv_blocks = 4'000,
                           .max_running = 128,
                           .routing = options.routing,
                           .prefix_cache = true};
  core_options.scheduler.promised_prefixes = options.promised;
  Core core(core_options);
  for (int i = 0; i < options.requests; ++i) {
    scheduler::Request request = core.NewRequest(1, 40);
    request.prompt = PromptOf(options.shared, options.own, i);
    EXPECT_FALSE(core.scheduler->Submit(std::move(request)).refusal);
    core.scheduler->CheckInvariants();
  }
  CoreWalk(&core).Run();
  EXPECT_EQ(core.observer.ended.size(), static_cast<size_t>(options.requests));
  EXPECT_TRUE(core.scheduler->idle());
  core.scheduler->CheckInvariants();
  Burst burst;
  for (const device::StepRecord& step : core.observer.steps) {
    burst.computed += step.prefill_tokens;
  }
  burst.on.resize(static_cast<size_t>(options.devices));
  std::vector<Duration> ttft;
  for (const scheduler::RequestRecord& record : core.observer.ended) {
    EXPECT_EQ(record.outcome, Outcome::kLength);
    ttft.push_back(record.first_token - record.arrival);
    burst.on[record.device.value] += 1;
  }
  std::sort(ttft.begin(), ttft.end());
  burst.ttft_p99 = ttft[ttft.size() * 99 / 100];
  return burst;
}

TEST(PromisedPrefixScenarios, WhatAllBeginWithIsComputedOnce) {
  for (const RoutePolicy routing : {RoutePolicy::kCost, RoutePolicy::kLeastLoaded}) {
    const Burst on = RunBurst({.routing = routing});
    const Burst off = RunBurst({.promised = false, .routing = routing});
    EXPECT_EQ(on.computed, 4'000 + 64 * 30);
    EXPECT_GT(off.computed, 4 * on.computed);
    EXPECT_LT(on.ttft_p99, off.ttft_p99 / 3);
  }
}

// Mirrors sgl-project/sglang PR #14532: a hot prefix must not keep a pool waiting for one device.
TEST(PromisedPrefixScenarios, ItSpillsToDevicesOnWhichComputingItIsSooner) {
  const Burst burst = RunBurst({.requests = 512, .devices = 8});
  const auto [least, most] = std::minmax_element(burst.on.begin(), burst.on.end());
  EXPECT_GT(*least, 512 / 8 / 2);
  EXPECT_LT(*most, 512 / 8 * 2);
  EXPECT_LE(burst.computed, 8 * 4'000 + 512 * 30);
  const Burst one = RunBurst({.requests = 64, .devices = 1});
  EXPECT_LE(burst.ttft_p99, one.ttft_p99 * 3 / 2);
}

TEST(PromisedPrefixScenarios, DeadlinesReckonWithIt) {
  const auto taken = [](bool promised) {
    CoreOptions options{.kv_blocks = 4'000, .prefix_cache = true, .refuse_hopeless = true};
    options.scheduler.promised_prefixes = promised;
    Duration one;
    {
      Core alone(options);
      scheduler::Request request = alone.NewRequest(1, 1);
      request.prompt = PromptOf(4'000, 30, 0);
      alone.scheduler->Submit(std::move(request));
      alone.loop.Run();
      one = alone.observer.ended[0].end - alone.observer.ended[0].arrival;
    }
    Core core(options);
    int64_t count = 0;
    for (int i = 0; i < 32; ++i) {
      scheduler::Request request = core.NewRequest(1, 1);
      request.prompt = PromptOf(4'000, 30, i);
      request.deadline = core.loop.Now() + one * 2;
      count += core.scheduler->Submit(std::move(request)).refusal ? 0 : 1;
    }
    core.loop.Run();
    for (const scheduler::RequestRecord& record : core.observer.ended) {
      EXPECT_EQ(record.outcome, Outcome::kLength) << record.id.value;
    }
    return count;
  };
  // Of the rests each counts as a step of its own, which errs to the safe side.
  EXPECT_GE(taken(true), 10);
  EXPECT_LE(taken(false), 2);
}

TEST(PromisedPrefixScenarios, AShortBeginningIsNotWorthWaitingFor) {
  // Both fit into one step; waiting would take two.
  const Burst on = RunBurst({.requests = 2, .shared = 32, .own = 100});
  const Burst off = RunBurst({.requests = 2, .promised = false, .shared = 32, .own = 100});
  EXPECT_LE(on.ttft_p99, off.ttft_p99);
}

TEST(PromisedPrefixScenarios, AFollowerGoesOnWhenItsPartIsThereAndNotWhenTheLeaderIsDone) {
  Core core({.kv_blocks = 2'000, .prefix_cache = true});
  auto leader = std::make_shared<SinkLog>();
  scheduler::Request request = core.NewRequest(1, 10, leader);
  request.prompt = PromptOf(2'000, 4'000, 1);
  core.scheduler->Submit(std::move(request));
  core.loop.RunUntil(TimePoint() + Microseconds(1));
  auto follower = std::make_shared<SinkLog>();
  request = core.NewRequest(1, 10, follower);
  request.prompt = PromptOf(2'000, 20, 2);
  request.service_class = scheduler::ServiceClass::kStandard;
  const RequestId id = core.scheduler->Submit(std::move(request)).id;
  const auto status = core.scheduler->Explain(id);
  EXPECT_EQ(status->wait, WaitReason::kLeader) << status->detail;
  EXPECT_NE(status->detail.find("request 1 computes"), std::string::npos) << status->detail;
  EXPECT_EQ(core.scheduler->Status().running[0], 1) << "without a slot";
  while (core.scheduler->Explain(id)->phase == scheduler::Phase::kQueued) {
    ASSERT_TRUE(core.loop.RunOne());
    ASSERT_TRUE(core.scheduler->CheckLiveness().stuck.empty());
    core.scheduler->CheckInvariants();
  }
  EXPECT_LT(core.scheduler->Explain(RequestId{1})->computed_tokens, 2'000 + 2 * 512);
  core.loop.Run();
  EXPECT_EQ(follower->end->cached_tokens, 2'000);
  EXPECT_EQ(leader->end->outcome, Outcome::kLength);
}

TEST(PromisedPrefixScenarios, SaltTenantAndBypassFollowNobody) {
  Core core({.kv_blocks = 4'000, .prefix_cache = true});
  for (int i = 0; i < 4; ++i) {
    scheduler::Request request = core.NewRequest(1, 10);
    request.prompt = PromptOf(1'600, 0, 0);
    request.cache_salt = i == 1 ? "other" : "";
    request.tenant = i == 2 ? "other" : "anonymous";
    request.bypass_prefix_cache = i == 3;
    core.scheduler->Submit(std::move(request));
  }
  EXPECT_EQ(core.scheduler->Status().running[0], 4);
  core.loop.Run();
  for (const scheduler::RequestRecord& record : core.observer.ended) {
    EXPECT_EQ(record.cached_tokens, 0);
  }
}

// Nobody waits longer than computing would have taken, by the predictions of that moment.
TEST(PromisedPrefixScenarios, ALeaderThatDragsIsLeft) {
  CoreOptions options{
      .devices = 2, .kv_blocks = 2'000, .routing = RoutePolicy::kCost, .prefix_cache = true};
  options.scheduler.patience = 1'000;  // the device is never given up
  Core core(options);
  ASSERT_TRUE(core.scheduler->DrainDevice(DeviceId{1}, false).ok());
  auto leader = std::make_shared<SinkLog>();
  scheduler::Request request = core.NewRequest(1, 10, leader);
  request.prompt = PromptOf(6'000, 20, 1);
  core.scheduler->Submit(std::move(request));
  core.devices[0]->SlowDown(20'000);
  auto follower = std::make_shared<SinkLog>();
  request = core.NewRequest(1, 10, follower);
  request.prompt = PromptOf(6'000, 20, 2);
  const RequestId id = core.scheduler->Submit(std::move(request)).id;
  ASSERT_EQ(core.scheduler->Explain(id)->wait, WaitReason::kLeader);
  ASSERT_TRUE(core.scheduler->ReturnDevice(DeviceId{1}).ok());
  CoreWalk(&core).Run();
  ASSERT_TRUE(follower->end && leader->end);
  EXPECT_EQ(follower->end->device.value, 1u);
  EXPECT_LT(follower->end->end, leader->end->first_token);
}

// What happens to the leader in the middle of its prompt.
enum class Fate { kEnds, kCancelled, kPreempted, kLost, kDrained, kPagesLost };

void Befall(TinyCore& core, const model::LoadedModel& model, Fate fate, RequestId leader,
            DeviceId on) {
  switch (fate) {
    case Fate::kEnds:
      break;
    case Fate::kCancelled:
      core.scheduler->Cancel(leader);
      break;
    case Fate::kPreempted: {
      // One of a higher class finds no room beside it.
      scheduler::Request urgent;
      urgent.prompt = TinyTokens(model, SomeText(90, 250));
      urgent.prompt.resize(400);
      urgent.max_tokens = 80;
      urgent.service_class = scheduler::ServiceClass::kInteractive;
      urgent.sink = std::make_unique<LoggingSink>(std::make_shared<SinkLog>());
      CHECK(!core.scheduler->Submit(std::move(urgent)).refusal);
      break;
    }
    case Fate::kLost:
      CHECK(core.scheduler->FenceDevice(on).ok());
      break;
    case Fate::kDrained:
      CHECK(core.scheduler->DrainDevice(on, true).ok());
      break;
    case Fate::kPagesLost: {
      const std::vector<uint32_t> pages = {0, 1, 2, 3};
      CHECK(core.scheduler->LosePages(on, pages).ok());
      break;
    }
  }
}

std::vector<std::vector<uint64_t>> Tokens(const model::LoadedModel& model, Fate fate,
                                          bool promised) {
  TinyOptions options{.devices = 2, .kv_blocks = 40, .max_step_tokens = 32, .prefix_cache = true};
  options.scheduler.promised_prefixes = promised;
  options.scheduler.routing = RoutePolicy::kCost;
  TinyCore core(model, options);
  if (fate != Fate::kLost && fate != Fate::kDrained) {
    CHECK(core.scheduler->DrainDevice(DeviceId{1}, false).ok());
  }
  const std::vector<int32_t> shared = TinyTokens(model, SomeText(4, 120));
  std::vector<std::shared_ptr<SinkLog>> logs;
  std::vector<RequestId> ids;
  for (int i = 0; i < 5; ++i) {
    std::vector<int32_t> prompt = shared;
    const std::vector<int32_t> own = TinyTokens(model, SomeText(20 + i, 5));
    prompt.insert(prompt.end(), own.begin(), own.end());
    logs.push_back(
        core.Submit({.prompt = prompt, .max_tokens = 12, .seed = 40 + static_cast<uint64_t>(i)})
            .front());
    ids.push_back(core.ids.front());
  }
  int followers = 0;
  for (const RequestId id : ids) {
    followers += core.scheduler->Explain(id)->wait == WaitReason::kLeader ? 1 : 0;
  }
  EXPECT_EQ(followers > 0, promised);
  while (core.scheduler->Explain(ids[0])->computed_tokens < 48) {
    CHECK(core.loop.RunOne());
  }
  const DeviceId on = core.scheduler->Explain(ids[0])->record.device;
  Befall(core, model, fate, ids[0], on);
  while (core.loop.RunOne()) {
    core.scheduler->CheckInvariants();
    const scheduler::Liveness liveness = core.scheduler->CheckLiveness();
    EXPECT_TRUE(liveness.stuck.empty()) << liveness.stuck.front();
  }
  EXPECT_TRUE(core.scheduler->idle());
  if (fate == Fate::kPreempted) {
    EXPECT_GT(core.observer.preempted, 0);
  }
  std::vector<std::vector<uint64_t>> bits;
  for (size_t i = 0; i < logs.size(); ++i) {
    const bool cancelled = fate == Fate::kCancelled && i == 0;
    CHECK(logs[i]->end);
    EXPECT_EQ(logs[i]->end->outcome, cancelled ? Outcome::kCancelled : Outcome::kLength);
    bits.push_back(cancelled ? std::vector<uint64_t>() : Bits(logs[i]->sampled));
  }
  return bits;
}

TEST(PromisedPrefixScenarios, WhateverBecomesOfTheLeaderTheOthersGoOnAndSayTheSame) {
  const auto model = LoadTinyModel();
  const auto plain = Tokens(*model, Fate::kEnds, /*promised=*/false);
  for (const Fate fate : {Fate::kEnds, Fate::kCancelled, Fate::kPreempted, Fate::kLost,
                          Fate::kDrained, Fate::kPagesLost}) {
    SCOPED_TRACE(static_cast<int>(fate));
    const auto bits = Tokens(*model, fate, /*promised=*/true);
    for (size_t i = fate == Fate::kCancelled ? 1 : 0; i < plain.size(); ++i) {
      EXPECT_EQ(bits[i], plain[i]) << "request " << i;
    }
  }
}

}  // namespace
}  // namespace scoville::tests
