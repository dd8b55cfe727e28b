#include "device/kv/host_tier.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "device/kv/block_pool.h"

namespace scoville::device {
namespace {

HostTierOptions Tier(int64_t blocks) {
  HostTierOptions options;
  options.capacity_blocks = blocks;
  options.bytes_per_block = Bytes(2'000'000);
  options.bytes_per_second = 50'000'000'000;
  options.picojoules_per_byte = 20;
  return options;
}

std::vector<BlockHash> Chain(int32_t name, size_t length) {
  std::vector<int32_t> tokens(length, name);
  return HashBlocks(PrefixRoot(1, "t", "m", "bf16"), tokens, 1);
}

TEST(HostTierTest, ALoadCostsBytesOverBandwidthAndJoulesPerByte) {
  HostTier tier(Tier(4));
  EXPECT_EQ(tier.LoadTime(1), Microseconds(40));
  EXPECT_EQ(tier.LoadTime(3), Microseconds(120));
  EXPECT_EQ(tier.LoadTime(0), Duration(0));
  EXPECT_EQ(tier.LoadEnergy(2).microjoules(), 80);
  HostTierOptions odd = Tier(1);
  odd.bytes_per_block = Bytes(1);
  odd.bytes_per_second = 3'000'000'000;
  EXPECT_EQ(HostTier(odd).LoadTime(1), Nanoseconds(1));  // rounded up
}

TEST(HostTierTest, WhatTheDeviceEvictsIsFoundHere) {
  HostTier tier(Tier(8));
  std::map<uint32_t, uint32_t> copies;  // host page to device page
  tier.set_copy_out([&](uint32_t from, uint32_t to) { copies[to] = from; });
  KvCacheOptions options;
  options.prefix_cache = true;
  options.evictions = &tier;
  BlockPool pool(3, 1, options);
  const std::vector<BlockHash> chain = Chain(1, 3);
  std::vector<uint32_t> pages;
  {
    BlockTable table(&pool);
    ASSERT_TRUE(table.Grow(3));
    for (int64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(table.Publish(i, chain[static_cast<size_t>(i)]));
    }
    pages.assign(table.blocks().begin(), table.blocks().end());
  }
  BlockTable other(&pool);
  ASSERT_TRUE(other.Grow(2));
  EXPECT_EQ(pool.LookupPrefix(chain), 1);
  EXPECT_EQ(tier.Lookup(chain), 0);     // the first is still on the device
  EXPECT_EQ(tier.Lookup(chain, 1), 2);  // the others are here
  const HostLoad load = tier.Reserve(chain, 1, 2);
  ASSERT_EQ(load.size(), 2);
  EXPECT_EQ(copies[load.pages()[0]], pages[1]);
  EXPECT_EQ(copies[load.pages()[1]], pages[2]);
  tier.CheckInvariants();
}

TEST(HostTierTest, AStormOfEvictionsCannotTouchALoadUnderWay) {
  HostTier tier(Tier(4));
  const std::vector<BlockHash> chain = Chain(1, 2);
  for (const BlockHash& hash : chain) {
    ASSERT_TRUE(tier.Store(hash, 1)->fresh);
  }
  HostLoad load = tier.Reserve(chain, 0, 2);
  const std::vector<uint32_t> pages(load.pages().begin(), load.pages().end());
  for (int32_t name = 2; name < 50; ++name) {
    const auto stored = tier.Store(Chain(name, 1)[0], 1'000'000);
    ASSERT_TRUE(stored.has_value());
    EXPECT_NE(stored->page, pages[0]);
    EXPECT_NE(stored->page, pages[1]);
  }
  EXPECT_EQ(tier.Lookup(chain), 2);
  load.Release();
  EXPECT_EQ(tier.reserved_blocks(), 0);
  for (int32_t name = 50; name < 60; ++name) {
    tier.Store(Chain(name, 1)[0], 1'000'000);
  }
  EXPECT_EQ(tier.Lookup(chain), 0);
  tier.CheckInvariants();
}

TEST(HostTierTest, AFullTierIsAValue) {
  HostTier none(Tier(0));
  EXPECT_FALSE(none.Store(Chain(1, 1)[0], 1).has_value());
  HostTier one(Tier(1));
  ASSERT_TRUE(one.Store(Chain(1, 1)[0], 1).has_value());
  const HostLoad load = one.Reserve(Chain(1, 1), 0, 1);
  EXPECT_FALSE(one.Store(Chain(2, 1)[0], 1).has_value());
  EXPECT_EQ(one.dropped_blocks(), 1);
  EXPECT_FALSE(one.Store(Chain(1, 1)[0], 1)->fresh);
}

TEST(HostTierTest, RandomStoresAndLoadsLeaveNothingReserved) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    HostTier tier(Tier(20));
    std::vector<HostLoad> loads(6);
    for (uint64_t i = 0; i < 2'000; ++i) {
      const std::vector<BlockHash> chain =
          Chain(static_cast<int32_t>(RandomBelow(seed, 0, i, 12)), 4);
      HostLoad& load = loads[RandomBelow(seed, 1, i, loads.size())];
      switch (RandomBelow(seed, 2, i, 4)) {
        case 0: {
          const int64_t from = static_cast<int64_t>(RandomBelow(seed, 3, i, 4));
          load = tier.Reserve(chain, from, tier.Lookup(chain, from));
          break;
        }
        case 1:
          load.Release();
          break;
        default:
          tier.Store(chain[RandomBelow(seed, 4, i, 4)],
                     static_cast<int64_t>(1 + RandomBelow(seed, 5, i, 100)));
      }
      tier.CheckInvariants();
    }
    loads.clear();
    ASSERT_EQ(tier.reserved_blocks(), 0) << "seed " << seed;
  }
}

TEST(HostTierDeathTest, ATierOutlivesItsLoads) {
  EXPECT_DEATH(
      {
        HostLoad load;
        HostTier tier(Tier(2));
        tier.Store(Chain(1, 1)[0], 1);
        load = tier.Reserve(Chain(1, 1), 0, 1);
        tier.~HostTier();
      },
      "CHECK failed");
}

}  // namespace
}  // namespace scoville::device
