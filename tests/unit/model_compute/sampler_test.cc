#include "model/compute/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/random.h"
#include "tests/unit/model_compute/each_target.h"

namespace scoville::tests {
namespace {

using model::SampleContext;
using model::SampledToken;
using model::SamplingParams;

std::vector<float> RandomLogits(uint64_t seed, size_t count, double spread) {
  std::vector<float> logits;
  for (uint64_t i = 0; i < count; ++i) {
    // The sum of three uniforms is bell-shaped enough.
    double sum = -1.5;
    for (uint64_t j = 0; j < 3; ++j) sum += RandomUniform(seed, j, i);
    logits.push_back(static_cast<float>(sum * spread));
  }
  return logits;
}

SampledToken SampleFrom(std::vector<float> logits, const SamplingParams& params,
                        const SampleContext& context = {}) {
  return model::Sample(absl::MakeSpan(logits), params, context);
}

// The distribution that parameters mean, by sorting everything.
std::vector<double> Oracle(const std::vector<float>& logits, const SamplingParams& p) {
  std::vector<size_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (p.top_k > 0) order.resize(std::min<size_t>(order.size(), static_cast<size_t>(p.top_k)));
  const auto weight = [&](size_t i) {
    return std::exp((static_cast<double>(logits[i]) - logits[order[0]]) / p.temperature);
  };
  // min-p first, then top-p over what is left.
  std::vector<size_t> kept;
  for (const size_t i : order) {
    if (weight(i) >= static_cast<double>(p.min_p)) kept.push_back(i);
  }
  double sum = 0.0;
  for (const size_t i : kept) sum += weight(i);
  if (p.top_p < 1.0f) {
    double mass = 0.0;
    size_t n = 0;
    while (n < kept.size() && mass < static_cast<double>(p.top_p) * sum) mass += weight(kept[n++]);
    kept.resize(std::max<size_t>(n, 1));
    sum = 0.0;
    for (const size_t i : kept) sum += weight(i);
  }
  std::vector<double> probabilities(logits.size(), 0.0);
  for (const size_t i : kept) probabilities[i] = weight(i) / sum;
  return probabilities;
}

// Draws many times and compares the counts with the oracle's distribution.
void ExpectDistribution(const std::vector<float>& logits, SamplingParams params) {
  constexpr int kDraws = 20'000;
  const std::vector<double> want = Oracle(logits, params);
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < kDraws; ++i) {
    params.seed = static_cast<uint64_t>(i) + 1000;
    ++counts[static_cast<size_t>(SampleFrom(logits, params).token)];
  }
  double chi_square = 0.0;
  int cells = 0;
  double rest_want = 0.0;
  double rest_have = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (want[i] == 0.0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " may not be drawn";
    } else if (want[i] * kDraws < 10.0) {
      rest_want += want[i] * kDraws;
      rest_have += counts[i];
    } else {
      const double difference = counts[i] - want[i] * kDraws;
      chi_square += difference * difference / (want[i] * kDraws);
      ++cells;
    }
  }
  if (rest_want > 10.0) {
    chi_square += (rest_have - rest_want) * (rest_have - rest_want) / rest_want;
    ++cells;
  }
  // Mean cells - 1, standard deviation sqrt(2 (cells - 1)); five of those.
  EXPECT_LT(chi_square, cells - 1 + 5.0 * std::sqrt(2.0 * std::max(1, cells - 1)));
}

TEST(Sample, GreedyTakesTheFirstOfTheMostLikely) {
  SamplingParams params;
  params.temperature = 0.0f;
  EXPECT_EQ(SampleFrom({1.0f, 3.0f, 2.0f, 3.0f}, params).token, 1);
  EXPECT_EQ(SampleFrom({-1.0f}, params).token, 0);
}

TEST(Sample, FollowsTheDistribution) {
  const std::vector<float> logits = RandomLogits(1, 60, 6.0);
  SamplingParams params;
  for (const float temperature : {0.3f, 1.0f, 2.0f}) {
    SCOPED_TRACE(temperature);
    params.temperature = temperature;
    ExpectDistribution(logits, params);
  }
}

TEST(Sample, FollowsTheFilteredDistribution) {
  const std::vector<float> logits = RandomLogits(2, 400, 6.0);
  struct Filter {
    int32_t top_k;
    float top_p;
    float min_p;
  };
  for (const Filter f : {Filter{1, 1.0f, 0.0f}, Filter{7, 1.0f, 0.0f}, Filter{0, 0.5f, 0.0f},
                         Filter{0, 0.95f, 0.0f}, Filter{0, 1.0f, 0.2f}, Filter{50, 0.9f, 0.05f},
                         Filter{0, 1e-6f, 0.0f}, Filter{1000, 0.99f, 0.0f}}) {
    SCOPED_TRACE(testing::Message() << f.top_k << " " << f.top_p << " " << f.min_p);
    SamplingParams params;
    params.temperature = 0.8f;
    params.top_k = f.top_k;
    params.top_p = f.top_p;
    params.min_p = f.min_p;
    ExpectDistribution(logits, params);
  }
}

TEST(Sample, TiesAreCutByTokenId) {
  std::vector<float> logits(100, 0.0f);
  logits[50] = 1.0f;
  SamplingParams params;
  params.top_k = 4;
  std::map<int32_t, int> counts;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    params.seed = seed;
    ++counts[SampleFrom(logits, params).token];
  }
  ASSERT_EQ(counts.size(), 4u);
  for (const int32_t token : {0, 1, 2, 50}) EXPECT_GT(counts[token], 0) << token;
}

TEST(Sample, DependsOnSeedAndPositionOnly) {
  const std::vector<float> logits = RandomLogits(3, 5000, 3.0);
  SamplingParams params;
  params.seed = 5;
  std::vector<int32_t> history(10, 1);
  const int32_t first = SampleFrom(logits, params, {history, 10, {}}).token;
  EXPECT_EQ(SampleFrom(logits, params, {history, 3, {}}).token, first);
  int different = 0;
  for (int i = 0; i < 20; ++i) {
    history.push_back(2);
    different += SampleFrom(logits, params, {history, 10, {}}).token != first;
  }
  EXPECT_GT(different, 15);
  params.seed = 6;
  EXPECT_NE(SampleFrom(logits, params, {absl::MakeSpan(history).first(10), 10, {}}).token, first);
}

TEST(Sample, AllTargetsDrawTheSame) {
  const std::vector<float> logits = RandomLogits(4, 49'152, 8.0);
  std::vector<SampledToken> first;
  ForEachTarget([&](const char* name) {
    SCOPED_TRACE(name);
    std::vector<SampledToken> all;
    for (uint64_t seed = 0; seed < 30; ++seed) {
      SamplingParams params;
      params.seed = seed;
      params.temperature = 0.7f;
      params.logprobs = 5;
      params.top_p = seed % 2 == 0 ? 1.0f : 0.9f;
      all.push_back(SampleFrom(logits, params));
    }
    if (first.empty()) first = all;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].token, first[i].token);
      EXPECT_EQ(all[i].logprob, first[i].logprob);
    }
  });
}

TEST(Sample, BiasPenaltiesAndSuppressedTokens) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f, -1.0f};
  SamplingParams params;
  params.temperature = 0.0f;
  const std::vector<int32_t> history = {2, 1, 1};  // prompt {2}, output {1, 1}
  const SampleContext context{history, 1, {}};

  SamplingParams biased = params;
  biased.logit_bias = {{3, 10.0f}, {-5, 1.0f}, {99, 1.0f}};
  EXPECT_EQ(SampleFrom(logits, biased, context).token, 3);

  // Repetition counts the prompt too: 3 / 2.5 < 2 / 1 would hold only if 1 were unpenalised.
  SamplingParams repetition = params;
  repetition.repetition_penalty = 2.5f;
  EXPECT_EQ(SampleFrom(logits, repetition, context).token, 2);  // 1, 0.8, 1.2, -1
  repetition.repetition_penalty = 4.0f;
  EXPECT_EQ(SampleFrom(logits, repetition, context).token, 0);  // 1, 0.5, 0.75, -1
  // Negative logits are multiplied, so that they too become less likely.
  const std::vector<int32_t> third = {3};
  EXPECT_EQ(SampleFrom({-9.0f, -9.0f, -9.0f, -3.0f}, repetition, {third, 1, {}}).token, 0);

  // Presence and frequency count the output alone: token 2 keeps its 3.
  SamplingParams presence = params;
  presence.presence_penalty = 2.0f;
  EXPECT_EQ(SampleFrom(logits, presence, context).token, 2);
  SamplingParams frequency = params;
  frequency.frequency_penalty = 1.5f;  // token 1: 5 - 2 * 1.5 = 2
  EXPECT_EQ(SampleFrom({1.0f, 5.0f, 3.0f, -1.0f}, frequency, context).token, 2);
  frequency.frequency_penalty = 0.9f;  // 5 - 1.8 = 3.2
  EXPECT_EQ(SampleFrom({1.0f, 5.0f, 3.0f, -1.0f}, frequency, context).token, 1);

  const std::vector<int32_t> suppressed = {2, 1};
  EXPECT_EQ(SampleFrom(logits, params, {history, 1, suppressed}).token, 0);
  params.temperature = 2.0f;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    params.seed = seed;
    const int32_t token = SampleFrom(logits, params, {history, 1, suppressed}).token;
    EXPECT_TRUE(token == 0 || token == 3) << token;
  }
}

TEST(Sample, LogprobsAreOfTheUntouchedRow) {
  const std::vector<float> logits = {1.0f, 2.0f, 3.0f, 2.0f};
  double sum = 0.0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  SamplingParams params;
  params.temperature = 0.5f;
  params.logit_bias = {{0, 100.0f}};
  params.logprobs = 3;
  const SampledToken sampled = SampleFrom(logits, params);
  EXPECT_EQ(sampled.token, 0);
  EXPECT_NEAR(sampled.logprob, 1.0 - std::log(sum), 1e-5);
  ASSERT_EQ(sampled.top.size(), 3u);
  EXPECT_EQ(sampled.top[0].token, 2);
  EXPECT_EQ(sampled.top[1].token, 1);  // before 3, which is as likely
  EXPECT_EQ(sampled.top[2].token, 3);
  EXPECT_NEAR(sampled.top[0].logprob, 3.0 - std::log(sum), 1e-5);
  params.logprobs = -1;
  EXPECT_TRUE(SampleFrom(logits, params).top.empty());
}

TEST(Score, GivesTheTokenAndTheMostLikely) {
  const std::vector<float> logits = RandomLogits(9, 1000, 5.0);
  double sum = 0.0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  const SampledToken scored = model::Score(logits, 17, 20);
  EXPECT_EQ(scored.token, 17);
  EXPECT_NEAR(scored.logprob, logits[17] - std::log(sum), 1e-4);
  ASSERT_EQ(scored.top.size(), 20u);
  std::vector<float> sorted = logits;
  std::sort(sorted.rbegin(), sorted.rend());
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(scored.top[i].logprob, sorted[i] - std::log(sum), 1e-4);
  }
  EXPECT_TRUE(model::Score(logits, 17, 0).top.empty());
}

}  // namespace
}  // namespace scoville::tests
