// Prefixes that come again: what they give, what they never give, and blocks on their way between
// two places.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "device/kv/host_tier.h"
#include "sim/simulation.h"
#include "tests/simulation/core_walk.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using device::BlockHash;
using device::BlockPool;
using device::BlockTable;
using scheduler::Outcome;

// Mirrors sgl-project/sglang #36475: after a disconnect the next turn of the session saw tokens
// that had never been sent.
TEST(PrefixCacheScenarios, TheNextTurnAfterADisconnectSeesWhatWasDeliveredAndNothingElse) {
  const auto model = LoadTinyModel();
  const std::vector<int32_t> first = TinyTokens(*model, SomeText(3, 50));
  for (const int delivered : {1, 7, 20}) {
    TinyCore core(*model, {.prefix_cache = true});
    const auto cut = core.Submit({.prompt = first, .max_tokens = 100, .seed = 5})[0];
    while (static_cast<int>(cut->tokens.size()) < delivered) {
      ASSERT_TRUE(core.loop.RunOne());
    }
    core.scheduler->Cancel(core.ids[0]);
    core.loop.Run();
    ASSERT_EQ(cut->end->outcome, Outcome::kCancelled);
    // What the client has, and its next message.
    std::vector<int32_t> next = first;
    next.insert(next.end(), cut->tokens.begin(), cut->tokens.end());
    const size_t known = next.size();
    const std::vector<int32_t> message = TinyTokens(*model, SomeText(8, 10));
    next.insert(next.end(), message.begin(), message.end());
    const auto warm = core.Submit({.prompt = next, .max_tokens = 40, .seed = 6})[0];
    core.loop.Run();
    TinyCore fresh(*model, {.prefix_cache = false});
    const auto cold = fresh.Submit({.prompt = next, .max_tokens = 40, .seed = 6})[0];
    fresh.loop.Run();
    EXPECT_EQ(Bits(warm->sampled), Bits(cold->sampled));
    EXPECT_GE(warm->end->cached_tokens, static_cast<int64_t>(first.size() / 16 * 16));
    EXPECT_LE(warm->end->cached_tokens, static_cast<int64_t>(known));
    EXPECT_EQ(cold->end->cached_tokens, 0);
  }
}

TEST(PrefixCacheScenarios, NoTenantSeesAnothersPrefix) {
  Core core({.prefix_cache = true});
  for (const char* tenant : {"a", "b", "a"}) {
    scheduler::Request request = core.NewRequest(320, 10);
    request.tenant = tenant;
    core.scheduler->Submit(std::move(request));
    core.loop.Run();
  }
  EXPECT_EQ(core.observer.ended[0].cached_tokens, 0);
  EXPECT_EQ(core.observer.ended[1].cached_tokens, 0);
  EXPECT_EQ(core.observer.ended[2].cached_tokens, 319);
}

// A burst for one long prefix that one device has: how many ended where, and when all had.
struct Burst {
  std::vector<int64_t> on;
  Duration last_end;
  int64_t hits = 0;
};

Burst HotPrefix(scheduler::RoutePolicy routing, int requests) {
  Core core({.devices = 4, .kv_blocks = 8'000, .routing = routing, .prefix_cache = true});
  core.scheduler->Submit(core.NewRequest(2'000, 4));
  core.loop.Run();
  const TimePoint start = core.loop.Now();
  for (int i = 0; i < requests; ++i) {
    EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(2'000 + 40, 200)).refusal);
  }
  core.loop.Run();
  Burst burst;
  burst.on.resize(4);
  for (size_t i = 1; i < core.observer.ended.size(); ++i) {
    const scheduler::RequestRecord& record = core.observer.ended[i];
    ++burst.on[record.device.value];
    burst.last_end = std::max(burst.last_end, record.end - start);
    burst.hits += record.cached_tokens >= 1'984 ? 1 : 0;
  }
  return burst;
}

// Mirrors sgl-project/sglang PR #14532 and PrimeIntellect-ai/prime-rl PR #3255: all requests of a
// hot prefix piled up on the one device that had it.
TEST(PrefixCacheScenarios, AHotPrefixStaysWhereItIsUntilWaitingThereCostsMore) {
  const Burst two = HotPrefix(scheduler::RoutePolicy::kCost, 2);
  EXPECT_EQ(two.on, (std::vector<int64_t>{2, 0, 0, 0}));
  EXPECT_EQ(two.hits, 2);
  const Burst many = HotPrefix(scheduler::RoutePolicy::kCost, 200);
  EXPECT_GT(std::count_if(many.on.begin(), many.on.end(), [](int64_t n) { return n > 0; }), 1);
  EXPECT_GT(many.hits, 50);
  const Burst sticky = HotPrefix(scheduler::RoutePolicy::kPrefixSticky, 200);
  EXPECT_EQ(sticky.on[0], 200);
  EXPECT_LT(many.last_end, sticky.last_end * 3 / 4);
}

// At the level of the block pool, whose reservations every transfer uses. Mirrors vllm-project/vllm
// #45388 and PR #57104: two incoming transfers each held a part of the pool and waited for the rest
// for ever.
TEST(TransferScenarios, TwoLoadsThatFillThePoolReserveAllOrNothingAndBothFinish) {
  BlockPool pool(10, 16);
  BlockTable high(&pool);
  BlockTable low(&pool);
  ASSERT_TRUE(low.Grow(6 * 16));
  ASSERT_FALSE(high.Grow(7 * 16));
  EXPECT_EQ(high.size(), 0);  // nothing of it was taken
  EXPECT_EQ(pool.free_blocks(), 4);
  // The lower rank is revoked, the higher one copies and finishes, then the lower one.
  low.Clear();
  ASSERT_TRUE(high.Grow(7 * 16));
  ASSERT_FALSE(low.Grow(6 * 16));
  EXPECT_EQ(pool.free_blocks(), 3);
  high.Clear();
  ASSERT_TRUE(low.Grow(6 * 16));
  pool.CheckInvariants();
}

// At the level of the block pool and the host tier. Mirrors NVIDIA/TensorRT-LLM #12542: blocks
// were evicted and written over while they were being sent.
TEST(TransferScenarios, AStormOfEvictionsLeavesATransferWhole) {
  device::HostTier tier({.capacity_blocks = 8,
                         .bytes_per_block = Bytes(1'000),
                         .bytes_per_second = 1'000'000'000,
                         .picojoules_per_byte = 10});
  BlockPool pool(16, 4, {.prefix_cache = true, .evictions = &tier});
  const auto chain = [](int32_t name, int64_t blocks) {
    const std::vector<int32_t> tokens(static_cast<size_t>(blocks * 4), name);
    return device::HashBlocks(device::PrefixRoot(1, "t", "m", ""), tokens, 4);
  };
  const auto store = [&](const std::vector<BlockHash>& hashes) {
    BlockTable table(&pool);
    EXPECT_TRUE(table.Grow(static_cast<int64_t>(hashes.size()) * 4));
    for (size_t i = 0; i < hashes.size(); ++i) {
      EXPECT_TRUE(table.Publish(static_cast<int64_t>(i), hashes[i]));
    }
  };
  // A transfer out of the device holds references to its blocks, one out of the host reserves them.
  const auto sent = chain(1, 5);
  store(sent);
  BlockTable transfer(&pool);
  ASSERT_EQ(transfer.Attach(sent), 5);
  const std::vector<uint32_t> pages(transfer.blocks().begin(), transfer.blocks().end());
  const auto loaded = chain(2, 3);
  for (const BlockHash& hash : loaded) {
    ASSERT_TRUE(tier.Store(hash, 1)->fresh);
  }
  device::HostLoad load = tier.Reserve(loaded, 0, 3);
  const std::vector<uint32_t> host_pages(load.pages().begin(), load.pages().end());
  for (int32_t name = 3; name < 200; ++name) {
    store(chain(name, 1 + name % 11));
    pool.CheckInvariants();
    tier.CheckInvariants();
    ASSERT_EQ(pool.LookupPrefix(sent), 5);
    ASSERT_EQ(tier.Lookup(loaded), 3);
    for (size_t i = 0; i < sent.size(); ++i) {
      ASSERT_EQ(pool.FindBlock(sent[i]), pages[i]);
    }
  }
  EXPECT_GT(pool.evicted_blocks(), 500);
  EXPECT_GT(tier.stored_blocks(), 100);
  EXPECT_TRUE(std::equal(pages.begin(), pages.end(), transfer.blocks().begin()));
  EXPECT_TRUE(std::equal(host_pages.begin(), host_pages.end(), load.pages().begin()));
  // When it is over they are evicted like any others.
  transfer.Clear();
  load.Release();
  for (int32_t name = 200; name < 260; ++name) {
    store(chain(name, 11));
  }
  EXPECT_EQ(pool.LookupPrefix(sent), 0);
  EXPECT_EQ(tier.Lookup(loaded), 0);
}

// Mirrors sgl-project/sglang #6778: over a day of traffic the pool leaked. A virtual day with
// bursts, cancels, preemptions and shared prefixes; after every event the blocks in use are those
// of the live tables, and the pool's lists and counts agree (sim/conservation.h).
TEST(PrefixCacheScenarios, AfterAVirtualDayOfChurnEveryBlockInUseHasAnOwner) {
  sim::Scenario scenario;
  scenario.name = "day";
  scenario.pool.executor = device::ExecutorKind::kSynthetic;
  scenario.pool.devices = 2;
  scenario.pool.kv_blocks = 40;
  scenario.pool.kv.prefix_cache = true;
  scenario.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  scenario.workload.seed = 3;
  scenario.workload.requests = 1'500;
  scenario.workload.arrivals.kind = client::ArrivalKind::kGamma;
  scenario.workload.arrivals.cv = 10;
  scenario.workload.arrivals.requests_per_second = 1'500.0 / 86'400;
  scenario.workload.prompt.kind = client::LengthKind::kUniform;
  scenario.workload.prompt.low = 1;
  scenario.workload.prompt.high = 200;
  scenario.workload.output = scenario.workload.prompt;
  scenario.cancel_share = 0.3;
  scenario.cancel_within = Milliseconds(100);
  const auto model = model::SyntheticModel();
  ASSERT_TRUE(model.ok());
  const auto result = sim::RunScenario(scenario, **model, {.check_every_event = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(result->end - TimePoint(), Seconds(40'000));
  EXPECT_EQ(result->offered, 1'500);
  EXPECT_GT(result->records.preemptions, 20);
  for (const device::DeviceStatus& device : result->devices) {
    EXPECT_EQ(device.kv_blocks_used, 0);
  }
}

}  // namespace
}  // namespace scoville::tests
