// Steps of vLLM on an H100 as a public benchmark measured them, and the two terms that they
// brought: sampling on the chip, and decodes whose few query rows fill whole tiles of the matrix
// units.
//
// Measured rows: "The ML.ENERGY Benchmark", NeurIPS Datasets and Benchmarks 2025 (steady state,
// mean power of a board, batch over output tokens a second). Prompt lengths are not published: 250
// tokens assumed for chat, 400 for GPQA. No constant was fitted to these Qwen3-8B rows; all rows
// with their errors: tests/validation/README.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <utility>

#include "base/status_macros.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "model/card/model_card_reader.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

Profile H100() {
  absl::StatusOr<Profile> profile = BuiltinProfile("h100-sxm");
  CHECK(profile.ok());
  return std::move(profile).value();
}

Profile With(const Profile& profile, const char* key, double value) {
  const std::pair<std::string, double> change[] = {{key, value}};
  absl::StatusOr<Profile> changed = WithNumbers(profile, change);
  CHECK(changed.ok());
  return std::move(changed).value();
}

ModelTiming TimingOf(const Profile& profile, const char* card, int64_t chips) {
  absl::StatusOr<model::ModelCard> found = model::FindCard(card);
  CHECK(found.ok());
  return Timing(profile, *found, chips);
}

struct MeasuredStep {
  const char* what;
  int64_t running;
  int64_t context;  // prompt and half of the mean output
  double seconds;
  double watts;
};

TEST(MeasuredStepsTest, Qwen3Of8BOnAnH100) {
  const Profile profile = H100();
  const ModelTiming model = TimingOf(profile, "qwen3-8b", 1);
  const PowerModel power(profile, 1);
  const int top = profile.top_state();
  constexpr double kTolerance = 0.15;
  for (const MeasuredStep& m : {MeasuredStep{"chat", 16, 580, 9.14e-3, 451.34},
                                MeasuredStep{"chat", 64, 572, 14.81e-3, 514.39},
                                MeasuredStep{"GPQA", 16, 4331, 11.90e-3, 541.6},
                                MeasuredStep{"GPQA", 63, 4583, 25.21e-3, 669.75}}) {
    const StepPrice price =
        PriceStep(profile, model, ShapeOf(Decodes(m.running, m.context), model.rules), top);
    const double seconds = ToSeconds(price.duration);
    const double watts = power.StepEnergy(price, top).joules() / seconds;
    std::printf("[ figure   ] %s, %d running: %.2f ms (measured %.2f), %.0f W (%.0f)\n", m.what,
                static_cast<int>(m.running), seconds * 1e3, m.seconds * 1e3, watts, m.watts);
    EXPECT_NEAR(seconds, m.seconds, kTolerance * m.seconds) << m.what << " " << m.running;
    EXPECT_NEAR(watts, m.watts, kTolerance * m.watts) << m.what << " " << m.running;
  }
}

TEST(MeasuredStepsTest, SamplingMovesItsBytesForEachRowOnEachChip) {
  const Profile without = With(H100(), "sampling_traffic", 0);
  const Profile with = With(without, "sampling_traffic", 1e8);
  constexpr int64_t kRows = 96;
  for (const int64_t chips : {1, 4}) {
    const ModelTiming model = TimingOf(with, "llama-3.1-8b", chips);
    const StepShape shape = ShapeOf(Decodes(kRows, 1024), model.rules);
    const StepPrice a = PriceStep(without, model, shape, with.top_state());
    const StepPrice b = PriceStep(with, model, shape, with.top_state());
    EXPECT_NEAR(b.head.bytes_per_chip - a.head.bytes_per_chip, 1e8 * kRows, 1);
    EXPECT_EQ(a.host_gap, b.host_gap);
    const double bare = 1e8 * kRows / with.hbm_bandwidth.value;
    const double longer = ToSeconds(b.forward - a.forward);
    EXPECT_GT(longer, bare);
    EXPECT_LT(longer, 1.3 * bare);
    EXPECT_LT(b.mbu, a.mbu);  // it is neither weights nor KV
  }
}

TEST(MeasuredStepsTest, FilledUpQueryRowsCostEnergyAloneAndOnlyInDecodes) {
  const Profile bare = With(H100(), "decode_query_rows", 1);
  const Profile filled = With(bare, "decode_query_rows", 128);
  const ModelTiming model = TimingOf(bare, "qwen3-8b", 1);  // four query heads to a KV head
  const int top = bare.top_state();
  const StepShape decodes = ShapeOf(Decodes(64, 4096), model.rules);
  const StepPrice a = PriceStep(bare, model, decodes, top);
  const StepPrice b = PriceStep(filled, model, decodes, top);
  EXPECT_EQ(a.duration, b.duration);
  EXPECT_EQ(a.flops_model, b.flops_model);
  EXPECT_EQ(a.mfu, b.mfu);
  EXPECT_DOUBLE_EQ(b.attention[1].flops_executed, 32 * a.attention[1].flops_executed);
  EXPECT_GT(PowerModel(filled, 1).Forward(b, top), PowerModel(bare, 1).Forward(a, top));

  const StepShape prompt = ShapeOf({SequenceWork{StepRole::kPrefill, 0, 512, 1, 0}}, model.rules);
  EXPECT_EQ(PriceStep(bare, model, prompt, top).flops_executed,
            PriceStep(filled, model, prompt, top).flops_executed);
}

// The bound that static clocks are chosen by holds for steps whose decodes fill up their rows.
TEST(MeasuredStepsTest, NoStepDrawsMoreThanTheWorstCase) {
  for (const char* name : {"h100-sxm", "b200-sxm"}) {
    absl::StatusOr<Profile> profile = BuiltinProfile(name);
    ASSERT_TRUE(profile.ok());
    for (const char* card : {"qwen3-8b", "llama-3.1-70b", "gpt-oss-20b"}) {
      const ModelTiming model = TimingOf(*profile, card, 2);
      const PowerModel power(*profile, 2);
      for (uint64_t index = 0; index < 100; ++index) {
        const StepShape shape = ShapeOf(RandomWork(index), model.rules);
        for (int state = 0; state <= profile->top_state(); state += 6) {
          const StepPrice price = PriceStep(*profile, model, shape, state);
          EXPECT_LE(power.Forward(price, state, power.TripLeakage()), power.WorstCase(state))
              << name << " " << card << " " << index << " " << state;
        }
      }
    }
  }
}

}  // namespace
}  // namespace scoville::device
