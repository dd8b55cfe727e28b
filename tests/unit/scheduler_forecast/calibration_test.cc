// The promised probability of an overflow against the future played out: random populations, each
// with the least capacity at which the forecast still admits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/random.h"
#include "scheduler/forecast/output_lengths.h"
#include "scheduler/forecast/overflow_forecast.h"
#include "tests/reference/forecast/monte_carlo.h"

namespace scoville::scheduler {
namespace {

// Two classes: short answers, and long ones that vary widely.
std::vector<tests::LengthDraw> Classes() {
  return {[](uint64_t bits) { return tests::SkewedLength(bits, 4.6, 0.7); },
          [](uint64_t bits) { return tests::SkewedLength(bits, 6.2, 0.9); }};
}

std::vector<ForecastRow> Population(uint64_t seed, const std::vector<tests::LengthDraw>& classes) {
  std::vector<ForecastRow> rows;
  const uint64_t count = 20 + RandomBelow(seed, 1, 0, 130);
  const uint64_t fresh = RandomBelow(seed, 1, 1, 100);  // per cent that only begins
  for (uint64_t i = 0; i < count; ++i) {
    ForecastRow row;
    row.key = static_cast<int32_t>(RandomBelow(seed, 2, i, 2));
    row.max_tokens = 4096;
    const int64_t length =
        std::min(row.max_tokens, classes[static_cast<size_t>(row.key)](RandomBits(seed, 3, i)));
    row.done = RandomBelow(seed, 4, i, 100) < fresh
                   ? 0
                   : static_cast<int64_t>(RandomBelow(seed, 5, i, static_cast<uint64_t>(length)));
    row.known_tokens = row.done + 20 + static_cast<int64_t>(RandomBelow(seed, 6, i, 800));
    row.prefill_steps = row.done == 0 ? static_cast<int64_t>(RandomBelow(seed, 7, i, 16)) : 0;
    rows.push_back(row);
  }
  return rows;
}

int64_t LeastCapacity(const OverflowForecast& forecast, const ForecastRow& candidate) {
  const OverflowForecast::Demand demand = forecast.Of(candidate);
  int64_t low = 0;
  int64_t high = 1 << 20;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (forecast.Admits(demand, middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

TEST(CalibrationTest, OverflowsAreAsRareAsPromised) {
  const std::vector<tests::LengthDraw> classes = Classes();
  OutputLengths lengths({2, 4096, 8});
  for (uint64_t i = 0; i < 10'000; ++i) {
    for (int32_t key = 0; key < 2; ++key) {
      lengths.Record(
          key, classes[static_cast<size_t>(key)](RandomBits(11, static_cast<uint64_t>(key), i)));
    }
  }
  constexpr int64_t kEpsilons[] = {10'000, 50'000, 200'000};
  constexpr int kPopulations = 60;
  constexpr int kRuns = 400;
  int64_t overflows[3] = {};
  double slack[3] = {};  // capacity over the mean of the peaks
  for (uint64_t seed = 0; seed < kPopulations; ++seed) {
    std::vector<ForecastRow> rows = Population(seed, classes);
    const std::vector<int64_t> peaks = tests::PeaksOf(rows, 16, classes, kRuns, seed);
    double mean_peak = 0;
    for (const int64_t peak : peaks) {
      mean_peak += static_cast<double>(peak) / kRuns;
    }
    const ForecastRow candidate = rows.back();
    rows.pop_back();
    for (size_t e = 0; e < 3; ++e) {
      OverflowForecast forecast(&lengths, {16, kEpsilons[e], 0});
      forecast.Rebuild(rows);
      const int64_t capacity = LeastCapacity(forecast, candidate);
      slack[e] += static_cast<double>(capacity) / mean_peak / kPopulations;
      for (const int64_t peak : peaks) {
        overflows[e] += peak > capacity ? 1 : 0;
      }
    }
  }
  for (size_t e = 0; e < 3; ++e) {
    const double promised = static_cast<double>(kEpsilons[e]) * 1e-6;
    const double measured = static_cast<double>(overflows[e]) / (kPopulations * kRuns);
    std::printf("epsilon %.2f: overflows %.4f, capacity %.3f of the mean peak\n", promised,
                measured, slack[e]);
    EXPECT_LT(measured, promised * 3) << "seeds 0 to 59";
    EXPECT_GT(measured, promised / 3) << "seeds 0 to 59";
  }
}

}  // namespace
}  // namespace scoville::scheduler
