#include "scheduler/forecast/output_lengths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "tests/reference/forecast/monte_carlo.h"

namespace scoville::scheduler {
namespace {

constexpr int64_t kOne = OutputLengths::kOne;

double Share(int64_t q16) { return static_cast<double>(q16) / static_cast<double>(kOne); }

TEST(OutputLengthsTest, BinsCoverEveryLengthOnce) {
  EXPECT_EQ(OutputLengths::FirstOf(0), 0);
  for (int bin = 0; bin < OutputLengths::kBins; ++bin) {
    const int64_t first = OutputLengths::FirstOf(bin);
    const int64_t end = OutputLengths::FirstOf(bin + 1);
    ASSERT_LT(first, end);
    EXPECT_EQ(OutputLengths::BinOf(first), bin);
    EXPECT_EQ(OutputLengths::BinOf(end - 1), bin);
    EXPECT_EQ((end - first) & (end - first - 1), 0) << "not a power of two wide";
  }
  EXPECT_EQ(OutputLengths::FirstOf(OutputLengths::kBins), 131'072);
  EXPECT_EQ(OutputLengths::BinOf(INT64_MAX), OutputLengths::kBins - 1);
}

TEST(OutputLengthsTest, BeforeDataLengthsAreUniform) {
  const OutputLengths lengths({});
  EXPECT_EQ(lengths.Survival(0, 0, 0, 1000), kOne);
  EXPECT_EQ(lengths.Survival(0, 0, 500, 1000), kOne / 2);
  EXPECT_EQ(lengths.Survival(0, 500, 250, 1000), kOne / 2);
  EXPECT_EQ(lengths.Survival(0, 0, 1000, 1000), 0);
  EXPECT_EQ(lengths.Survival(0, 1000, 0, 1000), 0);
  EXPECT_NEAR(static_cast<double>(lengths.Expected(0, 0, 1000)), 500, 2);
  EXPECT_EQ(lengths.Quantile(0, 0, kOne, 1000), 1000);
  EXPECT_EQ(lengths.Quantile(0, 0, kOne / 4, 1000), 250);
}

// Survival never rises, ends at max_tokens, and its inverse and its sum are the other two answers.
TEST(OutputLengthsTest, TheThreeAnswersAgree) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    OutputLengths lengths({1, 64 + static_cast<int64_t>(RandomBelow(seed, 0, 0, 500)), 8});
    const uint64_t records = RandomBelow(seed, 0, 1, 600);
    for (uint64_t i = 0; i < records; ++i) {
      const int64_t length = tests::SkewedLength(RandomBits(seed, 1, i), 4.5, 1.2);
      lengths.Record(0, length, RandomBelow(seed, 2, i, 5) == 0);
    }
    for (const int64_t done : {0, 1, 17, 300, 2000, 150'000}) {
      const int64_t max_tokens = done + 1 + static_cast<int64_t>(RandomBelow(seed, 3, 0, 900));
      double sum = 0;
      int64_t before = kOne;
      for (int64_t k = 0; k < max_tokens - done; ++k) {
        const int64_t s = lengths.Survival(0, done, k, max_tokens);
        ASSERT_LE(s, before) << "done " << done << " k " << k;
        ASSERT_GE(s, 0);
        before = s;
        sum += Share(s);
      }
      EXPECT_EQ(lengths.Survival(0, done, max_tokens - done, max_tokens), 0);
      EXPECT_NEAR(static_cast<double>(lengths.Expected(0, done, max_tokens)), sum + 0.5, 0.51);
      for (const int64_t q : {kOne / 10, kOne / 2, kOne * 9 / 10, kOne}) {
        const int64_t k = lengths.Quantile(0, done, q, max_tokens);
        EXPECT_LE(lengths.Survival(0, done, k, max_tokens), kOne - q);
        if (k > 0) {
          EXPECT_GT(lengths.Survival(0, done, k - 1, max_tokens), kOne - q);
        }
      }
    }
  }
}

// Against the share of a large sample that goes on, also of those that already are long; what is
// left is the width of the bins.
TEST(OutputLengthsTest, LearnsADistribution) {
  OutputLengths lengths({1, 100'000, 8});
  std::vector<int64_t> sample;
  for (uint64_t i = 0; i < 20'000; ++i) {
    sample.push_back(tests::SkewedLength(RandomBits(1, 1, i), 5.0, 1.0));
    lengths.Record(0, sample.back());
  }
  for (const int64_t done : {0, 50, 200, 500}) {
    for (const int64_t k : {1, 10, 100, 400, 1000}) {
      double reach = 0;
      double further = 0;
      for (const int64_t length : sample) {
        reach += length > done ? 1 : 0;
        further += length > done + k ? 1 : 0;
      }
      EXPECT_NEAR(Share(lengths.Survival(0, done, k, 1 << 20)), further / reach, 0.03)
          << "done " << done << " k " << k;
    }
  }
}

// Half of the clients ask for 32 tokens at most: their cut outputs must not look like short ones.
TEST(OutputLengthsTest, CutOutputsDoNotShortenTheOthers) {
  OutputLengths lengths({1, 100'000, 8});
  OutputLengths fooled({1, 100'000, 8});
  double longer = 0;
  constexpr uint64_t kSample = 20'000;
  for (uint64_t i = 0; i < kSample; ++i) {
    const int64_t length = tests::SkewedLength(RandomBits(2, 1, i), 5.0, 1.0);
    const int64_t most = i % 2 == 0 ? 32 : 100'000;
    lengths.Record(0, std::min(length, most), length > most);
    fooled.Record(0, std::min(length, most), false);
    longer += length > 200 ? 1 : 0;
  }
  const double truth = longer / static_cast<double>(kSample);
  EXPECT_NEAR(Share(lengths.Survival(0, 0, 200, 100'000)), truth, 0.02);
  EXPECT_LT(Share(fooled.Survival(0, 0, 200, 100'000)), truth * 0.7);
}

// By hand: 30 reach the bin 128 .. 159, of the 10 cut there half count as present, so 10 of 25 end.
TEST(OutputLengthsTest, ALifeTableByHand) {
  OutputLengths lengths({1, 1 << 20, 1});
  for (int i = 0; i < 10; ++i) {
    lengths.Record(0, 140);
    lengths.Record(0, 140, true);
    lengths.Record(0, 1000);
  }
  // The prior, one record in 31, says that nearly all go on.
  EXPECT_NEAR(Share(lengths.Survival(0, 0, 159, 1 << 20)), (0.6 * 30 + 1) / 31, 0.001);
}

TEST(OutputLengthsTest, ForgetsByCount) {
  OutputLengths lengths({2, 80, 8});
  for (int i = 0; i < 2000; ++i) {
    lengths.Record(0, 100);
  }
  // A half-life of 80 keeps 80 / ln 2 = 115 records, less what the steps of decay take.
  EXPECT_GT(lengths.weight(0), 95);
  EXPECT_LT(lengths.weight(0), 125);
  for (int i = 0; i < 80; ++i) {
    lengths.Record(0, 1000);
  }
  EXPECT_NEAR(Share(lengths.Survival(0, 0, 500, 1 << 20)), 0.5, 0.08);
  EXPECT_EQ(lengths.weight(1), 0);
  EXPECT_EQ(lengths.Survival(1, 0, 500, 1000), kOne / 2);
}

// Nobody was seen to get so far: the prior decides, not the last bin.
TEST(OutputLengthsTest, BeyondWhatWasSeenThePriorSpeaks) {
  OutputLengths lengths({});
  for (int i = 0; i < 1000; ++i) {
    lengths.Record(0, 50 + i % 50);
  }
  EXPECT_LT(Share(lengths.Survival(0, 0, 200, 4096)), 0.02);
  EXPECT_NEAR(Share(lengths.Survival(0, 2000, 1000, 4000)), 0.5, 0.01);
}

}  // namespace
}  // namespace scoville::scheduler
