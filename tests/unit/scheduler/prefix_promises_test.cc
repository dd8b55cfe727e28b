#include "scheduler/core/prefix_promises.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

using device::BlockHash;
using testing::ElementsAre;
using testing::IsEmpty;

// Of a prompt whose first `shared` tokens of `blocks` x 4 are those of every other.
std::vector<BlockHash> Chain(int32_t name, int64_t shared, int64_t blocks) {
  std::vector<int32_t> tokens(static_cast<size_t>(blocks * 4), 7);
  for (size_t i = static_cast<size_t>(shared * 4); i < tokens.size(); ++i) {
    tokens[i] = name;
  }
  return device::HashBlocks(device::PrefixRoot(1, "t", "m", ""), tokens, 4);
}

TEST(PrefixPromisesTest, TheFirstWhoComesLeads) {
  PrefixPromises promises;
  const auto a = Chain(1, 10, 15);
  const auto b = Chain(2, 10, 20);
  EXPECT_TRUE(promises.empty());
  promises.Promise(0, 5, a);
  promises.Promise(0, 6, b);
  EXPECT_EQ(promises.size(), 15 + 10);
  EXPECT_EQ(promises.Leader(0, b[9]), 5u);
  EXPECT_EQ(promises.Leader(0, b[10]), 6u);
  EXPECT_EQ(promises.Leader(1, b[9]), 0u);
  const auto c = Chain(3, 12, 20);  // shares ten with both
  EXPECT_EQ(promises.Reach(0, c, 0), 10);
  EXPECT_EQ(promises.Reach(0, c, 9), 10);
  EXPECT_EQ(promises.Reach(0, c, 10), 0);
  EXPECT_EQ(promises.Reach(0, a, 0), 15);
  EXPECT_EQ(promises.Reach(0, a, 15), 0);
  EXPECT_EQ(promises.Reach(1, a, 0), 0);
  promises.Promise(1, 7, c);
  EXPECT_THAT(promises.Devices(a[0]), ElementsAre(0, 1));
  EXPECT_THAT(promises.Devices(a[14]), ElementsAre(0));
}

TEST(PrefixPromisesTest, EveryoneWithdrawsHisOwn) {
  PrefixPromises promises;
  const auto a = Chain(1, 10, 15);
  promises.Promise(0, 5, a);
  promises.Withdraw(0, 6, a);
  promises.Withdraw(1, 5, a);
  EXPECT_EQ(promises.size(), 15);
  promises.Withdraw(0, 5, absl::MakeConstSpan(a).first(3));
  EXPECT_EQ(promises.size(), 12);
  EXPECT_EQ(promises.Reach(0, a, 0), 0);
  EXPECT_EQ(promises.Reach(0, a, 3), 15);
  promises.Withdraw(0, 5, a);
  EXPECT_TRUE(promises.empty());
  EXPECT_THAT(promises.Devices(a[7]), IsEmpty());
}

// Against a plain map, over random calls.
TEST(PrefixPromisesTest, EqualsAMap) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    uint64_t draws = 0;
    const auto below = [&](uint64_t n) { return RandomBelow(seed, 0, draws++, n); };
    PrefixPromises promises;
    std::map<std::pair<int32_t, std::pair<uint64_t, uint64_t>>, uint64_t> reference;
    std::vector<std::vector<BlockHash>> chains;
    for (int32_t i = 0; i < 6; ++i) {
      chains.push_back(
          Chain(i, static_cast<int64_t>(below(20)), 20 + static_cast<int64_t>(below(20))));
    }
    for (int call = 0; call < 300; ++call) {
      const auto device = static_cast<int32_t>(below(3));
      const uint64_t leader = 1 + below(5);
      const auto& chain = chains[below(chains.size())];
      const size_t from = below(chain.size());
      const auto part = absl::MakeConstSpan(chain).subspan(from, below(chain.size() - from + 1));
      const bool promise = below(2) == 0;
      promise ? promises.Promise(device, leader, part) : promises.Withdraw(device, leader, part);
      for (const BlockHash& hash : part) {
        const std::pair key(device, std::pair(hash.high, hash.low));
        if (promise) {
          reference.emplace(key, leader);
        } else if (const auto it = reference.find(key);
                   it != reference.end() && it->second == leader) {
          reference.erase(it);
        }
      }
      ASSERT_EQ(promises.size(), static_cast<int64_t>(reference.size()));
      const auto led = [&](int64_t i) {
        const BlockHash& hash = chain[static_cast<size_t>(i)];
        const auto it = reference.find({device, {hash.high, hash.low}});
        return it == reference.end() ? 0 : it->second;
      };
      for (int64_t i = 0; i < static_cast<int64_t>(chain.size()); ++i) {
        ASSERT_EQ(promises.Leader(device, chain[static_cast<size_t>(i)]), led(i));
      }
      // Gaps may hide what lies behind them, but what is found is there.
      const auto start = static_cast<int64_t>(below(chain.size()));
      const int64_t reach = promises.Reach(device, chain, start);
      ASSERT_EQ(reach > 0, led(start) != 0);
      if (reach > 0) {
        ASSERT_GT(reach, start);
        ASSERT_NE(led(reach - 1), 0u);
        ASSERT_TRUE(reach == static_cast<int64_t>(chain.size()) || led(reach) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
