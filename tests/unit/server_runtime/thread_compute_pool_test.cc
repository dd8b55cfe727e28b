#include "server/runtime/thread_compute_pool.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

namespace scoville::server {
namespace {

// Lanes add up what the others wrote before the barrier; any tear or early release shows in the
// sums.
TEST(ThreadComputePoolTest, BarriersOrderTheLanesOverManyJobs) {
  for (int lanes : {1, 2, 3}) {
    RealEventLoop loop;
    auto pool = std::make_unique<ThreadComputePool>(&loop, lanes);
    std::vector<int64_t> cells(lanes, 0);
    std::vector<int64_t> sums(lanes, 0);
    int jobs = 0;
    constexpr int kJobs = 50;
    constexpr int kPhases = 100;
    std::function<void()> submit = [&] {
      pool->Submit(
          [&](Team& team, int lane) {
            for (int phase = 0; phase < kPhases; ++phase) {
              cells[lane] += lane + 1;
              team.Barrier();
              int64_t sum = 0;
              for (int64_t cell : cells) sum += cell;
              sums[lane] = sum;
              team.Barrier();
            }
          },
          [&] {
            if (++jobs == kJobs) {
              loop.Stop();
            } else {
              submit();
            }
          });
    };
    loop.Post([&] { submit(); });
    loop.Run();
    const int64_t expected = int64_t{kJobs} * kPhases * lanes * (lanes + 1) / 2;
    for (int64_t sum : sums) EXPECT_EQ(sum, expected) << lanes << " lanes";
    pool.reset();
  }
}

}  // namespace
}  // namespace scoville::server
