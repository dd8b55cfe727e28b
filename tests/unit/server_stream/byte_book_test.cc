#include "server/stream/byte_book.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace scoville::server {
namespace {

TEST(ByteBookTest, WhatIsBookedIsBoundedAndLetGoOnce) {
  ByteBook book(Bytes(100));
  const TimePoint now(5);
  auto first = book.Take(Bytes(60), now);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(book.Take(Bytes(41), now), nullptr);
  auto second = book.Take(Bytes(40), now);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(book.booked(), Bytes(100));
  std::shared_ptr<void> shared = first;  // of choices
  first.reset();
  EXPECT_EQ(book.booked(), Bytes(100));
  shared.reset();
  EXPECT_EQ(book.booked(), Bytes(40));
  second.reset();
  EXPECT_EQ(book.booked(), Bytes());
  EXPECT_NE(book.Take(Bytes(1000), now), nullptr) << "whatever its size, where nothing waits";
  EXPECT_EQ(book.booked(), Bytes());
}

TEST(ByteBookTest, ZeroIsNoLimit) {
  ByteBook book{Bytes()};
  std::vector<std::shared_ptr<void>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(book.Take(Bytes(1 << 30), TimePoint(i)));
    ASSERT_NE(all.back(), nullptr);
  }
}

TEST(ByteBookTest, TheTimeToComeBackFollowsTheRate) {
  ByteBook book(Bytes(1'000'000));
  TimePoint now;
  std::shared_ptr<void> kept = book.Take(Bytes(900'000), now);
  for (int i = 0; i < 40; ++i) {
    now += Milliseconds(100);
    const auto gone = book.Take(Bytes(100'000), now);  // a megabyte a second
    ASSERT_NE(gone, nullptr);
  }
  const Duration wait = book.RetryAfter(Bytes(1'100'000), now, 7);
  EXPECT_GE(wait, Milliseconds(900));
  EXPECT_LE(wait, Milliseconds(1'600));
}

TEST(ByteBookTest, AnyThreadMayBook) {
  auto book = std::make_unique<ByteBook>(Bytes(1'000));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        const auto booking = book->Take(Bytes(400), TimePoint(i));
        ASSERT_LE(book->booked(), Bytes(1'000));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(book->booked(), Bytes());
  const auto outlives = book->Take(Bytes(1), TimePoint(5'000));
  book.reset();
}

}  // namespace
}  // namespace scoville::server
