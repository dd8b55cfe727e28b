#include "scheduler/forecast/drain_rate.h"

#include <gtest/gtest.h>

namespace scoville::scheduler {
namespace {

TimePoint At(int64_t ms) { return TimePoint(ms * 1'000'000); }

TEST(DrainRateTest, FollowsWhatDrains) {
  DrainRate drain({});
  for (int64_t ms = 10; ms <= 5000; ms += 10) {
    drain.Drained(At(ms), 20);
  }
  EXPECT_NEAR(static_cast<double>(drain.Rate(At(5000))), 2000, 2);
  for (int64_t ms = 5010; ms <= 10'000; ms += 10) {
    drain.Drained(At(ms), 5);
  }
  EXPECT_NEAR(static_cast<double>(drain.Rate(At(10'000))), 500, 10);
}

TEST(DrainRateTest, RatesBelowOneASecondCount) {
  DrainRate drain({});
  for (int64_t s = 4; s <= 100; s += 4) {
    drain.Drained(At(s * 1000), 1);
  }
  const Duration wait = drain.RetryAfter(At(100'000), 5, 1);
  EXPECT_GE(wait, Seconds(20));
  EXPECT_LE(wait, Seconds(26));
}

TEST(DrainRateTest, MonotoneInTheQueueWithinItsBoundsAndSpread) {
  DrainRate drain({});
  drain.Drained(At(1000), 800);
  Duration least = Seconds(1000);
  Duration most;
  for (uint64_t id = 1; id <= 200; ++id) {
    Duration before;
    for (int64_t deficit = 0; deficit < 100'000; deficit += 97) {
      const Duration wait = drain.RetryAfter(At(1000), deficit, id);
      ASSERT_GE(wait, before) << "id " << id << " deficit " << deficit;
      ASSERT_GE(wait, Milliseconds(10));
      ASSERT_LE(wait, Seconds(75));
      before = wait;
    }
    const Duration ten_seconds = drain.RetryAfter(At(1000), 8000, id);
    least = std::min(least, ten_seconds);
    most = std::max(most, ten_seconds);
  }
  EXPECT_GE(least, Seconds(10));
  EXPECT_LE(most, Milliseconds(12'500));
  EXPECT_GT(most - least, Seconds(2));
}

TEST(DrainRateTest, AQueueThatStandsMakesTheWaitGrow) {
  DrainRate drain({});
  for (int64_t ms = 10; ms <= 1000; ms += 10) {
    drain.Drained(At(ms), 10);
  }
  Duration before = drain.RetryAfter(At(1000), 100, 7);
  for (int64_t ms = 3000; ms <= 9000; ms += 1000) {
    const Duration wait = drain.RetryAfter(At(ms), 100, 7);
    EXPECT_GE(wait, before);
    before = wait;
  }
  EXPECT_GT(before, drain.RetryAfter(At(1000), 100, 7) * 5);
}

TEST(DrainRateTest, IdleTimeSaysNothing) {
  DrainRate drain({});
  for (int64_t ms = 10; ms <= 1000; ms += 10) {
    drain.Drained(At(ms), 10);
  }
  const int64_t rate = drain.Rate(At(1000));
  drain.Idle(At(600'000));
  EXPECT_EQ(drain.Rate(At(600'100)), rate);
}

TEST(DrainRateTest, TheFirstRateHoldsUntilSomethingIsMeasured) {
  const DrainRate drain({});
  EXPECT_EQ(drain.Rate(At(60'000)), DrainOptions{}.first_rate);
}

}  // namespace
}  // namespace scoville::scheduler
