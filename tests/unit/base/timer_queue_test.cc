#include "base/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "base/simulated_event_loop.h"

namespace scoville {
namespace {

TEST(TimerQueueTest, EqualTimesRunByClassThenIdThenSequence) {
  SimulatedEventLoop loop;
  std::string order;
  const TimePoint t(100);
  loop.RunAt(t, EventClass::kPlan, 1, [&] { order += "p"; });
  loop.RunAt(t, EventClass::kArrival, 9, [&] { order += "b"; });
  loop.RunAt(t, EventClass::kArrival, 2, [&] { order += "a"; });
  loop.RunAt(t, EventClass::kArrival, 9, [&] { order += "c"; });
  loop.RunAt(TimePoint(99), EventClass::kEnd, 0, [&] { order += "0"; });
  loop.Run();
  EXPECT_EQ(order, "0abcp");
  EXPECT_EQ(loop.Now(), t);
}

TEST(TimerQueueTest, CancelledEventsNeverRunAndStaleIdsAreHarmless) {
  SimulatedEventLoop loop;
  int runs = 0;
  const TimerId a = loop.RunAt(TimePoint(1), EventClass::kTimer, 1, [&] { ++runs; });
  EXPECT_TRUE(loop.Cancel(a));
  EXPECT_FALSE(loop.Cancel(a));
  const TimerId b =
      loop.RunAt(TimePoint(2), EventClass::kTimer, 1, [&] { ++runs; });  // reuses the slot
  EXPECT_FALSE(loop.Cancel(a));
  loop.Run();
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(loop.Cancel(b));
  EXPECT_FALSE(loop.Cancel(TimerId{}));
}

TEST(TimerQueueTest, AgreesWithASortedListUnderRandomPushesAndCancels) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    TimerQueue queue;
    using Entry = std::tuple<int64_t, int, uint64_t, int>;
    std::vector<Entry> expected;
    std::vector<TimerId> ids;
    std::vector<int> ran;
    for (int i = 0; i < 500; ++i) {
      const int64_t when = static_cast<int64_t>(RandomBelow(seed, 0, i, 50));
      const int event_class = static_cast<int>(RandomBelow(seed, 1, i, 13));
      const uint64_t id = RandomBelow(seed, 2, i, 5);
      ids.push_back(queue.Push(TimePoint(when), static_cast<EventClass>(event_class), id,
                               [&ran, i] { ran.push_back(i); }));
      expected.emplace_back(when, event_class, id, i);
      if (RandomBelow(seed, 3, i, 3) == 0) {
        const size_t victim = RandomBelow(seed, 4, i, ids.size());
        const bool cancelled = queue.Cancel(ids[victim]);
        const auto it = std::find_if(expected.begin(), expected.end(), [&](const Entry& e) {
          return std::get<3>(e) == static_cast<int>(victim);
        });
        EXPECT_EQ(cancelled, it != expected.end());
        if (it != expected.end()) {
          expected.erase(it);
        }
      }
    }
    std::sort(expected.begin(), expected.end());
    while (!queue.empty()) {
      queue.RunNext();
    }
    ASSERT_EQ(ran.size(), expected.size());
    for (size_t i = 0; i < ran.size(); ++i) {
      EXPECT_EQ(ran[i], std::get<3>(expected[i])) << "seed " << seed;
    }
  }
}

TEST(TimerQueueDeathTest, AnInstantMustEnd) {
  SimulatedEventLoop loop;
  loop.RunAt(TimePoint(1), EventClass::kPlan, 1,
             [&] { loop.RunAt(TimePoint(1), EventClass::kPlan, 2, [] {}); });
  EXPECT_DEATH(loop.Run(), "CHECK failed");
}

TEST(SimulatedEventLoopTest, RunUntilStopsAtTheGivenInstant) {
  SimulatedEventLoop loop;
  int runs = 0;
  loop.RunAt(TimePoint(10), EventClass::kTimer, 0, [&] { ++runs; });
  loop.RunAt(TimePoint(11), EventClass::kTimer, 0, [&] { ++runs; });
  loop.RunUntil(TimePoint(10));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(loop.Now(), TimePoint(10));
  EXPECT_EQ(loop.pending(), 1u);
}

}  // namespace
}  // namespace scoville
