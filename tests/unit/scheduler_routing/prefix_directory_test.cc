#include "scheduler/routing/prefix_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "tests/reference/routing/reference_router.h"
#include "tests/reference/routing/toy_pool.h"

namespace scoville::scheduler {
namespace {

using device::BlockHash;
using tests::ToyPool;
using tests::ToyRequest;

// What the directory keeps of a prompt: its first block and those whose hash says so.
bool Kept(const std::vector<BlockHash>& prompt, int64_t i) {
  return i == 0 || prompt[static_cast<size_t>(i)].low % PrefixDirectory::kSampling == 0;
}

std::vector<PrefixDirectory::Hit> Ask(const PrefixDirectory& directory,
                                      const std::vector<BlockHash>& prompt, int32_t k,
                                      uint64_t turn = 0) {
  std::vector<PrefixDirectory::Hit> hits;
  directory.Longest(
      prompt, k, turn, [](int32_t) { return true; }, [](int32_t a, int32_t b) { return a < b; },
      &hits);
  return hits;
}

// Devices that store and drop ends of the prompts of some groups, as prefix-closed pools do.
TEST(PrefixDirectoryTest, FindsTheLongestHitsThatAWalkOfEverythingFinds) {
  int64_t with_hits = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    uint64_t draws = 0;
    const auto below = [&](int64_t n) {
      return static_cast<int64_t>(RandomBelow(seed, 3, draws++, static_cast<uint64_t>(n)));
    };
    const int32_t devices = 1 + static_cast<int32_t>(below(40));
    constexpr int64_t kGroups = 3;
    std::vector<std::vector<BlockHash>> prompts;
    for (int64_t g = 0; g < kGroups; ++g) {
      const int64_t blocks = 1 + below(200);
      prompts.push_back(
          ToyPool::HashesOf(ToyRequest{1, static_cast<uint64_t>(g), blocks, blocks, 1}));
    }
    PrefixDirectory directory(devices, 1 << 20);
    tests::ReferenceDirectory reference(devices);
    std::vector<std::vector<int64_t>> held(static_cast<size_t>(devices),
                                           std::vector<int64_t>(kGroups, 0));
    for (int step = 0; step < 200; ++step) {
      const int32_t device = static_cast<int32_t>(below(devices));
      const size_t g = static_cast<size_t>(below(kGroups));
      const std::vector<BlockHash>& prompt = prompts[g];
      int64_t& blocks = held[static_cast<size_t>(device)][g];
      const int64_t wanted = below(static_cast<int64_t>(prompt.size()) + 1);
      for (; blocks < wanted; ++blocks) {
        const size_t b = static_cast<size_t>(blocks);
        directory.OnStored(device, prompt[b], b == 0 ? BlockHash{} : prompt[b - 1]);
        reference.OnStored(device, prompt[b]);
      }
      for (; blocks > wanted; --blocks) {
        directory.OnRemoved(device, prompt[static_cast<size_t>(blocks - 1)]);
        reference.OnRemoved(device, prompt[static_cast<size_t>(blocks - 1)]);
      }
      const int32_t k = 1 + static_cast<int32_t>(below(10));
      const auto hits = Ask(directory, prompt, k);
      std::vector<PrefixDirectory::Hit> wanted_hits;
      const std::vector<int64_t> all =
          reference.Hits(prompt, [&](int64_t i) { return Kept(prompt, i); });
      for (int32_t d = 0; d < devices; ++d) {
        if (all[static_cast<size_t>(d)] > 0) {
          wanted_hits.push_back({d, all[static_cast<size_t>(d)]});
        }
      }
      std::stable_sort(wanted_hits.begin(), wanted_hits.end(),
                       [](const auto& a, const auto& b) { return a.blocks > b.blocks; });
      wanted_hits.resize(std::min(wanted_hits.size(), static_cast<size_t>(k)));
      ASSERT_EQ(hits.size(), wanted_hits.size());
      for (size_t i = 0; i < hits.size(); ++i) {
        ASSERT_EQ(hits[i].device, wanted_hits[i].device) << i;
        ASSERT_EQ(hits[i].blocks, wanted_hits[i].blocks) << i;
      }
      with_hits += hits.empty() ? 0 : 1;
      directory.CheckInvariants();
    }
  }
  EXPECT_GT(with_hits, 5000);
}

TEST(PrefixDirectoryTest, IsBoundedAndForgetsTheOldest) {
  PrefixDirectory directory(4, 100);
  for (uint64_t id = 1; id <= 500; ++id) {
    const auto prompt = ToyPool::HashesOf(ToyRequest{id, id, 3, 3, 1});
    for (size_t b = 0; b < prompt.size(); ++b) {
      directory.OnStored(static_cast<int32_t>(id % 4), prompt[b],
                         b == 0 ? BlockHash{} : prompt[b - 1]);
      directory.CheckInvariants();
    }
  }
  EXPECT_LE(directory.pairs(), 100);
  EXPECT_GT(directory.forgotten(), 300);
  const auto old = ToyPool::HashesOf(ToyRequest{1, 1, 3, 3, 1});
  EXPECT_TRUE(Ask(directory, old, 8).empty());
  directory.OnRemoved(1, old[0]);  // nothing to remove, and nobody minds
  const auto recent = ToyPool::HashesOf(ToyRequest{500, 500, 3, 3, 1});
  ASSERT_EQ(Ask(directory, recent, 8).size(), 1u);
  directory.Forget(0);
  directory.CheckInvariants();
  EXPECT_TRUE(Ask(directory, recent, 8).empty());
}

TEST(PrefixDirectoryTest, HoldersWithoutRoomTakeUpNoPlace) {
  PrefixDirectory directory(20, 1000);
  const auto prompt = ToyPool::HashesOf(ToyRequest{1, 1, 1, 1, 1});
  for (int32_t d = 0; d < 20; ++d) {
    directory.OnStored(d, prompt[0], BlockHash{});
  }
  std::vector<PrefixDirectory::Hit> hits;
  directory.Longest(
      prompt, 3, 0, [](int32_t d) { return d % 5 == 0; },
      [](int32_t a, int32_t b) { return a > b; }, &hits);
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_EQ(hits[0].device, 15);
  EXPECT_EQ(hits[1].device, 10);
  EXPECT_EQ(hits[2].device, 5);
}

// A long hit of one device does not hide the short one of another.
TEST(PrefixDirectoryTest, ALongHitHidesNoShortOne) {
  PrefixDirectory directory(3, 10'000);
  const auto prompt = ToyPool::HashesOf(ToyRequest{1, 1, 4000, 4000, 1});
  for (size_t b = 0; b < prompt.size(); ++b) {
    directory.OnStored(0, prompt[b], b == 0 ? BlockHash{} : prompt[b - 1]);
  }
  directory.OnStored(2, prompt[0], BlockHash{});
  const auto hits = Ask(directory, prompt, 8);
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].device, 0);
  EXPECT_GT(hits[0].blocks, 3800);
  EXPECT_EQ(hits[1].device, 2);
  EXPECT_EQ(hits[1].blocks, 1);
}

TEST(PrefixDirectoryTest, ManyHoldersAreLookedAtInTurns) {
  constexpr int32_t kDevices = 2000;
  PrefixDirectory directory(kDevices, 100'000);
  const auto prompt = ToyPool::HashesOf(ToyRequest{1, 1, 1, 1, 1});
  for (int32_t d = 0; d < kDevices; ++d) {
    directory.OnStored(d, prompt[0], BlockHash{});
  }
  EXPECT_EQ(Ask(directory, prompt, 1, 0)[0].device, 0);
  EXPECT_EQ(Ask(directory, prompt, 1, 700)[0].device, 700);
}

}  // namespace
}  // namespace scoville::scheduler
