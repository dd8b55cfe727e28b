// The queue agrees with queueing theory, as integers: Little's law, and the recursions of Lindley
// and of Kiefer and Wolfowitz over the service times that really were.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "tests/simulation/core_walk.h"

namespace scoville::tests {
namespace {

using scheduler::RequestRecord;

// Poisson arrivals at a core of `devices` that run one request at a time.
void Arrive(Core& core, uint64_t seed, uint64_t requests, double mean_gap_ns) {
  TimePoint at;
  for (uint64_t i = 0; i < requests; ++i) {
    const double u = std::max(RandomUniform(seed, 1, i), 1e-15);
    at += Nanoseconds(static_cast<int64_t>(-std::log(u) * mean_gap_ns));
    core.loop.RunAt(at, EventClass::kArrival, i, [&core, seed, i] {
      ASSERT_FALSE(
          core.scheduler
              ->Submit(core.NewRequest(1 + static_cast<int64_t>(RandomBelow(seed, 2, i, 100)),
                                       1 + static_cast<int64_t>(RandomBelow(seed, 3, i, 40))))
              .refusal);
    });
  }
}

std::vector<RequestRecord> ByArrival(const Core& core) {
  std::vector<RequestRecord> records = core.observer.ended;
  std::sort(records.begin(), records.end(),
            [](const RequestRecord& a, const RequestRecord& b) { return a.id.value < b.id.value; });
  return records;
}

TEST(QueueingTest, LittlesLawHoldsExactlyFromEmptyToEmpty) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    // Batches, several devices and preemptions: the law asks for none of the details.
    Core core({.devices = 2, .kv_blocks = 24, .max_running = 6});
    Arrive(core, seed, 300, 400'000);
    CoreWalk walk(&core);
    walk.Run();
    __int128 sojourns = 0;
    for (const RequestRecord& record : core.observer.ended) {
      sojourns += (record.end - record.arrival).value();
    }
    ASSERT_EQ(core.observer.ended.size(), 300u);
    EXPECT_GT(walk.most_waiting, 0);
    EXPECT_TRUE(walk.in_system_ns == sojourns);
  }
}

// One server is Lindley's case; with k, each request takes the server that is free first.
TEST(QueueingTest, WaitsEqualTheRecursionOfKieferAndWolfowitz) {
  for (int32_t servers : {1, 2, 5}) {
    Core core({.devices = servers, .max_queued_requests = 4'000, .max_running = 1});
    Arrive(core, 40 + static_cast<uint64_t>(servers), 1'500, 14'000'000.0 / servers);
    CoreWalk walk(&core);
    walk.Run();
    const std::vector<RequestRecord> records = ByArrival(core);
    ASSERT_EQ(records.size(), 1'500u);
    std::vector<TimePoint> free_at(static_cast<size_t>(servers));
    int64_t waited = 0;
    for (const RequestRecord& record : records) {
      const auto first = std::min_element(free_at.begin(), free_at.end());
      const TimePoint start = std::max(record.arrival, *first);
      ASSERT_EQ(record.scheduled, start) << "request " << record.id.value;
      waited += start > record.arrival ? 1 : 0;
      *first = record.end;
    }
    // Both kinds of arrivals were there: to a free server, and to a queue.
    EXPECT_GT(waited, 100) << servers;
    EXPECT_LT(waited, 1'400) << servers;
    EXPECT_EQ(walk.idle_beside_waiting, Duration());
  }
}

}  // namespace
}  // namespace scoville::tests
