#include "server/runtime/thread_compute_pool.h"

#include <gtest/gtest.h>

#include <atomic>
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

// Deployments know nothing of each other's jobs.
TEST(ThreadComputePoolTest, JobsOfSeveralCallersTakeTurnsInTheOrderTheyCame) {
  RealEventLoop loop;
  auto pool = std::make_unique<ThreadComputePool>(&loop, 2);
  std::vector<int> order;
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  std::function<void(int, int)> submit = [&](int caller, int left) {
    pool->Submit(
        [&](Team& team, int lane) {
          if (lane == 0) {
            together = inside.fetch_add(1) > 0 || together;
          }
          team.Barrier();
          if (lane == 0) {
            inside.fetch_sub(1);
          }
        },
        [&, caller, left] {
          order.push_back(caller);
          if (left > 1) {
            submit(caller, left - 1);
          } else if (order.size() == 30) {
            loop.Stop();
          }
        });
  };
  loop.Post([&] {
    for (int caller = 0; caller < 3; ++caller) {
      submit(caller, 10);
    }
  });
  loop.Run();
  ASSERT_EQ(order.size(), 30u);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(order[i], static_cast<int>(i % 3)) << i;
  }
  EXPECT_FALSE(together);
  pool.reset();
}

}  // namespace
}  // namespace scoville::server
