#include "scheduler/forecast/overflow_forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "tests/reference/forecast/monte_carlo.h"

namespace scoville::scheduler {
namespace {

OutputLengths Trained(uint64_t seed) {
  OutputLengths lengths({});
  for (uint64_t i = 0; i < 5000; ++i) {
    lengths.Record(0, tests::SkewedLength(RandomBits(seed, 1, i), 5.0, 0.8));
  }
  return lengths;
}

ForecastRow Row(uint64_t seed, uint64_t i) {
  ForecastRow row;
  row.done = static_cast<int64_t>(RandomBelow(seed, 2, i, 200));
  row.known_tokens = row.done + 50 + static_cast<int64_t>(RandomBelow(seed, 3, i, 500));
  row.max_tokens = 1024;
  row.shared_blocks = static_cast<int64_t>(RandomBelow(seed, 4, i, 3));
  row.prefill_steps = i % 3 == 0 ? static_cast<int64_t>(RandomBelow(seed, 5, i, 20)) : 0;
  return row;
}

TEST(NormalQuantileTest, KnownValues) {
  EXPECT_NEAR(static_cast<double>(NormalQuantile(500'000)) / 65536, 0.0, 1e-4);
  EXPECT_NEAR(static_cast<double>(NormalQuantile(50'000)) / 65536, 1.644854, 1e-4);
  EXPECT_NEAR(static_cast<double>(NormalQuantile(1000)) / 65536, 3.090232, 1e-4);
}

// The same sums in real numbers, decided by a square root.
TEST(OverflowForecastTest, DecidesAsTheFormulaDoes) {
  const OutputLengths lengths = Trained(1);
  int admitted = 0;
  int refused = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    OverflowForecast forecast(&lengths, {16, 20'000, 0});
    std::vector<ForecastRow> rows;
    for (uint64_t i = 0; i < 1 + seed % 100; ++i) {
      rows.push_back(Row(seed, i));
      rows.back().strict = i % 7 == 0;
    }
    forecast.Rebuild(rows);
    const ForecastRow candidate = Row(seed, 1000);
    rows.push_back(candidate);
    double now = 0;
    double worst = 0;  // largest of mean + z sd
    for (int h = 0; h < OverflowForecast::kHorizons; ++h) {
      double mean = 0;
      double variance = 0;
      now = 0;
      for (const ForecastRow& row : rows) {
        const double shared = static_cast<double>(row.shared_blocks);
        now += std::ceil(static_cast<double>(row.known_tokens) / 16) - shared;
        const int64_t left = row.max_tokens - row.done;
        if (row.strict) {
          mean += std::ceil(static_cast<double>(row.known_tokens + left) / 16) - shared;
          continue;
        }
        // At the horizon; but where the row certainly ends since the horizon before, at its last
        // moment.
        const auto steps = [&](int horizon) {
          return std::clamp<int64_t>(OverflowForecast::Horizon(horizon) - row.prefill_steps, 0,
                                     left);
        };
        int64_t k = steps(h);
        if (k == left && (h == 0 || steps(h - 1) < left) && left > 0 &&
            (h == 0 || steps(h - 1) != left - 1)) {
          k = left - 1;
        }
        const double s =
            static_cast<double>(lengths.Survival(0, row.done, k, row.max_tokens)) / 65536;
        const double b = std::ceil(static_cast<double>(row.known_tokens + k) / 16) - shared;
        mean += s * b;
        variance += s * (1 - s) * b * b;
      }
      worst = std::max(worst, mean + 2.053749 * std::sqrt(variance));
    }
    const double needed = std::max(now, worst);
    for (const double off : {-2.0, -0.5, 0.5, 2.0, 50.0}) {
      const int64_t capacity = static_cast<int64_t>(std::llround(needed + off));
      if (std::abs(static_cast<double>(capacity) - needed) < 0.2) {
        continue;  // rounding may decide
      }
      const bool wanted = static_cast<double>(capacity) > needed;
      ASSERT_EQ(forecast.Admits(candidate, capacity), wanted)
          << "needed " << needed << " off " << off;
      (wanted ? admitted : refused) += 1;
    }
  }
  EXPECT_GT(admitted, 300);
  EXPECT_GT(refused, 200);
}

TEST(OverflowForecastTest, WhatIsAddedAndRemovedEqualsARebuild) {
  const OutputLengths lengths = Trained(1);
  OverflowForecast moving(&lengths, {});
  OverflowForecast rebuilt(&lengths, {});
  std::vector<ForecastRow> rows;
  for (uint64_t i = 0; i < 200; ++i) {
    if (i % 3 == 2) {
      moving.Remove(moving.Of(rows.front()));
      rows.erase(rows.begin());
    } else {
      rows.push_back(Row(9, i));
      rows.back().strict = i % 5 == 0;
      moving.Add(moving.Of(rows.back()));
    }
    rebuilt.Rebuild(rows);
    EXPECT_EQ(moving.sums().mean, rebuilt.sums().mean);
    EXPECT_EQ(moving.sums().variance, rebuilt.sums().variance);
    EXPECT_EQ(moving.sums().now, rebuilt.sums().now);
    EXPECT_EQ(moving.sums().strict, rebuilt.sums().strict);
  }
}

// Admitted by the strict rule, the worst case happens: every output runs to its limit.
TEST(OverflowForecastTest, StrictRowsNeverOverflow) {
  const OutputLengths lengths = Trained(1);
  for (const bool by_epsilon : {true, false}) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      OverflowForecast forecast(&lengths, {16, by_epsilon ? 0 : 500'000, 3277});
      const int64_t capacity = 200 + static_cast<int64_t>(RandomBelow(seed, 8, 0, 2000));
      int64_t to_completion = 0;
      for (uint64_t i = 0; i < 200; ++i) {
        ForecastRow row = Row(seed, i);
        // Others come and go between, as bold as may be.
        row.strict = by_epsilon || i % 2 == 0;
        const OverflowForecast::Demand demand = forecast.Of(row);
        if (forecast.Admits(demand, capacity)) {
          forecast.Add(demand);
          if (row.strict || by_epsilon) {
            to_completion +=
                (row.known_tokens - row.done + row.max_tokens + 15) / 16 - row.shared_blocks;
          }
        }
      }
      EXPECT_GT(to_completion, 0);
      EXPECT_LE(to_completion, capacity) << "seed " << seed;
      EXPECT_EQ(forecast.sums().strict, to_completion);
    }
  }
}

TEST(OverflowForecastTest, ARequestOfExactlyAllBlocksIsAdmitted) {
  const OutputLengths lengths({});
  OverflowForecast strict(&lengths, {16, 0, 0});
  ForecastRow row;
  row.known_tokens = 100;
  row.max_tokens = 60;
  EXPECT_TRUE(strict.Admits(row, 10));
  EXPECT_FALSE(strict.Admits(row, 9));
  EXPECT_EQ(strict.Binding(strict.Of(row), 6), OverflowForecast::kNow);
  EXPECT_EQ(strict.Binding(strict.Of(row), 9), 0);
}

// The rate of overflows comes to epsilon although lengths are not what the forecast believes: here
// one overflows with the probability that a normal variable is above z - 0.8.
TEST(OverflowForecastTest, ZFollowsTheObservedRate) {
  const OutputLengths lengths({});
  for (const int64_t epsilon : {20'000, 100'000}) {
    for (const double error : {0.8, -0.8}) {
      OverflowForecast forecast(&lengths, {16, epsilon, 3277});
      EXPECT_EQ(forecast.z(), NormalQuantile(epsilon));
      int64_t overflows = 0;
      constexpr int64_t kObservations = 20'000;
      for (int64_t t = 0; t < kObservations; ++t) {
        const double z = static_cast<double>(forecast.z()) / 65536;
        const double chance = std::erfc((z - error) / std::sqrt(2.0)) / 2;
        const bool overflowed = RandomUniform(3, 1, static_cast<uint64_t>(t)) < chance;
        overflows += overflowed ? 1 : 0;
        forecast.Observe(overflowed);
      }
      const double rate = static_cast<double>(overflows) / kObservations;
      // The bound of the header: 6 / (0.05 x 20,000).
      EXPECT_NEAR(rate, static_cast<double>(epsilon) * 1e-6, 0.006);
      EXPECT_NEAR(static_cast<double>(forecast.z() - NormalQuantile(epsilon)) / 65536, error, 0.5);
    }
  }
}

TEST(OverflowForecastTest, ZStaysWithinItsBounds) {
  const OutputLengths lengths({});
  OverflowForecast forecast(&lengths, {});
  for (int i = 0; i < 1000; ++i) {
    forecast.Observe(true);
  }
  EXPECT_EQ(forecast.z(), OverflowForecast::kMostZ);
  for (int i = 0; i < 10'000; ++i) {
    forecast.Observe(false);
  }
  EXPECT_EQ(forecast.z(), 0);
}

}  // namespace
}  // namespace scoville::scheduler
