#include "scheduler/queue/tenant_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

TEST(TenantHeapTest, TheLeastIsOnTopAfterAnyChange) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    uint64_t draw = 0;
    const auto below = [&](uint64_t n) { return RandomBelow(seed, 1, draw++, n); };
    const uint64_t flows = 1 + below(200);
    TenantHeap heap;
    std::map<uint32_t, FlowKey> there;
    for (int i = 0; i < 400; ++i) {
      const auto flow = static_cast<uint32_t>(below(flows));
      if (there.contains(flow) && below(3) == 0) {
        heap.Erase(flow);
        there.erase(flow);
      } else {
        // Few tags, so that due and id decide as well.
        const FlowKey key = {static_cast<int64_t>(below(20)), static_cast<int64_t>(below(3)),
                             static_cast<uint64_t>(i)};
        heap.Set(flow, key);
        there[flow] = key;
      }
      heap.CheckInvariants();
      ASSERT_EQ(heap.size(), there.size());
      ASSERT_EQ(heap.empty(), there.empty());
      std::pair<FlowKey, uint32_t> least = {FlowKey{100, 0, 0}, 0};
      for (const auto& [f, key] : there) {
        least = std::min(least, {key, f});
        ASSERT_TRUE(heap.Of(f).key == key) << "seed " << seed;
      }
      if (!there.empty()) {
        ASSERT_EQ(heap.top().flow, least.second) << "seed " << seed;
      }
      ASSERT_EQ(heap.Contains(flow), there.contains(flow));
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
