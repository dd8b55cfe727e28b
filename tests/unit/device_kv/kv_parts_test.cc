// The parts of the pool by themselves: hashes, index, eviction order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "device/kv/block_descriptors.h"
#include "device/kv/eviction_buckets.h"
#include "device/kv/prefix_hash.h"
#include "device/kv/prefix_index.h"

namespace scoville::device {
namespace {

TEST(PrefixHashTest, EqualPrefixesAndNothingElseShareAHash) {
  const BlockHash root = PrefixRoot(1, "t", "m", "bf16");
  std::vector<int32_t> tokens(40);
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(i * i);
  }
  const std::vector<BlockHash> a = HashBlocks(root, tokens, 8);
  ASSERT_EQ(a.size(), 5u);
  EXPECT_EQ(HashBlocks(root, absl::MakeConstSpan(tokens).first(39), 8).size(), 4u);
  EXPECT_TRUE(NextBlockHash(a[1], absl::MakeConstSpan(tokens).subspan(16, 8)) == a[2]);
  tokens[17] += 1;  // in the third block
  const std::vector<BlockHash> b = HashBlocks(root, tokens, 8);
  EXPECT_TRUE(a[1] == b[1]);
  for (size_t i = 2; i < 5; ++i) {
    EXPECT_FALSE(a[i] == b[i]);
  }
}

TEST(PrefixHashTest, TheRootKeepsTenantsModelsAndFormatsApart) {
  std::set<BlockHash> roots;
  for (uint64_t secret : {1, 2}) {
    for (const char* tenant : {"", "a", "ab"}) {
      for (const char* model : {"", "b", "bc"}) {
        for (const char* format : {"bf16", "fp8"}) {
          roots.insert(PrefixRoot(secret, tenant, model, format));
        }
      }
    }
  }
  EXPECT_EQ(roots.size(), 36u);
}

TEST(PrefixHashTest, LargeBlocksAreHashedWhole) {
  std::vector<int32_t> tokens(1'000, 5);
  const BlockHash a = NextBlockHash(BlockHash(), tokens);
  tokens.back() = 6;
  EXPECT_FALSE(NextBlockHash(BlockHash(), tokens) == a);
}

TEST(PrefixHashTest, TheHashIsTheSameOnEveryMachine) {
  const BlockHash root = PrefixRoot(42, "tenant", "model", "bf16");
  const BlockHash hash = NextBlockHash(root, {1, 2, 3, 4});
  // XXH3-128 as this class feeds it; a change orphans every stored or exchanged hash.
  EXPECT_EQ(hash.high, 0x25E5210783413D40u);
  EXPECT_EQ(hash.low, 0x8AC42142D88A0FAAu);
}

TEST(PrefixIndexTest, AgreesWithASetUnderChurnAndCollisions) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BlockDescriptors blocks;
    PrefixIndex index(&blocks, 200);
    std::set<uint32_t> in;
    for (uint32_t i = 0; i < 200; ++i) {
      // Few homes, so that probing is long and removal has something to mend.
      const uint64_t home = RandomBelow(seed, 0, i, 16);
      blocks.set_hash(blocks.Add(), BlockHash{i, home | (RandomBelow(seed, 1, i, 2) << 32)});
    }
    for (uint64_t i = 0; i < 3'000; ++i) {
      const uint32_t block = static_cast<uint32_t>(RandomBelow(seed, 2, i, 200));
      if (in.erase(block) > 0) {
        index.Erase(block);
      } else {
        in.insert(block);
        index.Insert(block);
      }
      ASSERT_LE(2 * index.size(), index.capacity());
      const uint32_t asked = static_cast<uint32_t>(RandomBelow(seed, 3, i, 200));
      ASSERT_EQ(index.Find(blocks.hash(asked)), in.count(asked) > 0 ? asked : kNoBlock)
          << "seed " << seed << ", operation " << i;
    }
    EXPECT_LE(index.capacity(), 512);
  }
}

TEST(PrefixIndexTest, GallopingFindsEveryLength) {
  BlockDescriptors blocks;
  PrefixIndex index(&blocks, 100);
  std::vector<BlockHash> chain;
  for (uint64_t i = 0; i < 100; ++i) {
    chain.push_back(BlockHash{i, i * 7'919});
  }
  for (int64_t held = 0; held <= 100; ++held) {
    for (size_t asked = 0; asked <= 100; ++asked) {
      ASSERT_EQ(index.FindPrefix(absl::MakeConstSpan(chain).first(asked)),
                std::min(held, static_cast<int64_t>(asked)));
    }
    if (held < 100) {
      const uint32_t block = blocks.Add();
      blocks.set_hash(block, chain[static_cast<size_t>(held)]);
      index.Insert(block);
    }
  }
}

TEST(EvictionBucketsTest, CostsKeepNineBits) {
  for (int64_t cost : {int64_t{1}, int64_t{3}, int64_t{255}, int64_t{511}, int64_t{123'456},
                       int64_t{1} << 39, int64_t{1} << 40}) {
    const int64_t back = ExpandCost(CompressCost(cost));
    EXPECT_LE(back, cost);
    EXPECT_GE(back, cost - cost / 256);
  }
  EXPECT_EQ(ExpandCost(CompressCost(0)), 1);
  EXPECT_EQ(ExpandCost(CompressCost(INT64_MAX)), int64_t{1} << 40);
}

TEST(EvictionBucketsTest, TheClockDoesNotOverflow) {
  BlockDescriptors blocks;
  EvictionBuckets waiting(&blocks, 4);
  for (int i = 0; i < 4; ++i) {
    waiting.Start(blocks.Add(), int64_t{1} << 40);
  }
  for (uint32_t b = 0; b < 4; ++b) {
    for (int hit = 0; hit < 300; ++hit) {
      waiting.Touch(b);
    }
    blocks.standing(b).floor = 62;  // the clock moves by 2^62 at a time
    waiting.Push(b);
  }
  uint32_t expected = 0;
  for (int i = 0; i < 100; ++i) {
    const uint32_t block = waiting.PopFront();
    ASSERT_EQ(block, expected);
    expected = (expected + 1) % 4;
    waiting.Push(block);
    waiting.CheckInvariants();
  }
}

TEST(EvictionBucketsTest, HitsAreForgottenWithTheTurnovers) {
  BlockDescriptors blocks;
  EvictionBuckets waiting(&blocks, 1);
  const uint32_t hot = blocks.Add();
  const uint32_t other = blocks.Add();
  waiting.Start(hot, 1);
  waiting.Start(other, 1);
  for (int hit = 0; hit < 15; ++hit) {
    waiting.Touch(hot);
  }
  std::vector<int> buckets;
  for (int turnover = 0; turnover < 6; ++turnover) {
    buckets.push_back(waiting.Push(hot));
    waiting.Remove(hot);
    waiting.Push(other);
    waiting.PopFront();
  }
  EXPECT_EQ(buckets, (std::vector<int>{4, 3, 2, 1, 0, 0}));
}

}  // namespace
}  // namespace scoville::device
