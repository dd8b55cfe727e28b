#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "model/compute/sampler.h"

namespace scoville::model {
namespace {

std::vector<float> Row(uint64_t seed, size_t size = 100) {
  std::vector<float> row(size);
  for (size_t i = 0; i < size; ++i) {
    row[i] = static_cast<float>(6.0 * RandomUniform(seed, 1, i) - 3.0);
  }
  return row;
}

std::vector<uint32_t> MaskOf(const std::vector<int32_t>& tokens) {
  std::vector<uint32_t> mask(4, 0);
  for (const int32_t t : tokens) mask[static_cast<size_t>(t) / 32] |= 1u << (t % 32);
  return mask;
}

std::vector<SamplingParams> Manners() {
  SamplingParams greedy;
  greedy.temperature = 0.0f;
  SamplingParams plain;
  SamplingParams cut;
  cut.top_k = 7;
  cut.top_p = 0.8f;
  SamplingParams punished = cut;
  punished.repetition_penalty = 1.5f;
  punished.presence_penalty = -2.0f;
  punished.logit_bias = {{1, 100.0f}, {5, 100.0f}};
  return {greedy, plain, cut, punished};
}

TEST(MaskedSamplerTest, OnlyAllowedTokensAreDrawn) {
  const std::vector<int32_t> tokens = {1, 2, 64, 90};
  const std::vector<uint32_t> mask = MaskOf({3, 40, 64, 99});
  for (SamplingParams params : Manners()) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      params.seed = seed;
      std::vector<float> row = Row(seed);
      SampleContext context{
          .tokens = tokens, .prompt_tokens = 2, .suppressed = {}, .allowed = mask};
      const int32_t token = Sample(absl::MakeSpan(row), params, context).token;
      EXPECT_THAT((std::vector<int32_t>{3, 40, 64, 99}), testing::Contains(token));
    }
  }
}

// As if the row had no other tokens, and with all allowed as if there were no mask.
TEST(MaskedSamplerTest, TheMaskIsBeforeEverythingElse) {
  const std::vector<uint32_t> all(4, ~uint32_t{0});
  const std::vector<uint32_t> mask = MaskOf({3, 40, 64, 99});
  for (SamplingParams params : Manners()) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      params.seed = seed;
      std::vector<float> plain = Row(seed), allowed = plain, masked = plain, removed = plain;
      const SampleContext none;
      const int32_t expected = Sample(absl::MakeSpan(plain), params, none).token;
      SampleContext context;
      context.allowed = all;
      EXPECT_EQ(Sample(absl::MakeSpan(allowed), params, context).token, expected);
      context.allowed = mask;
      for (size_t i = 0; i < removed.size(); ++i) {
        if (i != 3 && i != 40 && i != 64 && i != 99) removed[i] = -INFINITY;
      }
      EXPECT_EQ(Sample(absl::MakeSpan(masked), params, context).token,
                Sample(absl::MakeSpan(removed), params, none).token);
    }
  }
}

TEST(MaskedSamplerTest, LogprobsStayTheModelsOwn) {
  std::vector<float> row = Row(5);
  const std::vector<float> before = row;
  SamplingParams params;
  params.temperature = 0.0f;
  params.logprobs = 2;
  SampleContext context;
  const std::vector<uint32_t> mask = MaskOf({17});
  context.allowed = mask;
  const SampledToken drawn = Sample(absl::MakeSpan(row), params, context);
  const SampledToken scored = Score(before, 17, 2);
  EXPECT_EQ(drawn.token, 17);
  EXPECT_EQ(drawn.logprob, scored.logprob);
  ASSERT_EQ(drawn.top.size(), 2u);
  EXPECT_EQ(drawn.top[0].token, scored.top[0].token);
  EXPECT_EQ(drawn.top[0].logprob, scored.top[0].logprob);
}

TEST(MaskedSamplerTest, TokensBeyondTheMaskAreNotAllowed) {
  std::vector<float> row = Row(6, 200);
  row[150] = 50.0f;
  const std::vector<uint32_t> mask(4, ~uint32_t{0});
  SamplingParams params;
  params.temperature = 0.0f;
  SampleContext context;
  context.allowed = mask;
  EXPECT_LT(Sample(absl::MakeSpan(row), params, context).token, 128);
}

TEST(MaskedSamplerTest, SuppressionGivesWayWhereNothingElseIsAllowed) {
  SamplingParams params;
  params.temperature = 0.0f;
  const std::vector<int32_t> suppressed = {9, 8};
  SampleContext context;
  context.suppressed = suppressed;
  const std::vector<uint32_t> only = MaskOf({9});
  const std::vector<uint32_t> more = MaskOf({9, 70});
  std::vector<float> row = Row(7);
  row[9] = 50.0f;
  std::vector<float> again = row;
  context.allowed = only;
  EXPECT_EQ(Sample(absl::MakeSpan(row), params, context).token, 9);
  context.allowed = more;
  EXPECT_EQ(Sample(absl::MakeSpan(again), params, context).token, 70);
}

TEST(MaskedSamplerDeathTest, AMaskOfNothingIsAFault) {
  std::vector<float> row = Row(8);
  const std::vector<uint32_t> mask(4, 0);
  SampleContext context;
  context.allowed = mask;
  EXPECT_DEATH(Sample(absl::MakeSpan(row), SamplingParams{}, context), "CHECK failed");
}

}  // namespace
}  // namespace scoville::model
