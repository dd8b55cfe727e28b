// Jalapeño's published figures from the built-in profile and cards: one set of numbers, four
// figures (openai.com/index/jalapeno-first-results; InferenceX, 8k in, 1k out), and never above 550
// W.
//
// Concurrency and parallelism are not published. Assumed: the least time between tokens with one
// sequence on eight tensor-parallel chips; the throughput on eight chips with whole experts and
// data-parallel attention, where each output token comes with eight of a prompt. DeepSeek-R1's
// least time set the issue latency and both throughputs the efficiency, so only gpt-oss's least
// time and the watts are predictions; the rest is consistency.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "device/physics/power_model.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"
#include "model/card/model_card.h"
#include "model/card/model_card_reader.h"

namespace scoville::device {
namespace {

constexpr int64_t kChips = 8;
constexpr int64_t kPrompt = 8192;
constexpr int64_t kContext = kPrompt + 512;  // half way through an output of 1,024
constexpr int64_t kPromptPerOutput = 8;
constexpr int64_t kChunk = 2048;
constexpr int64_t kChunksPerPrompt = kPrompt / kChunk;
constexpr double kTdpKilowatts = 0.7;
constexpr double kTimeTolerance = 0.15;
constexpr double kRateTolerance = 0.25;
constexpr double kMostWatts = 550;

model::ModelCard Card(const std::string& name) {
  absl::StatusOr<model::ModelCard> card = model::FindCard(name);
  CHECK(card.ok());
  card->kv = model::Precision::kFp8;
  return std::move(card).value();
}

model::ModelCard DeepSeekR1() {
  model::ModelCard card = Card("deepseek-r1");
  card.weights = model::Precision::kMxfp4;
  card.expert_weights = model::Precision::kMxfp4;
  card.activations = model::Precision::kFp8;
  card.weight_bytes = 0;
  return card;
}

ModelTiming TimingOf(const model::ModelCard& card, const Parallelism& parallelism) {
  absl::StatusOr<ModelTiming> timing = MakeModelTiming(DefaultProfile(), card, parallelism);
  CHECK(timing.ok());
  return std::move(timing).value();
}

// `running` sequences decode and eight times as many prompt tokens ride along, in chunks that stand
// evenly over their prompts.
StepShape MixedShape(const ShapeRules& rules, int64_t running) {
  StepShape shape;
  for (int64_t i = 0; i < running; ++i) {
    shape.Add(SequenceWork{StepRole::kDecode, kContext, 1, 1, 0}, rules);
  }
  const int64_t fresh = running * kPromptPerOutput;
  const int64_t chunk = std::min(kChunk, fresh / kChunksPerPrompt);
  for (int64_t i = 0; i < fresh / chunk; ++i) {
    const int64_t place = i % kChunksPerPrompt;
    const int64_t rows = place + 1 == kChunksPerPrompt ? 1 : 0;
    shape.Add(SequenceWork{StepRole::kPrefill, place * kChunk, chunk, rows, 0}, rules);
  }
  return shape;
}

double WattsPerChip(const StepPrice& price) {
  const Profile profile = DefaultProfile();
  const PowerModel power(profile, kChips);
  return ToWatts(power.Forward(price, profile.top_state())) / static_cast<double>(kChips);
}

void ExpectLeastTime(const model::ModelCard& card, double published_seconds) {
  const Profile profile = DefaultProfile();
  const ModelTiming timing = TimingOf(card, Parallelism{kChips, false, false});
  StepShape shape;
  shape.Add(SequenceWork{StepRole::kDecode, kContext, 1, 1, 0}, timing.rules);
  const StepPrice price = PriceStep(profile, timing, shape, profile.top_state());
  const double seconds = ToSeconds(price.duration);
  std::printf("[ figure   ] %s: %.3f ms, published %.2f, %.0f W a chip\n", card.name.c_str(),
              seconds * 1e3, published_seconds * 1e3, WattsPerChip(price));
  EXPECT_NEAR(seconds, published_seconds, kTimeTolerance * published_seconds);
  EXPECT_LE(WattsPerChip(price), kMostWatts);
}

void ExpectThroughput(const model::ModelCard& card, double published) {
  const Profile profile = DefaultProfile();
  const ModelTiming timing = TimingOf(card, Parallelism{kChips, true, true});
  for (const int64_t running : {512, 1024, 2048, 4096}) {
    const StepPrice price =
        PriceStep(profile, timing, MixedShape(timing.rules, running), profile.top_state());
    const double tokens = static_cast<double>(running * (1 + kPromptPerOutput));
    const double rate =
        tokens / ToSeconds(price.duration) / static_cast<double>(kChips) / kTdpKilowatts;
    std::printf("[ figure   ] %s, %d running: %.0f tokens/s/kW, published %.0f, %.0f W a chip\n",
                card.name.c_str(), static_cast<int>(running), rate, published, WattsPerChip(price));
    EXPECT_NEAR(rate, published, kRateTolerance * published) << running;
    EXPECT_LE(WattsPerChip(price), kMostWatts) << running;
  }
}

TEST(PublishedPointsTest, LeastTimeOfGptOss120B) { ExpectLeastTime(Card("gpt-oss-120b"), 0.69e-3); }

TEST(PublishedPointsTest, LeastTimeOfDeepSeekR1) { ExpectLeastTime(DeepSeekR1(), 1.43e-3); }

TEST(PublishedPointsTest, ThroughputOfGptOss120B) {
  ExpectThroughput(Card("gpt-oss-120b"), 85'448);
}

TEST(PublishedPointsTest, ThroughputOfDeepSeekR1) { ExpectThroughput(DeepSeekR1(), 19'641); }

}  // namespace
}  // namespace scoville::device
