#include "server/stream/spsc_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace scoville::server {
namespace {

TEST(SpscQueueTest, KeepsOrderAcrossBlocks) {
  SpscQueue<int, 4> queue;
  int next = 0;
  int expected = 0;
  int got = 0;
  EXPECT_FALSE(queue.Pop(&got));
  // Fill levels that end before, at and behind the edge of a block.
  for (int fill = 1; fill <= 13; ++fill) {
    for (int i = 0; i < fill; ++i) queue.Push(next++);
    EXPECT_EQ(queue.size(), static_cast<size_t>(fill));
    while (queue.Pop(&got)) ASSERT_EQ(got, expected++);
    EXPECT_EQ(queue.size(), 0u);
  }
  EXPECT_EQ(expected, next);
}

TEST(SpscQueueTest, FreesWhatIsLeft) {
  auto item = std::make_shared<int>(7);
  {
    SpscQueue<std::shared_ptr<int>, 4> queue;
    for (int i = 0; i < 10; ++i) queue.Push(item);
    std::shared_ptr<int> got;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.Pop(&got));
  }
  EXPECT_EQ(item.use_count(), 1);
}

TEST(SpscQueueTest, TwoThreadsSeeEveryItemOnceInOrder) {
  constexpr int kItems = 200'000;
  SpscQueue<std::unique_ptr<int>, 8> queue;
  std::thread producer([&] {
    for (int i = 0; i < kItems; ++i) queue.Push(std::make_unique<int>(i));
  });
  std::unique_ptr<int> got;
  for (int expected = 0; expected < kItems;) {
    if (queue.Pop(&got)) {
      ASSERT_EQ(*got, expected++);
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_FALSE(queue.Pop(&got));
}

}  // namespace
}  // namespace scoville::server
