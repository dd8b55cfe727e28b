// Work that is reused gives the same bits as work that is done: prefixes from the cache and from
// host memory, a whole prompt that is cached, and guesses that were checked beside decodes.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/simulation/functional_scenario.h"

namespace scoville::tests {
namespace {

constexpr int64_t kRoomyKv = 2048;
constexpr int64_t kUnchunked = 4096;

class ReusedWorkTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = LoadTinyModel().release(); }
  static void TearDownTestSuite() { delete model_; }

  static std::vector<uint64_t> Alone(sim::WrittenRequest request) {
    sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, kUnchunked);
    scenario.pool.kv.prefix_cache = false;
    request.at = TimePoint();
    scenario.requests.push_back(std::move(request));
    return Bits(MustRun(scenario, *model_).answers[0].tokens);
  }

  static sim::WrittenRequest Request(uint64_t seed, std::string text, int64_t at_ms) {
    sim::WrittenRequest request = SomeRequest(seed);
    request.id = absl::StrCat("r", seed, "-", at_ms);
    request.text = std::move(text);
    request.at = TimePoint() + Milliseconds(at_ms);
    return request;
  }

  static void ExpectAllAsAlone(const sim::Scenario& scenario, const sim::SimulationResult& result) {
    for (size_t i = 0; i < scenario.requests.size(); ++i) {
      EXPECT_EQ(Bits(result.answers[i].tokens), Alone(scenario.requests[i])) << "request " << i;
    }
  }

  static model::LoadedModel* model_;
};

model::LoadedModel* ReusedWorkTest::model_ = nullptr;

TEST_F(ReusedWorkTest, ACachedPrefixGivesTheSameTokensAndCostsNothingAgain) {
  const std::string shared = SomeText(3, 60);
  sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, 64);
  scenario.requests.push_back(Request(0, shared + " " + SomeText(4, 9), 0));
  scenario.requests.push_back(Request(1, shared + " " + SomeText(5, 7), 500));
  scenario.requests.push_back(Request(2, shared + " " + SomeText(6, 8), 501));
  const sim::SimulationResult result = MustRun(scenario, *model_);
  ExpectAllAsAlone(scenario, result);
  EXPECT_EQ(result.answers[0].record.cached_tokens, 0);
  for (const size_t i : {1, 2}) {
    const scheduler::RequestRecord& record = result.answers[i].record;
    EXPECT_GT(record.cached_tokens, record.prompt_tokens / 2);
    EXPECT_LT(record.prefill_energy, result.answers[0].record.prefill_energy);
  }
}

// The last row is computed again, into a copy of the shared page.
TEST_F(ReusedWorkTest, APromptThatIsCachedWholeComputesOneRow) {
  bool whole_blocks = false;
  for (int64_t words = 20; words < 60; ++words) {
    sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, kUnchunked);
    scenario.requests.push_back(Request(1, SomeText(8, words), 0));
    scenario.requests.push_back(Request(2, SomeText(8, words), 500));
    scenario.requests.push_back(Request(3, SomeText(8, words), 500));
    const sim::SimulationResult result = MustRun(scenario, *model_);
    const scheduler::RequestRecord& second = result.answers[1].record;
    if (second.prompt_tokens % scenario.pool.kv_block_size != 0) {
      continue;
    }
    whole_blocks = true;
    EXPECT_EQ(second.cached_tokens, second.prompt_tokens - 1);
    ExpectAllAsAlone(scenario, result);
  }
  EXPECT_TRUE(whole_blocks);
}

TEST_F(ReusedWorkTest, WhatWasEvictedComesBackFromHostMemory) {
  sim::Scenario scenario = FunctionalScenario(1, 24, kUnchunked);
  scenario.pool.host_tier.blocks = 200;
  const std::string first = SomeText(20, 90);
  scenario.requests.push_back(Request(0, first, 0));
  for (int64_t i = 1; i < 8; ++i) {  // push it out
    scenario.requests.push_back(Request(static_cast<uint64_t>(i), SomeText(20 + i, 90), 200 * i));
  }
  scenario.requests.push_back(Request(9, first + " " + SomeText(40, 5), 5'000));
  const sim::SimulationResult result = MustRun(scenario, *model_);
  ExpectAllAsAlone(scenario, result);
  const scheduler::RequestRecord& last = result.answers.back().record;
  EXPECT_GT(last.loaded_tokens, 0);
  EXPECT_LT(last.prefill_energy, result.answers[0].record.prefill_energy);
}

TEST_F(ReusedWorkTest, ASlowLinkIsNotUsed) {
  sim::Scenario scenario = FunctionalScenario(1, 24, kUnchunked);
  scenario.pool.host_tier.blocks = 200;
  scenario.pool.host_tier.bytes_per_second = 1'000'000;
  const std::string first = SomeText(20, 90);
  scenario.requests.push_back(Request(0, first, 0));
  for (int64_t i = 1; i < 8; ++i) {
    scenario.requests.push_back(Request(static_cast<uint64_t>(i), SomeText(20 + i, 90), 200 * i));
  }
  scenario.requests.push_back(Request(9, first, 5'000));
  const sim::SimulationResult result = MustRun(scenario, *model_);
  EXPECT_EQ(result.answers.back().record.loaded_tokens, 0);
}

// A drained device's sequences take their pages along, or compute them again where the link is
// slow: the same tokens, and with pages nothing is computed twice.
TEST_F(ReusedWorkTest, ASequenceThatMovesTakesItsPagesAlong) {
  for (const int64_t rate : {int64_t{50'000'000'000}, int64_t{1'000'000}}) {
    sim::Scenario scenario = FunctionalScenario(2, kRoomyKv, kUnchunked);
    scenario.pool.kv.prefix_cache = false;
    scenario.pool.host_tier.bytes_per_second = rate;
    for (int64_t i = 0; i < 6; ++i) {
      sim::WrittenRequest request =
          Request(static_cast<uint64_t>(i), SomeText(60 + static_cast<uint64_t>(i), 150), 0);
      request.max_tokens = 120;
      scenario.requests.push_back(request);
    }
    sim::ScenarioEvent drain;
    drain.at = TimePoint() + Microseconds(1'500);
    drain.kind = sim::EventKind::kDrainDevice;
    drain.device = 0;
    drain.migrate = true;
    scenario.events.push_back(drain);
    const sim::SimulationResult result = MustRun(scenario, *model_);
    ExpectAllAsAlone(scenario, result);
    EXPECT_GT(result.records.migrations, 0);
    const bool fast = rate > 1'000'000'000;
    EXPECT_EQ(result.records.recomputed_tokens == 0, fast) << rate;
  }
}

// Guesses are checked, never believed: greedy and drawn outputs are the same, logprobs included.
TEST_F(ReusedWorkTest, GuessesChangeNothingButTheNumberOfSteps) {
  int64_t accepted = 0;
  for (const int32_t drafts : {1, 4, 8}) {
    sim::Scenario scenario = FunctionalScenario(2, kRoomyKv, 256);
    scenario.scheduler.max_drafts = drafts;
    for (uint64_t i = 0; i < 12; ++i) {
      const std::string phrase = SomeText(i, 6);
      sim::WrittenRequest request =
          Request(i, absl::StrCat(phrase, " ", phrase, " ", phrase, " ", phrase), 1);
      request.max_tokens = 60;
      // So few tokens are likely that what was said is often said again.
      request.sampling.frequency_penalty = 0;
      request.sampling.top_k = 0;
      for (const int32_t token : {70, 71, 72}) {
        request.sampling.logit_bias.push_back({token, 40.0f});
      }
      scenario.requests.push_back(request);
    }
    const sim::SimulationResult result = MustRun(scenario, *model_);
    ExpectAllAsAlone(scenario, result);
    EXPECT_GT(result.records.draft_tokens, 0);
    accepted += result.records.accepted_draft_tokens;
  }
  EXPECT_GT(accepted, 20);
}

}  // namespace
}  // namespace scoville::tests
