#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "device/kv/block_pool.h"

namespace scoville::device {
namespace {

constexpr int64_t kBlock = 4;

KvCacheOptions Cached() {
  KvCacheOptions options;
  options.prefix_cache = true;
  options.pin_quota_blocks = 4;
  return options;
}

// A chain of `length` blocks of its own.
std::vector<BlockHash> Chain(int32_t name, int64_t length) {
  std::vector<int32_t> tokens(static_cast<size_t>(length * kBlock), name);
  return HashBlocks(PrefixRoot(7, "tenant", "model", "bf16"), tokens, kBlock);
}

// A table that has computed the whole chain.
BlockTable Computed(BlockPool* pool, const std::vector<BlockHash>& chain, int64_t cost = 0) {
  BlockTable table(pool);
  const int64_t length = static_cast<int64_t>(chain.size());
  const int64_t hit = table.Attach(chain);
  EXPECT_TRUE(table.Grow(length * kBlock));
  for (int64_t i = hit; i < length; ++i) {
    EXPECT_TRUE(table.Publish(i, chain[static_cast<size_t>(i)], cost));
  }
  return table;
}

std::vector<uint32_t> Pages(const BlockTable& table) {
  return std::vector<uint32_t>(table.blocks().begin(), table.blocks().end());
}

TEST(PrefixCacheTest, AClearedSequenceIsFoundAgainOnTheSamePages) {
  BlockPool pool(8, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 3);
  BlockTable first = Computed(&pool, chain);
  const std::vector<uint32_t> pages = Pages(first);
  first.Clear();
  EXPECT_EQ(pool.used_blocks(), 0);
  EXPECT_EQ(pool.cached_blocks(), 3);
  EXPECT_EQ(pool.free_blocks(), 8);
  EXPECT_EQ(pool.LookupPrefix(chain), 3);
  BlockTable second(&pool);
  EXPECT_EQ(second.Attach(absl::MakeConstSpan(chain).first(2)), 2);
  EXPECT_EQ(Pages(second), std::vector<uint32_t>(pages.begin(), pages.begin() + 2));
  EXPECT_EQ(pool.used_blocks(), 2);
  EXPECT_EQ(pool.cached_blocks(), 1);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, WithoutAPrefixCacheNothingIsKept) {
  BlockPool pool(8, kBlock);
  const std::vector<BlockHash> chain = Chain(1, 2);
  BlockTable table(&pool);
  ASSERT_TRUE(table.Grow(2 * kBlock));
  EXPECT_FALSE(table.Publish(0, chain[0]));
  table.Clear();
  EXPECT_EQ(pool.idle_blocks(), 8);
  EXPECT_EQ(pool.LookupPrefix(chain), 0);
}

TEST(PrefixCacheTest, SharedBlocksCountOnceAndFreeWithTheirLastOwner) {
  BlockPool pool(8, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 3);
  BlockTable a = Computed(&pool, chain);
  BlockTable b(&pool);
  ASSERT_EQ(b.Attach(chain), 3);
  ASSERT_TRUE(b.Grow(5 * kBlock));
  EXPECT_EQ(pool.used_blocks(), 5);
  EXPECT_EQ(pool.table_entries(), 8);
  EXPECT_EQ(a.exclusive_blocks(), 0);
  EXPECT_EQ(b.exclusive_blocks(), 2);
  a.Clear();
  EXPECT_EQ(pool.used_blocks(), 5);
  EXPECT_EQ(b.exclusive_blocks(), 5);
}

TEST(PrefixCacheTest, AFilledBlockThatIsAlreadyHeldGivesWay) {
  BlockPool pool(8, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 2);
  BlockTable a(&pool);
  BlockTable b(&pool);
  ASSERT_TRUE(a.Grow(2 * kBlock));
  ASSERT_TRUE(b.Grow(2 * kBlock));
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(a.Publish(i, chain[static_cast<size_t>(i)]));
    EXPECT_TRUE(b.Publish(i, chain[static_cast<size_t>(i)]));
  }
  EXPECT_EQ(Pages(a), Pages(b));
  EXPECT_EQ(pool.used_blocks(), 2);
  EXPECT_EQ(pool.idle_blocks(), 6);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, ARequestOfExactlyAllBlocksRunsInACacheFullOfOthers) {
  BlockPool pool(6, kBlock, Cached());
  Computed(&pool, Chain(1, 3)).Clear();
  Computed(&pool, Chain(2, 3)).Clear();
  ASSERT_EQ(pool.idle_blocks(), 0);
  BlockTable all(&pool);
  EXPECT_TRUE(all.Grow(6 * kBlock));
  EXPECT_FALSE(all.Grow(6 * kBlock + 1));
  EXPECT_EQ(all.size(), 6);
  EXPECT_EQ(pool.evicted_blocks(), 6);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, AnOldPrefixGoesFromItsEndBeforeANewOneIsTouched) {
  BlockPool pool(6, kBlock, Cached());
  const std::vector<BlockHash> old = Chain(1, 3);
  const std::vector<BlockHash> recent = Chain(2, 3);
  Computed(&pool, old).Clear();
  Computed(&pool, recent).Clear();
  BlockTable other(&pool);
  ASSERT_TRUE(other.Grow(2 * kBlock));
  EXPECT_EQ(pool.LookupPrefix(old), 1);
  EXPECT_EQ(pool.LookupPrefix(recent), 3);
}

TEST(PrefixCacheTest, WhatIsDearOrOftenHitStaysLonger) {
  BlockPool pool(4, kBlock, Cached());
  const std::vector<BlockHash> dear = Chain(1, 1);
  const std::vector<BlockHash> often = Chain(2, 1);
  const std::vector<BlockHash> plain = Chain(3, 2);
  Computed(&pool, dear, 1'000).Clear();
  Computed(&pool, often, 100).Clear();
  for (int i = 0; i < 9; ++i) {
    Computed(&pool, often, 100).Clear();
  }
  Computed(&pool, plain, 100).Clear();
  BlockTable other(&pool);
  ASSERT_TRUE(other.Grow(2 * kBlock));
  EXPECT_EQ(pool.LookupPrefix(plain), 0);  // the newest, and yet the least
  EXPECT_EQ(pool.LookupPrefix(dear), 1);
  EXPECT_EQ(pool.LookupPrefix(often), 1);
}

TEST(PrefixCacheTest, WhatIsNeverHitAgesHoweverDear) {
  BlockPool pool(2, kBlock, Cached());
  const std::vector<BlockHash> dear = Chain(1, 1);
  Computed(&pool, dear, 1'024).Clear();
  int32_t others = 0;
  while (pool.LookupPrefix(dear) == 1 && others < 100) {
    Computed(&pool, Chain(2 + others, 1), 64).Clear();
    ++others;
  }
  // The clock gains 64 with each of the others.
  EXPECT_GE(others, 15);
  EXPECT_LE(others, 18);
}

TEST(PrefixCacheTest, AForkSharesFullBlocksAndWritesApart) {
  BlockPool pool(8, kBlock, Cached());
  BlockTable parent(&pool);
  ASSERT_TRUE(parent.Grow(2 * kBlock + 3));
  BlockTable child = parent.Fork(2 * kBlock + 3);
  EXPECT_EQ(child.size(), 2);
  EXPECT_EQ(pool.used_blocks(), 3);
  EXPECT_EQ(parent.exclusive_blocks(), 1);
  std::optional<PageCopy> copy;
  ASSERT_TRUE(child.MakeWritable(1, &copy));
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->from, parent.blocks()[1]);
  EXPECT_EQ(copy->to, child.blocks()[1]);
  ASSERT_TRUE(child.MakeWritable(1, &copy));
  EXPECT_FALSE(copy.has_value());
  EXPECT_EQ(pool.used_blocks(), 4);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, AWriteIntoAFullPoolFailsOnlyWhereOthersLook) {
  BlockPool pool(3, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 3);
  BlockTable table = Computed(&pool, chain);
  BlockTable other = table.Fork(3 * kBlock);
  std::optional<PageCopy> copy;
  EXPECT_FALSE(table.MakeWritable(2, &copy));
  EXPECT_EQ(pool.LookupPrefix(chain), 3);
  other.Clear();
  EXPECT_TRUE(table.MakeWritable(2, &copy));
  EXPECT_FALSE(copy.has_value());
  EXPECT_EQ(pool.LookupPrefix(chain), 2);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, RejectedDraftsGiveTheirBlocksBack) {
  BlockPool pool(8, kBlock, Cached());
  BlockTable table(&pool);
  ASSERT_TRUE(table.Grow(17));
  table.Truncate(9);
  EXPECT_EQ(table.size(), 3);
  table.Truncate(8);
  EXPECT_EQ(table.size(), 2);
  table.Truncate(100);
  EXPECT_EQ(table.size(), 2);
  EXPECT_EQ(pool.free_blocks(), 6);
}

TEST(PrefixCacheTest, PinsHoldUntilTheyEndAndGiveWayLast) {
  BlockPool pool(4, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 2);
  Computed(&pool, chain).Clear();
  EXPECT_EQ(pool.Pin(chain, "a", TimePoint(100)), 2);
  EXPECT_EQ(pool.pinned_blocks(), 2);
  EXPECT_EQ(pool.free_blocks(), 2);
  EXPECT_EQ(pool.free_blocks(true), 4);
  BlockTable table(&pool);
  EXPECT_FALSE(table.Grow(3 * kBlock));
  EXPECT_EQ(pool.LookupPrefix(chain), 2);
  EXPECT_TRUE(table.Grow(3 * kBlock, true));  // the end of the prefix goes, its beginning stays
  EXPECT_EQ(pool.LookupPrefix(chain), 1);
  EXPECT_EQ(pool.TenantPins("a"), 1);
  EXPECT_EQ(pool.ExpirePins(TimePoint(99)), 0);
  EXPECT_EQ(pool.ExpirePins(TimePoint(100)), 1);
  EXPECT_EQ(pool.pinned_blocks(), 0);
  EXPECT_EQ(pool.cached_blocks(), 1);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, ATenantPinsNoMoreThanItsQuota) {
  BlockPool pool(16, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 6);
  Computed(&pool, chain).Clear();
  EXPECT_EQ(pool.Pin(chain, "a", TimePoint(100)), 4);
  EXPECT_EQ(pool.Pin(chain, "a", TimePoint(50)), 4);   // prolongs nothing, costs nothing
  EXPECT_EQ(pool.Pin(chain, "b", TimePoint(200)), 6);  // pays for the two that are new
  EXPECT_EQ(pool.TenantPins("a"), 4);
  EXPECT_EQ(pool.TenantPins("b"), 2);
  EXPECT_EQ(pool.ExpirePins(TimePoint(199)), 0);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, ALostPageTakesWhatFollowsItOutOfTheIndex) {
  BlockPool pool(8, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 4);
  BlockTable table = Computed(&pool, chain);
  BlockTable early(&pool);
  ASSERT_EQ(early.Attach(absl::MakeConstSpan(chain).first(1)), 1);
  const uint32_t lost = table.blocks()[1];
  EXPECT_EQ(pool.LoseBlocks({lost}), 1);
  EXPECT_EQ(pool.num_blocks(), 7);
  EXPECT_EQ(pool.LookupPrefix(chain), 1);
  EXPECT_EQ(table.FirstLost(), 1);
  EXPECT_EQ(early.FirstLost(), 1);  // all that it has
  pool.RepairBlocks({lost});        // while a table still holds the lost one
  EXPECT_EQ(pool.bad_blocks(), 1);
  table.Truncate(table.FirstLost() * kBlock);
  EXPECT_EQ(pool.bad_blocks(), 0);
  EXPECT_EQ(pool.free_blocks(), 7);
  ASSERT_TRUE(table.Grow(4 * kBlock));
  EXPECT_TRUE(table.Publish(1, chain[1]));
  EXPECT_EQ(pool.LookupPrefix(chain), 2);
  pool.CheckInvariants();
}

TEST(PrefixCacheTest, LostPagesAreNeverTaken) {
  BlockPool pool(4, kBlock, Cached());
  EXPECT_EQ(pool.LoseBlocks({3, 1, 3}), 2);
  BlockTable table(&pool);
  EXPECT_FALSE(table.Grow(3 * kBlock));
  ASSERT_TRUE(table.Grow(2 * kBlock));
  EXPECT_EQ(Pages(table), (std::vector<uint32_t>{0, 2}));
  pool.RepairBlocks({1, 3});
  EXPECT_TRUE(table.Grow(4 * kBlock));
  pool.CheckInvariants();
}

TEST(PrefixCacheDeathTest, APublishedBlockHasOneHash) {
  BlockPool pool(4, kBlock, Cached());
  const std::vector<BlockHash> chain = Chain(1, 1);
  BlockTable table = Computed(&pool, chain);
  EXPECT_DEATH(table.Publish(0, Chain(2, 1)[0]), "CHECK failed");
}

TEST(PrefixCacheDeathTest, ABlockThatOthersBuildOnIsNotWritten) {
  BlockPool pool(4, kBlock, Cached());
  BlockTable table = Computed(&pool, Chain(1, 2));
  std::optional<PageCopy> copy;
  EXPECT_DEATH({ (void)table.MakeWritable(0, &copy); }, "CHECK failed");
}

}  // namespace
}  // namespace scoville::device
