#include "device/physics/model_timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "device/physics/step_cost.h"
#include "device/physics/token_cost.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;

// 16 experts, two a token, a window in half of the layers.
model::ModelCard SmallExperts() {
  model::ModelCard c = Dense70B();
  c.name = "small-experts";
  c.width = 1024;
  c.heads = 16;
  c.kv_heads = 4;
  c.head_size = 64;
  c.groups = {{6, 128, 512, 16, 2, 0}, {6, 0, 512, 16, 2, 256}};
  c.vocabulary = 32'000;
  c.expert_weights = model::Precision::kMxfp4;
  return c;
}

// Latent attention with the dimensions of DeepSeek-V3.
model::ModelCard Latent() {
  model::ModelCard c = SmallExperts();
  c.name = "latent";
  c.latent = model::LatentAttention{1536, 512, 128, 64, 128};
  c.groups = {{4, 0, 2048, 0, 0, 0}};
  return c;
}

ModelTiming TimingOf(const model::ModelCard& card, const Parallelism& parallelism) {
  const Profile profile = DefaultProfile();
  absl::StatusOr<ModelTiming> timing = MakeModelTiming(profile, card, parallelism);
  CHECK(timing.ok());
  return *std::move(timing);
}

TEST(ModelTimingTest, ExpectedExpertsAgainstItsFormulaAndItsEnds) {
  for (const double chosen : {1.0, 4.0, 8.0}) {
    for (int64_t n : {1, 2, 3, 17, 500, 100'000}) {
      const double expected = 128.0 * (1.0 - std::pow(1.0 - chosen / 128.0, n));
      EXPECT_NEAR(ExpectedExperts(128, chosen, n), expected, 1e-9 * 128);
    }
    EXPECT_NEAR(ExpectedExperts(128, chosen, 1), chosen, 1e-12);
  }
  EXPECT_EQ(ExpectedExperts(8, 8, 5), 8);
}

TEST(ModelTimingTest, AStepReadsTheExpertsItReachesAndNoMore) {
  const Profile profile = DefaultProfile();
  const ModelTiming m = TimingOf(SmallExperts(), {});
  const double all = 12 * 16 * 3.0 * 1024 * 512 * 0.53;
  const StepPrice one = PriceStep(profile, m, ShapeOf(Decodes(1, 0), m.rules), 12);
  const StepPrice many = PriceStep(profile, m, ShapeOf(Decodes(200, 0), m.rules), 12);
  EXPECT_NEAR(one.experts.bytes_per_chip, all * 2 / 16, all * 1e-9);
  EXPECT_NEAR(many.experts.bytes_per_chip, all, all * 1e-6);
  // Executed by tiles of 16 rows: 200 tokens give each of 16 experts 25 rows, so two tiles.
  EXPECT_NEAR(many.experts.flops_executed, 12 * 16 * 2 * 3.0 * 1024 * 512 * 32, 1e-6 * 1e12);
}

TEST(ModelTimingTest, WholeExpertsOnChipsAndSlicedOnesDoTheSameWork) {
  const Profile profile = DefaultProfile();
  Parallelism sliced;
  sliced.chips = 4;
  Parallelism whole = sliced;
  whole.expert_parallel = true;
  const ModelTiming a = TimingOf(SmallExperts(), sliced);
  const ModelTiming b = TimingOf(SmallExperts(), whole);
  const StepPrice pa = PriceStep(profile, a, ShapeOf(Decodes(64, 300), a.rules), 12);
  const StepPrice pb = PriceStep(profile, b, ShapeOf(Decodes(64, 300), b.rules), 12);
  EXPECT_NEAR(pa.experts.flops_executed, pb.experts.flops_executed,
              1e-9 * pa.experts.flops_executed);
  EXPECT_NEAR(pa.experts.bytes_per_chip, pb.experts.bytes_per_chip, 1e-6);
  EXPECT_EQ(a.weight_bytes(), b.weight_bytes());
  EXPECT_GT(pb.stalls.comm, pa.stalls.comm);  // a reduction, a dispatch and a combine
}

TEST(ModelTimingTest, DataParallelAttentionReplicatesWeightsAndSpreadsRows) {
  Parallelism tensor;
  tensor.chips = 4;
  tensor.expert_parallel = true;
  Parallelism data = tensor;
  data.data_parallel_attention = true;
  const ModelTiming a = TimingOf(Latent(), tensor);
  const ModelTiming b = TimingOf(Latent(), data);
  EXPECT_EQ(a.kv_row_bytes_per_chip, 4 * b.kv_row_bytes_per_chip);  // replicated against spread
  EXPECT_EQ(a.kv_row_bytes_stored, 4 * b.kv_row_bytes_stored);
  EXPECT_EQ(b.kv_row_bytes_stored, 4 * (512 + 64));
  EXPECT_GT(b.weight_bytes_stored, 3 * a.weight_bytes_stored);
  EXPECT_EQ(b.groups[0].collectives, 0);
}

TEST(ModelTimingTest, LatentAttentionFoldsDecodesAndExpandsPrompts) {
  const ModelTiming m = TimingOf(Latent(), {});
  const double heads = 16;
  EXPECT_EQ(m.flops_per_pair[0], 2 * heads * (128 + 64 + 128));
  EXPECT_EQ(m.flops_per_pair[1], 2 * heads * (2 * 512 + 64));
  EXPECT_EQ(m.flops_per_expanded, 2 * 512 * heads * (128 + 128));
  const Profile profile = DefaultProfile();
  const SequenceWork first{StepRole::kPrefill, 0, 64, 0, 0};
  const SequenceWork later{StepRole::kPrefill, 640, 64, 0, 0};
  const auto flops = [&](const SequenceWork& work) {
    return PriceStep(profile, m, ShapeOf({work}, m.rules), 12).attention[0].flops_executed;
  };
  EXPECT_NEAR(flops(later) - flops(first),
              4 * (64 * 640 * m.flops_per_pair[0] + 640 * m.flops_per_expanded), 1);
}

TEST(ModelTimingTest, WindowedPairsAgainstALoop) {
  for (const int64_t window : {1, 7, 128}) {
    for (const int64_t cached : {0, 5, 127, 128, 900}) {
      for (const int64_t count : {1, 3, 64, 300}) {
        int64_t expected = 0;
        for (int64_t j = 1; j <= count; ++j) {
          expected += std::min(cached + j, window);
        }
        const SequenceWork work{StepRole::kPrefill, cached, count, 0, 0};
        EXPECT_EQ(work.windowed_pairs(window), expected) << window << " " << cached << " " << count;
      }
    }
  }
}

TEST(ModelTimingTest, AWindowBoundsWhatLongContextsCost) {
  const Profile profile = DefaultProfile();
  model::ModelCard card = SmallExperts();
  card.groups = {{12, 128, 512, 0, 0, 0}};
  const ModelTiming windowed = TimingOf(card, {});
  const auto bytes = [&](int64_t context) {
    return PriceStep(profile, windowed, ShapeOf(Decodes(8, context), windowed.rules), 12)
        .attention[1]
        .bytes_per_chip;
  };
  EXPECT_EQ(bytes(1000), bytes(100'000));
  EXPECT_LT(bytes(50), bytes(1000));
}

TEST(ModelTimingTest, RememberedPricesAreThePrices) {
  const Profile profile = DefaultProfile();
  for (const model::ModelCard& card : {Dense70B(), SmallExperts(), Latent()}) {
    Parallelism parallelism;
    parallelism.chips = 8;
    const ModelTiming m = TimingOf(card, parallelism);
    StepPricer pricer(&profile, m, 4096);
    for (uint64_t index = 0; index < 200; ++index) {
      const StepShape shape = ShapeOf(RandomWork(index), m.rules);
      const int state = static_cast<int>(index % 13);
      const StepClock clock{state, 12, index % 2 == 0};
      const StepPrice plain = PriceStep(profile, m, shape, clock);
      for (int again = 0; again < 2; ++again) {
        const StepPrice fast = pricer.Price(shape, clock);
        ASSERT_EQ(fast.duration, plain.duration);
        ASSERT_EQ(fast.stalls.throttle, plain.stalls.throttle);
        ASSERT_EQ(fast.flops_executed, plain.flops_executed);
        ASSERT_EQ(fast.forward_seconds, plain.forward_seconds);
        ASSERT_EQ(plain.stalls.total(), plain.duration);
      }
    }
  }
}

TEST(ModelTimingTest, WhatDoesNotFitIsSaidWithItsArithmetic) {
  const Profile profile = DefaultProfile();
  model::ModelCard card = Dense70B();
  card.weights = model::Precision::kBf16;
  card.groups[0].count = 400;
  const ModelTiming m = TimingOf(card, {});
  const MemoryPlan plan = PlanMemory(profile, m);
  EXPECT_LT(plan.kv_blocks, 1);
  const std::string words = DescribeMemory(plan, m);
  EXPECT_THAT(words, HasSubstr("231.9 GB of memory x 0.9 usable"));
  EXPECT_THAT(words, HasSubstr("0 KV blocks"));
}

}  // namespace
}  // namespace scoville::device
