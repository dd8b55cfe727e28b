#include "device/physics/step_cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "device/physics/operator_cost.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;

class StepCostTest : public ::testing::Test {
 protected:
  const Profile profile_ = DefaultProfile();
  const int top_ = profile_.top_state();
  const ModelTiming small_ = Timing(profile_, Small135M(), 1);
  const ModelTiming large_ = Timing(profile_, Dense70B(), 8);
};

TEST_F(StepCostTest, OverlapNorms) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Overlap(3, 4, 1), 7);
  EXPECT_EQ(Overlap(3, 4, 2), 5);
  EXPECT_EQ(Overlap(3, 4, inf), 4);
  EXPECT_NEAR(Overlap(3, 4, 4), std::pow(81.0 + 256.0, 0.25), 1e-12);
  for (const double p : {1.0, 2.0, 4.0, inf}) {
    EXPECT_EQ(Overlap(0, 0, p), 0);
    EXPECT_EQ(Overlap(5, 0, p), 5);
    EXPECT_EQ(Overlap(0, 5, p), 5);
  }
}

// The formulas once more, as plainly as they can be written, against a loop over the sequences.
TEST_F(StepCostTest, EqualsAPlainEvaluation) {
  for (uint64_t index = 0; index < 300; ++index) {
    const std::vector<SequenceWork> work = RandomWork(index);
    const int state = static_cast<int>(index % profile_.pstates.size());
    const double slow = profile_.pstates[state].slowdown;
    double n = 0, outputs = 0, pairs[2] = {0, 0}, rows[2] = {0, 0};
    for (const SequenceWork& w : work) {
      const int role = static_cast<int>(w.role);
      const double q = static_cast<double>(w.new_tokens);
      const double c = static_cast<double>(w.cached);
      n += q;
      outputs += static_cast<double>(w.output_rows);
      pairs[role] += q * (c + (q + 1) / 2);
      rows[role] += 16 * std::ceil(c / 16) * (role == 0 ? std::ceil(q / 128) : 1) + q;
    }
    const double chips = 8, eta_flops = 0.55, bandwidth = 0.8 * 15.4e12;
    const double layer_params = 80 * (2.0 * 8192 * 8192 + 2.0 * 8192 * 1024 + 3.0 * 8192 * 28672);
    const double head_params = 8192.0 * 128256;
    const auto roof = [](double x, double y) {
      return std::pow(std::pow(x, 4) + std::pow(y, 4), 0.25);
    };
    const double linear =
        roof(2 * layer_params * std::ceil(n / 16) * 16 * slow / (chips * eta_flops * 3.4e15),
             (layer_params * 1.03 / chips + 12 * 80 * n * 8192 * 2 / chips) / bandwidth);
    double attention = 0;
    for (int role = 0; role < 2; ++role) {
      attention += roof(4.0 * 80 * 64 * 128 * pairs[role] * slow / (chips * eta_flops * 1.7e15),
                        80 * 2.0 * 8 * 128 / 8 * rows[role] / bandwidth);
    }
    const double head = outputs == 0 ? 0
                                     : roof(2 * head_params * std::ceil(outputs / 16) * 16 * slow /
                                                (chips * eta_flops * 3.4e15),
                                            head_params * 1.03 / chips / bandwidth);
    const double comm = 0.5 * 80 * 2 * (2.0 * 7 / 8) * n * 8192 * 2 / 600e9 + 80 * 2 * 2 * 1.5e-6;
    const double issue = 80 * 13.5e-6 * (0.5 + 0.5 * slow);
    const double host = 5e-6 + 0.5e-6 * static_cast<double>(work.size());
    const double expected = linear + attention + head + comm + issue + host;
    const StepPrice price = PriceStep(profile_, large_, ShapeOf(work), state);
    EXPECT_NEAR(ToSeconds(price.duration), expected, expected * 1e-6) << index;
    EXPECT_NEAR(ToSeconds(price.host_gap), host, 1e-9);
    EXPECT_NEAR(price.mbu,
                ((layer_params + (outputs > 0 ? head_params : 0)) * 1.03 / chips +
                 80 * 2.0 * 8 * 128 / 8 * (rows[0] + rows[1])) /
                    15.4e12 / expected,
                1e-6);
    EXPECT_NEAR(price.mfu,
                ((2 * layer_params * n + 2 * head_params * outputs) / 3.4e15 +
                 4.0 * 80 * 64 * 128 * (pairs[0] + pairs[1]) / 1.7e15) /
                    chips / expected,
                1e-6);
  }
}

TEST_F(StepCostTest, StallsSumToTheDurationExactly) {
  for (uint64_t index = 0; index < 2000; ++index) {
    const StepShape shape = ShapeOf(RandomWork(index));
    const ModelTiming& model = index % 2 == 0 ? small_ : large_;
    const int state = static_cast<int>(index % profile_.pstates.size());
    const int wanted = index % 3 == 0 ? top_ : state;
    const StepPrice price =
        PriceStep(profile_, model, shape, StepClock{state, wanted, index % 5 == 0});
    EXPECT_EQ(price.stalls.total(), price.duration);
    EXPECT_EQ(price.host_gap + price.forward, price.duration);
    for (const Duration part : {price.stalls.host, price.stalls.compute, price.stalls.memory,
                                price.stalls.comm, price.stalls.fixed, price.stalls.throttle}) {
      EXPECT_GE(part, Duration());
    }
    if (wanted == state) {
      EXPECT_EQ(price.stalls.throttle, Duration());
    }
    EXPECT_GT(price.mfu, 0);
    EXPECT_LE(price.mfu, 1);
    EXPECT_GT(price.mbu, 0);
    EXPECT_LE(price.mbu, 1);
    EXPECT_GE(price.flops_executed, price.flops_model * (1 - 1e-12));
  }
}

TEST_F(StepCostTest, ThrottlingIsTimeAgainstTheWantedClock) {
  const StepShape shape = ShapeOf(Decodes(64, 2048));
  const StepPrice fast = PriceStep(profile_, large_, shape, top_);
  const StepPrice slow = PriceStep(profile_, large_, shape, StepClock{0, top_, false});
  EXPECT_EQ(slow.stalls.throttle, slow.duration - fast.duration);
  EXPECT_EQ(slow.stalls.compute, fast.stalls.compute);
}

TEST_F(StepCostTest, ASlowerClockIsNeverFaster) {
  for (uint64_t index = 0; index < 100; ++index) {
    const StepShape shape = ShapeOf(RandomWork(index));
    Duration last = PriceStep(profile_, small_, shape, 0).duration;
    for (int state = 1; state <= top_; ++state) {
      const Duration next = PriceStep(profile_, small_, shape, state).duration;
      EXPECT_LE(next, last);
      last = next;
    }
  }
}

TEST_F(StepCostTest, ChangingTheClockCostsItsLatency) {
  const StepShape shape = ShapeOf(Decodes(1, 100));
  const StepPrice same = PriceStep(profile_, small_, shape, 5);
  const StepPrice changed = PriceStep(profile_, small_, shape, StepClock{5, 5, true});
  EXPECT_EQ(changed.duration - same.duration, Microseconds(20));
  EXPECT_EQ(changed.host_gap - same.host_gap, Microseconds(20));
  EXPECT_EQ(changed.forward, same.forward);
  EXPECT_EQ(changed.stalls.fixed - same.stalls.fixed, Microseconds(20));
}

TEST_F(StepCostTest, RowsAreRoundedUpToTiles) {
  const StepPrice sixteen = PriceStep(profile_, large_, ShapeOf(Decodes(16, 0)), top_);
  const StepPrice seventeen = PriceStep(profile_, large_, ShapeOf(Decodes(17, 0)), top_);
  const StepPrice thirty_two = PriceStep(profile_, large_, ShapeOf(Decodes(32, 0)), top_);
  EXPECT_EQ(seventeen.linear.flops_executed, thirty_two.linear.flops_executed);
  EXPECT_EQ(sixteen.linear.flops_executed * 2, thirty_two.linear.flops_executed);
  EXPECT_LT(seventeen.flops_model, thirty_two.flops_model);
}

TEST_F(StepCostTest, SumsMoveByDeltas) {
  const std::vector<SequenceWork> work = RandomWork(3);
  StepShape shape = ShapeOf(work);
  shape.Add(work[0], small_.rules);
  shape.Remove(work[0], small_.rules);
  EXPECT_EQ(shape, ShapeOf(work));
  for (const SequenceWork& w : work) {
    shape.Remove(w, small_.rules);
  }
  shape.longest_decode = 0;  // bounds that removals leave
  shape.longest_prompt = 0;
  EXPECT_EQ(shape, StepShape());
}

TEST_F(StepCostTest, AStepWithoutOutputsReadsNoHead) {
  std::vector<SequenceWork> work = {SequenceWork{StepRole::kPrefill, 0, 64, 0, 0}};
  const StepPrice without = PriceStep(profile_, large_, ShapeOf(work), top_);
  work[0].output_rows = 1;
  const StepPrice with = PriceStep(profile_, large_, ShapeOf(work), top_);
  EXPECT_EQ(without.head.bytes_per_chip, 0);
  EXPECT_GT(with.head.bytes_per_chip, 0);
  EXPECT_LT(without.duration, with.duration);
}

TEST_F(StepCostTest, OneChipHasNoCollectives) {
  const StepPrice price = PriceStep(profile_, small_, ShapeOf(Decodes(8, 100)), top_);
  EXPECT_EQ(price.stalls.comm, Duration());
  EXPECT_EQ(price.link_bytes, Bytes());
}

TEST_F(StepCostTest, RatesFollowThePrecisions) {
  using model::Precision;
  EXPECT_EQ(small_.linear_math, MathType::kBf16);  // four-bit weights, 16-bit activations
  EXPECT_EQ(large_.linear_math, MathType::kFp8);
  EXPECT_EQ(ProductMath(profile_, Precision::kFp8, Precision::kBf16), MathType::kBf16);
  EXPECT_EQ(ProductMath(profile_, Precision::kMxfp4, Precision::kFp8), MathType::kFp8);
  EXPECT_EQ(ProductMath(profile_, Precision::kMxfp4, Precision::kMxfp4), MathType::kFp4);
  // 30 layers, K and V, 3 heads of 64 values of 2 bytes.
  EXPECT_EQ(small_.kv_row_bytes_stored, 30 * 2 * 3 * 64 * 2);
}

TEST_F(StepCostTest, KvHeadsReplicateBeyondTheirNumber) {
  const ModelTiming sixteen = Timing(profile_, Dense70B(), 16);
  EXPECT_EQ(sixteen.kv_row_bytes_per_chip, large_.kv_row_bytes_per_chip);
}

TEST_F(StepCostTest, GroupsBeyondTheLocalDomainUseTheGlobalFabric) {
  EXPECT_EQ(Timing(profile_, Dense70B(), 128).link_bandwidth, 600e9);
  EXPECT_EQ(Timing(profile_, Dense70B(), 256).link_bandwidth, 200e9);
}

TEST_F(StepCostTest, RefusesImpossibleModels) {
  const auto error = [&](const model::ModelCard& card, int64_t chips) {
    Parallelism parallelism;
    parallelism.chips = chips;
    return std::string(MakeModelTiming(profile_, card, parallelism).status().message());
  };
  EXPECT_THAT(error(Dense70B(), 0), HasSubstr("allows 1 to 2048"));
  EXPECT_THAT(error(Dense70B(), 4096), HasSubstr("allows 1 to 2048"));
  model::ModelCard card = Dense70B();
  card.groups[0].count = 0;
  EXPECT_THAT(error(card, 1), HasSubstr("layers"));
  card = Dense70B();
  card.weight_bytes = std::nan("");
  EXPECT_THAT(error(card, 1), HasSubstr("bytes"));
}

using StepCostDeathTest = StepCostTest;

TEST_F(StepCostDeathTest, ChecksItsPreconditions) {
  EXPECT_DEATH(PriceStep(profile_, small_, StepShape(), top_), "sequences");
  const StepShape shape = ShapeOf(Decodes(1, 1));
  EXPECT_DEATH(PriceStep(profile_, small_, shape, top_ + 1), "top_state");
  EXPECT_DEATH(PriceStep(profile_, small_, shape, -1), "state");
}

}  // namespace
}  // namespace scoville::device
