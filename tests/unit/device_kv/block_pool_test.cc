#include "device/kv/block_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::device {
namespace {

TEST(BlockPoolTest, GrowsByWholeBlocksAndGivesBack) {
  BlockPool pool(4, 16);
  {
    BlockTable table(&pool);
    EXPECT_TRUE(table.Grow(1));
    EXPECT_EQ(table.size(), 1);
    EXPECT_TRUE(table.Grow(16));
    EXPECT_EQ(table.size(), 1);
    EXPECT_TRUE(table.Grow(17));
    EXPECT_EQ(table.size(), 2);
    EXPECT_EQ(pool.free_blocks(), 2);
  }
  EXPECT_EQ(pool.free_blocks(), 4);
  EXPECT_EQ(pool.peak_used_blocks(), 2);
}

TEST(BlockPoolTest, AFullPoolIsAValueAndChangesNothing) {
  BlockPool pool(3, 16);
  BlockTable a(&pool);
  BlockTable b(&pool);
  ASSERT_TRUE(a.Grow(32));
  EXPECT_FALSE(b.Grow(32));
  EXPECT_EQ(b.size(), 0);
  EXPECT_EQ(pool.used_blocks(), 2);
  EXPECT_TRUE(b.Grow(16));  // the very last one can be had
  EXPECT_EQ(pool.free_blocks(), 0);
}

TEST(BlockPoolTest, TablesMoveAndTheSourceOwnsNothing) {
  BlockPool pool(4, 16);
  BlockTable a(&pool);
  ASSERT_TRUE(a.Grow(40));
  const std::vector<uint32_t> blocks(a.blocks().begin(), a.blocks().end());
  BlockTable b = std::move(a);
  EXPECT_EQ(std::vector<uint32_t>(b.blocks().begin(), b.blocks().end()), blocks);
  BlockTable c(&pool);
  ASSERT_TRUE(c.Grow(1));
  c = std::move(b);  // c's own block goes back
  EXPECT_EQ(pool.used_blocks(), 3);
}

TEST(BlockPoolDeathTest, APoolOutlivesItsTables) {
  EXPECT_DEATH(
      {
        BlockTable table;
        BlockPool pool(1, 16);
        BlockTable mine(&pool);
        CHECK(mine.Grow(1));
        table = std::move(mine);
        pool.~BlockPool();
      },
      "CHECK failed");
}

TEST(BlockPoolTest, NoBlockHasTwoOwnersUnderRandomChurn) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    BlockPool pool(64, 4);
    std::vector<BlockTable> tables(12);
    for (int i = 0; i < 2'000; ++i) {
      BlockTable& table = tables[RandomBelow(seed, 0, i, tables.size())];
      if (RandomBelow(seed, 1, i, 3) == 0) {
        table.Clear();
      } else {
        if (table.size() == 0) {
          table = BlockTable(&pool);
        }
        const int64_t tokens = table.size() * 4 + static_cast<int64_t>(RandomBelow(seed, 2, i, 40));
        const int64_t before = table.size();
        if (!table.Grow(tokens)) {
          EXPECT_EQ(table.size(), before);
        }
      }
      std::set<uint32_t> owned;
      int64_t total = 0;
      for (const BlockTable& t : tables) {
        owned.insert(t.blocks().begin(), t.blocks().end());
        total += t.size();
      }
      ASSERT_EQ(static_cast<int64_t>(owned.size()), total) << "seed " << seed;
      ASSERT_EQ(pool.used_blocks(), total);
    }
    pool.CheckInvariants();
  }
}

}  // namespace
}  // namespace scoville::device
