#include "server/runtime/real_event_loop.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace scoville::server {
namespace {

TEST(RealEventLoopTest, RunsWhatIsDueInOrderAndNotBefore) {
  RealEventLoop loop;
  std::string order;
  TimePoint ran;
  loop.RunAt(TimePoint() + Milliseconds(20), EventClass::kPlan, 1, [&] {
    order += "b";
    ran = loop.RealNow();
    loop.Stop();
  });
  loop.RunAt(TimePoint() + Milliseconds(20), EventClass::kArrival, 1, [&] { order += "a"; });
  loop.Run();
  EXPECT_EQ(order, "ab");
  EXPECT_GE(ran, TimePoint() + Milliseconds(20));
}

TEST(RealEventLoopTest, NowStandsStillWithinATurn) {
  RealEventLoop loop;
  loop.Post([&] {
    const TimePoint before = loop.Now();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(loop.Now(), before);
    loop.Stop();
  });
  loop.Run();
}

TEST(RealEventLoopTest, PostsOfOneThreadKeepTheirOrderAndNoneIsLost) {
  RealEventLoop loop;
  constexpr int kThreads = 4;
  constexpr int kPosts = 5'000;
  std::vector<std::vector<int>> seen(kThreads);
  std::thread engine([&] { loop.Run(); });
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        EXPECT_TRUE(loop.Post([&, t, i] { seen[t].push_back(i); }));
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  loop.Stop();
  engine.join();
  for (const std::vector<int>& posts : seen) {
    ASSERT_EQ(posts.size(), static_cast<size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(posts[i], i);
  }
  EXPECT_FALSE(loop.Post([] {}));
}

TEST(RealEventLoopTest, TheHookRunsAfterEachTurn) {
  RealEventLoop loop;
  std::string order;
  loop.SetTurnHook([&] { order += "|"; });
  loop.Post([&] {
    order += "x";
    loop.RunAt(loop.Now() + Nanoseconds(1), EventClass::kHostResult, 0, [&] {
      order += "y";
      loop.Stop();
    });
  });
  loop.Run();
  EXPECT_EQ(order.substr(0, 3), "xy|");
}

TEST(RealEventLoopTest, AnIdleLoopStillShowsThatItTurns) {
  RealEventLoop loop;
  std::thread engine([&] { loop.Run(); });
  const TimePoint begin = loop.RealNow();
  while (loop.LastTurn() <= begin && loop.RealNow() - begin < Seconds(5)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_GT(loop.LastTurn(), begin);
  loop.Stop();
  engine.join();
}

}  // namespace
}  // namespace scoville::server
