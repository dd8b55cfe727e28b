#include "server/runtime/background_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace scoville::server {
namespace {

using ::testing::ElementsAre;

TEST(BackgroundWorkerTest, RunsJobsInTheirOrder) {
  std::vector<int> ran;
  std::promise<void> done;
  BackgroundWorker worker(Bytes(10));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(worker.Post(Bytes(1), [&ran, i] { ran.push_back(i); }));
  }
  ASSERT_TRUE(worker.Post(Bytes(1), [&done] { done.set_value(); }));
  done.get_future().wait();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

TEST(BackgroundWorkerTest, RefusesBeyondItsBoundAndTakesAgainOnceThereIsRoom) {
  BackgroundWorker worker(Bytes(10));
  std::promise<void> go;
  std::shared_future<void> may_go(go.get_future());
  ASSERT_TRUE(worker.Post(Bytes(6), [may_go] { may_go.wait(); }));
  EXPECT_FALSE(worker.Post(Bytes(5), [] {}));
  EXPECT_TRUE(worker.Post(Bytes(4), [] {}));
  EXPECT_FALSE(worker.Post(Bytes(1), [] {}));
  EXPECT_EQ(worker.waiting(), Bytes(10));
  go.set_value();
  std::promise<void> done;
  while (!worker.Post(Bytes(10), [&done] { done.set_value(); })) {
  }
  done.get_future().wait();
}

TEST(BackgroundWorkerTest, StopWaitsForTheJobThatRunsAndDropsTheRest) {
  BackgroundWorker worker(Bytes(10));
  std::promise<void> started;
  bool ended = false;
  auto held = std::make_shared<int>(0);
  ASSERT_TRUE(worker.Post(Bytes(1), [&] {
    started.set_value();
    // Long enough for Stop to be reached first, most of the time.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ended = true;
  }));
  started.get_future().wait();
  ASSERT_TRUE(worker.Post(Bytes(1), [held] { ++*held; }));
  worker.Stop();
  EXPECT_TRUE(ended);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(*held, 0);
  EXPECT_FALSE(worker.Post(Bytes(1), [] {}));
}

}  // namespace
}  // namespace scoville::server
