#include "scheduler/queue/queue_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

using testing::HasSubstr;

TEST(QueueLimitsTest, EachOfTheFourBinds) {
  const QueueLoad waiting{4, 100, 1000, Seconds(8)};
  const QueueLoad more{1, 30, 300, Seconds(2)};
  EXPECT_FALSE(FindExcess(waiting, more, {}, 1));
  EXPECT_FALSE(FindExcess(waiting, more, {5, 130, 1300, Seconds(10)}, 1));
  const auto requests = FindExcess(waiting, more, {4, 1, 1, Nanoseconds(1)}, 1);
  ASSERT_TRUE(requests);
  EXPECT_EQ(requests->bound, QueueBound::kRequests);
  EXPECT_EQ(requests->to_leave, 1);
  const auto tokens = FindExcess(waiting, more, {0, 129, 0, Duration()}, 1);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->bound, QueueBound::kTokens);
  EXPECT_EQ(tokens->waiting + tokens->more, 130);
  EXPECT_EQ(tokens->limit, 129);
  EXPECT_EQ(tokens->to_leave, 1);
  const auto bytes = FindExcess(waiting, more, {0, 0, 800, Duration()}, 1);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->bound, QueueBound::kBytes);
  EXPECT_EQ(bytes->to_leave, 2) << "two of 250 bytes for 500";
  const auto time = FindExcess(waiting, more, {0, 0, 0, Seconds(9)}, 1);
  ASSERT_TRUE(time);
  EXPECT_EQ(time->bound, QueueBound::kTime);
  EXPECT_EQ(time->limit, Seconds(9).value());
  EXPECT_FALSE(FindExcess(waiting, more, {0, 0, 0, Seconds(9)}, 2)) << "two share it";
}

TEST(QueueLimitsTest, WhereNothingWaitsOneIsTakenWhateverItsSize) {
  EXPECT_FALSE(FindExcess({}, {1, 1000, 1000, Seconds(1)}, {1, 1, 1, Nanoseconds(1)}, 1));
}

// Against the definition: with as many of the mean size gone as it says there is room, with one
// fewer there is not.
TEST(QueueLimitsTest, SaysHowManyHaveToLeave) {
  for (uint64_t i = 0; i < 2'000; ++i) {
    const auto draw = [&](uint64_t stream, uint64_t most) {
      return 1 + static_cast<int64_t>(RandomBelow(i, stream, 0, most));
    };
    const QueueLoad waiting{draw(0, 50), draw(1, 10'000), 0, Duration()};
    const QueueLoad more{1, draw(2, 300), 0, Duration()};
    const QueueLimits limits{0, draw(3, 10'000), 0, Duration()};
    const auto excess = FindExcess(waiting, more, limits, 1);
    const int64_t sum = waiting.tokens + more.tokens;
    ASSERT_EQ(excess.has_value(), sum > limits.tokens) << i;
    if (!excess) {
      continue;
    }
    const double mean = static_cast<double>(waiting.tokens) / static_cast<double>(waiting.requests);
    const auto left = [&](int64_t gone) {
      return static_cast<double>(sum) - mean * static_cast<double>(gone);
    };
    if (excess->to_leave < waiting.requests) {
      EXPECT_LE(left(excess->to_leave), static_cast<double>(limits.tokens) + 1e-6) << i;
    }
    EXPECT_GT(left(excess->to_leave - 1), static_cast<double>(limits.tokens) - 1e-6) << i;
  }
}

TEST(QueueLimitsTest, ReadsWhatPeopleWrite) {
  const auto limits = ParseQueueLimits(
      {"requests=50", "acme requests=100 tokens=2000000 bytes=64MiB time=30s", "b  time=1.5ms"});
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ(limits->size(), 3u);
  EXPECT_EQ(limits->at(""), (QueueLimits{50, 0, 0, Duration()}));
  EXPECT_EQ(limits->at("acme"), (QueueLimits{100, 2'000'000, 64 << 20, Seconds(30)}));
  EXPECT_EQ(limits->at("b"), (QueueLimits{0, 0, 0, Microseconds(1500)}));
}

TEST(QueueLimitsTest, QuotesWhatItCannotRead) {
  for (const char* text :
       {"", "acme", "acme requests=", "acme requests=0", "acme requests=-1", "a b requests=1",
        "requests=1 a", "acme bytes=5", "acme time=5", "acme sheep=5", "acme requests=1 requests=2",
        "acme tokens=99999999999999999999", "acme time=99999999999s"}) {
    const auto limits = ParseQueueLimits({text});
    EXPECT_FALSE(limits.ok()) << text;
  }
  EXPECT_THAT(ParseQueueLimits({"a sheep=5"}).status().message(), HasSubstr("'sheep=5'"));
  EXPECT_THAT(ParseQueueLimits({"a requests=1", "a time=1s"}).status().message(),
              HasSubstr("names 'a' twice"));
  EXPECT_FALSE(ParseQueueLimits({"requests=1", "requests=2"}).ok());
}

}  // namespace
}  // namespace scoville::scheduler
