#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace scoville {
namespace {

TEST(HistogramTest, PercentilesAreWithinABucketOfNearestRank) {
  Histogram histogram;
  std::vector<int64_t> values;
  for (int i = 0; i < 10'000; ++i) {
    const int64_t v = static_cast<int64_t>(std::exp(RandomUniform(3, 0, i) * 30.0));
    values.push_back(v);
    histogram.Add(v);
  }
  std::sort(values.begin(), values.end());
  for (double p : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0}) {
    const int64_t rank = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(p * 10'000)));
    const double exact = static_cast<double>(values[rank - 1]);
    EXPECT_GE(static_cast<double>(histogram.Percentile(p)), exact);
    EXPECT_LE(static_cast<double>(histogram.Percentile(p)), exact * (1.0 + 1.0 / 64) + 1);
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(HistogramTest, SmallValuesAreExactAndEmptyIsZero) {
  Histogram h;
  EXPECT_EQ(h.Percentile(0.5), 0);
  EXPECT_EQ(h.mean(), 0.0);
  h.Add(5, 3);
  h.Add(7);
  EXPECT_EQ(h.Percentile(0.5), 5);
  EXPECT_EQ(h.Percentile(1.0), 7);
  EXPECT_DOUBLE_EQ(h.mean(), 5.5);
  Histogram other;
  other.Add(100);
  h.Merge(other);
  EXPECT_EQ(h.count(), 5);
  EXPECT_EQ(h.max(), 100);
}

TEST(HistogramTest, TheLargestValueHasABucket) {
  Histogram h;
  h.Add(INT64_MAX);
  EXPECT_EQ(h.Percentile(0.5), INT64_MAX);
}

}  // namespace
}  // namespace scoville
