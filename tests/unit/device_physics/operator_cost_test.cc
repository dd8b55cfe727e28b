// The operator forms: prices worked out apart from this code, sums against single calls, and steps
// that are composed of them.
#include "device/physics/operator_cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"
#include "device/physics/token_cost.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

Profile Builtin(const std::string& name) {
  absl::StatusOr<Profile> profile = BuiltinProfile(name);
  CHECK(profile.ok());
  return *std::move(profile);
}

AttentionShape Heads(double heads, double kv_heads, double kv_bytes = 2) {
  return {heads, kv_heads, 128, kv_bytes};
}

DecodeSums SameContexts(double sequences, double context) {
  const double tiles = std::ceil(context / kKvTile);
  return {sequences, sequences * tiles, tiles};
}

PrefillSums SamePrompts(const Profile& p, const AttentionShape& shape, double count, double tokens,
                        double cached) {
  PrefillSums sums = PrefillOf(p, shape, tokens, cached);
  for (double* sum : {&sums.tokens, &sums.cached, &sums.tiles, &sums.items, &sums.item_rows}) {
    *sum *= count;
  }
  return sums;
}

// Microseconds that the calibration's own implementation (tests/validation/operator_model.py) gives
// with the constants unrounded.
TEST(OperatorCostTest, ProductsCostWhatTheCalibrationSays) {
  struct Golden {
    const char* profile;
    MathType math;
    double m, n, k, microseconds;
  };
  for (const Golden& g : std::vector<Golden>{
           {"h100-sxm", MathType::kBf16, 1, 4096, 4096, 14.4530},
           {"h100-sxm", MathType::kBf16, 256, 28672, 4096, 101.4488},
           {"h100-sxm", MathType::kBf16, 2048, 6144, 4096, 130.2528},
           {"h100-sxm", MathType::kFp8, 257, 4096, 4096, 23.3668},
           {"b200-sxm", MathType::kBf16, 1, 4096, 4096, 7.8063},
           {"b200-sxm", MathType::kBf16, 256, 28672, 4096, 55.0385},
           {"b200-sxm", MathType::kBf16, 2048, 6144, 4096, 76.8506},
           {"a100-80g-sxm", MathType::kBf16, 1, 4096, 4096, 26.8376},
           {"a100-80g-sxm", MathType::kBf16, 256, 28672, 4096, 285.2736},
           {"a100-80g-sxm", MathType::kBf16, 2048, 6144, 4096, 469.8663},
       }) {
    const OperatorTime t = TimeGemm(Builtin(g.profile), g.math, {g.m, g.n, g.k});
    EXPECT_NEAR(t.Seconds() * 1e6, g.microseconds, 1e-3 * g.microseconds)
        << g.profile << " " << g.m << " " << g.n << " " << g.k;
    EXPECT_GE(t.flops_executed, 2 * g.m * g.n * g.k);
  }
}

TEST(OperatorCostTest, AttentionCostsWhatTheCalibrationSays) {
  struct Golden {
    const char* profile;
    double count, tokens, cached, kv_bytes, prefill;  // microseconds; 0: not a prompt
    double decode;
  };
  for (const Golden& g : std::vector<Golden>{
           {"h100-sxm", 1, 1, 127, 2, 0, 12.3603},
           {"h100-sxm", 64, 1, 2047, 2, 0, 198.2986},
           {"h100-sxm", 64, 1, 2047, 1, 0, 117.9175},
           {"h100-sxm", 1, 512, 0, 2, 23.7645, 0},
           {"h100-sxm", 4, 2048, 0, 2, 345.1415, 0},
           {"h100-sxm", 1, 512, 4096, 2, 82.8537, 0},
           {"b200-sxm", 1, 1, 127, 2, 0, 6.5147},
           {"b200-sxm", 64, 1, 2047, 2, 0, 80.6387},
           {"b200-sxm", 64, 1, 2047, 1, 0, 47.1944},
           {"b200-sxm", 1, 512, 0, 2, 15.5654, 0},
           {"b200-sxm", 4, 2048, 0, 2, 163.7425, 0},
           {"b200-sxm", 1, 512, 4096, 2, 82.4581, 0},
       }) {
    const Profile p = Builtin(g.profile);
    const AttentionShape shape = Heads(32, 8, g.kv_bytes);
    const double golden = g.prefill + g.decode;
    const OperatorTime t =
        g.prefill > 0 ? TimePrefill(p, shape, SamePrompts(p, shape, g.count, g.tokens, g.cached))
                      : TimeDecodes(p, shape, SameContexts(g.count, g.cached + 1));
    EXPECT_NEAR(t.Seconds() * 1e6, golden, 1e-3 * golden) << g.profile << " " << golden;
  }
}

TEST(OperatorCostTest, OneLaunchCostsWhatTheCalibrationSays) {
  const Profile p = Builtin("rtx-pro-6000-server");
  const AttentionShape shape = Heads(32, 8);
  const LaunchTime t =
      TimeOneLaunch(p, shape, PrefillOf(p, shape, 512, 1024), SameContexts(64, 1000));
  EXPECT_NEAR(t.Seconds() * 1e6, 426.3880, 1e-3 * 426.3880);
  // Both parts stand in the sum, none of them twice.
  const LaunchTime alone = TimeOneLaunch(p, shape, PrefillOf(p, shape, 512, 1024), DecodeSums());
  EXPECT_LT(alone.Seconds(), t.Seconds());
  EXPECT_EQ(alone.decodes.compute_seconds, 0);
  EXPECT_EQ(alone.prompts.bytes, t.prompts.bytes);
}

// Four ranks, by hand: 4.181 + 4 x 0.1065 us; one pass moves 3 V, two move 1.5 V and cost 4.308 us.
TEST(OperatorCostTest, AllReducesTakeTheFasterWay) {
  const Profile p = Builtin("h100-sxm");
  const double rate = 0.7421 * 450e9;
  const AllReduceTime small = TimeAllReduce(p, 4, 8192, 450e9);
  EXPECT_NEAR(small.latency_seconds, 4.607e-6, 1e-12);
  EXPECT_NEAR(small.transfer_seconds, 3 * 8192 / rate, 1e-15);
  const AllReduceTime large = TimeAllReduce(p, 4, 64e6, 450e9);
  EXPECT_NEAR(large.latency_seconds, 8.915e-6, 1e-12);
  EXPECT_NEAR(large.transfer_seconds, 1.5 * 64e6 / rate, 1e-12);
}

TEST(OperatorCostTest, NarrowProductsTakeTheWiderConstantsAtTheirOwnRate) {
  const Profile p = Builtin("b200-sxm");
  ASSERT_EQ(p.Gemm(MathType::kFp8), p.Gemm(MathType::kBf16));
  const GemmShape big{8192, 8192, 8192};
  const double ratio = TimeGemm(p, MathType::kBf16, big).compute_seconds /
                       TimeGemm(p, MathType::kFp8, big).compute_seconds;
  EXPECT_NEAR(ratio,
              p.Peak(MathType::kFp8) * p.Efficiency(MathType::kFp8) /
                  (p.Peak(MathType::kBf16) * p.Efficiency(MathType::kBf16)),
              0.05);
  EXPECT_EQ(DefaultProfile().Gemm(MathType::kFp8), nullptr);
  EXPECT_NE(Builtin("h100-sxm").Gemm(MathType::kFp8), Builtin("h100-sxm").Gemm(MathType::kBf16));
}

TEST(OperatorCostTest, ProductsOfExpertsFillTheUnitsTogether) {
  const Profile p = Builtin("h100-sxm");
  GemmShape shape{16, 1024, 2048};
  const OperatorTime one = TimeGemm(p, MathType::kBf16, shape);
  shape.copies = 32;
  const OperatorTime many = TimeGemm(p, MathType::kBf16, shape);
  EXPECT_DOUBLE_EQ(many.bytes, 32 * one.bytes);
  EXPECT_EQ(many.latency_seconds, one.latency_seconds);
  EXPECT_LT(many.compute_seconds, 32 * one.compute_seconds);
  // A narrower stored weight is less traffic.
  shape.weight_bytes = 0.53;
  EXPECT_NEAR(many.bytes - TimeGemm(p, MathType::kBf16, shape).bytes, 32 * 1.47 * 1024 * 2048, 1);
}

model::ModelCard Llama8B() {
  model::ModelCard c = Dense70B();
  c.name = "llama-8b";
  c.groups = {{32, 0, 14336, 0, 0, 0}};
  c.width = 4096;
  c.heads = 32;
  c.weights = c.activations = c.kv = model::Precision::kBf16;
  return c;
}

// The sums that steps are priced by are those of single calls.
TEST(OperatorCostTest, TheShapesSumsAreTheCalls) {
  for (const char* name : {"h100-sxm", "b200-sxm", "rtx-pro-6000-server"}) {
    const Profile p = Builtin(name);
    const ModelTiming model = Timing(p, Llama8B(), 1);
    const AttentionShape heads = Heads(32, 8);
    for (uint64_t index = 0; index < 100; ++index) {
      const std::vector<SequenceWork> work = RandomWork(index);
      double items = 0, item_rows = 0, tiles[2] = {0, 0}, longest = 0;
      for (const SequenceWork& w : work) {
        const double c = static_cast<double>(w.cached);
        const double q = static_cast<double>(w.new_tokens);
        if (w.role == StepRole::kDecode) {
          tiles[1] += std::ceil((c + 1) / kKvTile);
          continue;
        }
        const PrefillSums one = PrefillOf(p, heads, q, c);
        items += one.items;
        item_rows += one.item_rows;
        tiles[0] += one.tiles;
        longest = std::max(longest, one.longest_rows);
      }
      const StepShape shape = ShapeOf(work, model.rules);
      EXPECT_EQ(static_cast<double>(shape.items), items) << name << index;
      EXPECT_NEAR(static_cast<double>(shape.item_rows) / 8.0, item_rows, 1e-9 * item_rows);
      EXPECT_EQ(static_cast<double>(shape.kv_tiles[0]), tiles[0]);
      EXPECT_EQ(static_cast<double>(shape.kv_tiles[1]), tiles[1]);
      EXPECT_EQ(std::ceil(static_cast<double>(shape.longest_prompt) / kKvTile) * kKvTile, longest);
    }
  }
}

// A step of decodes on two H100s, operator by operator.
TEST(OperatorCostTest, AStepIsItsOperators) {
  const Profile p = Builtin("h100-sxm");
  const ModelTiming model = Timing(p, Llama8B(), 2);
  const StepPrice price =
      PriceStep(p, model, ShapeOf(Decodes(48, 1999), model.rules), p.top_state());
  const auto gemm = [&](double n, double k) {
    return TimeGemm(p, MathType::kBf16, {48, n, k}).Seconds();
  };
  const double elementwise =
      48 * (16.0 * 4096 + 4 * 40 * 128 / 2.0 + 6 * 14336 / 2.0) / (0.842 * 3.35e12);
  const AllReduceTime reduce = TimeAllReduce(p, 2, 48 * 4096 * 2, 450e9);
  const double attention = TimeDecodes(p, Heads(16, 4), SameContexts(48, 2000)).Seconds();
  const double layer = gemm(3072, 4096) + gemm(4096, 2048) + gemm(14336, 4096) + gemm(4096, 7168) +
                       elementwise + attention + p.issue_latency.value +
                       2 * (reduce.latency_seconds + reduce.transfer_seconds);
  const HeadCost head = PriceHead(p, model, 48);
  EXPECT_GE(head.Seconds(1.0) + head.latency_seconds, gemm(128256 / 2.0, 4096));
  const double forward = 32 * layer + head.Seconds(1.0) + head.latency_seconds;
  EXPECT_NEAR(price.forward_seconds, forward, 1e-9 * forward);
}

// Decodes beside a chunk lose their own kernel on the chip that runs them in one launch.
TEST(OperatorCostTest, AChunkDrawsTheDecodesIntoItsLaunch) {
  const Profile p = Builtin("rtx-pro-6000-server");
  const ModelTiming model = Timing(p, Llama8B(), 1);
  std::vector<SequenceWork> work = Decodes(64, 999);
  work.push_back(SequenceWork{StepRole::kPrefill, 1024, 512, 0, 0});
  const StepPrice price = PriceStep(p, model, ShapeOf(work, model.rules), p.top_state());
  const AttentionShape heads = Heads(32, 8);
  const LaunchTime t =
      TimeOneLaunch(p, heads, PrefillOf(p, heads, 512, 1024), SameContexts(64, 1000));
  EXPECT_NEAR(price.attention[0].compute_seconds, 32 * t.prompts.compute_seconds, 1e-12);
  EXPECT_NEAR(price.attention[1].compute_seconds, 32 * t.decodes.compute_seconds, 1e-12);
  EXPECT_NEAR(price.attention[1].memory_seconds, 32 * t.decodes.memory_seconds, 1e-12);
}

TEST(OperatorCostTest, LongContextsSetThePaceWhileAllPairsRunAtOnce) {
  const Profile p = Builtin("h100-sxm");
  const AttentionShape shape = Heads(32, 8);
  DecodeSums uneven = SameContexts(16, 2048);
  uneven.longest_tiles = 64;
  EXPECT_GT(TimeDecodes(p, shape, uneven).Seconds(),
            TimeDecodes(p, shape, SameContexts(16, 2048)).Seconds());
  // Over several waves the units even out.
  DecodeSums many = SameContexts(256, 2048);
  many.longest_tiles = 64;
  EXPECT_EQ(TimeDecodes(p, shape, many).Seconds(),
            TimeDecodes(p, shape, SameContexts(256, 2048)).Seconds());
}

// Whatever the step, its phases keep below the bound that caps rely on, and its parts stay sane.
TEST(OperatorCostTest, NoStepDrawsMoreThanTheWorstCase) {
  for (const char* name : {"h100-sxm", "b200-sxm", "a100-80g-sxm", "rtx-pro-6000-server"}) {
    const Profile p = Builtin(name);
    for (const int64_t chips : {1, 4}) {
      const ModelTiming model = Timing(p, chips == 1 ? Llama8B() : Dense70B(), chips);
      const PowerModel power(p, chips);
      StepPricer pricer(&p, model, 4096);
      for (uint64_t index = 0; index < 300; ++index) {
        const StepShape shape = ShapeOf(RandomWork(index), model.rules);
        const int state = static_cast<int>(index % p.pstates.size());
        const StepPrice price = PriceStep(p, model, shape, state);
        EXPECT_LE(power.Forward(price, state), power.WorstCase(state)) << name << index;
        EXPECT_EQ(price.stalls.total(), price.duration);
        EXPECT_LE(price.mfu, 1);
        EXPECT_LE(price.mbu, 1);
        const StepPrice again = pricer.Price(shape, StepClock{state, state, false});
        EXPECT_EQ(again.duration, price.duration) << name << index;
        EXPECT_EQ(again.stalls.compute, price.stalls.compute);
        if (state > 0) {
          EXPECT_GE(PriceStep(p, model, shape, state - 1).duration, price.duration);
        }
      }
    }
  }
}

}  // namespace
}  // namespace scoville::device
