#include "scheduler/routing/load_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

TEST(LoadHeapTest, WalksAsASortedListWould) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    uint64_t draws = 0;
    const auto below = [&](uint64_t n) { return RandomBelow(seed, 2, draws++, n); };
    int32_t devices = 1 + static_cast<int32_t>(below(100));
    LoadHeap heap(devices);
    std::map<int32_t, LoadKey> there;
    for (int step = 0; step < 300; ++step) {
      if (below(20) == 0) {
        heap.AddDevice();
        EXPECT_FALSE(heap.Contains(devices));
        ++devices;
      }
      const int32_t device = static_cast<int32_t>(below(static_cast<uint64_t>(devices)));
      if (below(3) == 0) {
        heap.Erase(device);
        there.erase(device);
      } else {
        const LoadKey key{static_cast<int64_t>(below(3)), static_cast<int64_t>(below(4)),
                          static_cast<int64_t>(below(5)), below(3), device};
        heap.Set(key);
        there[device] = key;
      }
      heap.CheckInvariants();
      std::vector<LoadKey> sorted;
      for (const auto& [id, key] : there) {
        sorted.push_back(key);
      }
      std::sort(sorted.begin(), sorted.end());
      const size_t stop = below(sorted.size() + 2);
      std::vector<LoadKey> walked;
      const bool done = heap.Walk(stop, [&](const LoadKey& key) {
        walked.push_back(key);
        return true;
      });
      EXPECT_EQ(done, stop >= sorted.size());
      sorted.resize(std::min(stop, sorted.size()));
      ASSERT_EQ(walked, sorted);
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
