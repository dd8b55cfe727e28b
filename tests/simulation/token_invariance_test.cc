// A request's tokens depend on the request alone, through the whole core: whatever runs beside it,
// on however many devices, in chunks of any size, preempted or not. Mirrors
// vllm-project/vllm #51187, where a batch-invariant mode gave three outputs for one prompt.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/functional_scenario.h"

namespace scoville::tests {
namespace {

constexpr uint64_t kProbes = 6;   // requests that are compared
constexpr uint64_t kOthers = 32;  // requests beside them
constexpr int64_t kRoomyKv = 2048;
constexpr int64_t kUnchunked = 4096;

class TokenInvarianceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = LoadTinyModel().release();
    alone_ = new std::vector<std::vector<uint64_t>>;
    for (uint64_t i = 0; i < kProbes; ++i) {
      sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, kUnchunked);
      scenario.requests.push_back(SomeRequest(i));
      const sim::SimulationResult result = MustRun(scenario, *model_);
      ASSERT_EQ(result.answers[0].tokens.size(),
                static_cast<size_t>(scenario.requests[0].max_tokens));
      ASSERT_EQ(result.answers[0].tokens[0].top.size(), 3u);
      alone_->push_back(Bits(result.answers[0].tokens));
    }
  }
  static void TearDownTestSuite() {
    delete alone_;
    delete model_;
  }

  // The probes among the others, all within a few steps of each other.
  static void AddCrowd(sim::Scenario& scenario, uint64_t others = kOthers) {
    for (uint64_t i = 0; i < kProbes + others; ++i) {
      sim::WrittenRequest request = SomeRequest(i);
      request.at = TimePoint(static_cast<int64_t>(RandomBelow(11, 4, i, 2'000'000)));
      scenario.requests.push_back(request);
    }
  }

  static sim::SimulationResult ExpectSameAsAlone(const sim::Scenario& scenario) {
    sim::SimulationResult result = MustRun(scenario, *model_);
    for (uint64_t i = 0; i < kProbes; ++i) {
      EXPECT_EQ(Bits(result.answers[i].tokens), (*alone_)[i]) << "request " << i;
    }
    return result;
  }

  static model::LoadedModel* model_;
  static std::vector<std::vector<uint64_t>>* alone_;
};

model::LoadedModel* TokenInvarianceTest::model_ = nullptr;
std::vector<std::vector<uint64_t>>* TokenInvarianceTest::alone_ = nullptr;

TEST_F(TokenInvarianceTest, RequestsDifferFromEachOther) {
  for (uint64_t i = 1; i < kProbes; ++i) {
    EXPECT_NE((*alone_)[i], (*alone_)[0]);
  }
}

TEST_F(TokenInvarianceTest, AmongOthersOnOneDevice) {
  sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, kUnchunked);
  AddCrowd(scenario);
  const sim::SimulationResult result = ExpectSameAsAlone(scenario);
  // They really ran together.
  EXPECT_LT(result.records.steps, result.records.output_tokens / 8);
}

TEST_F(TokenInvarianceTest, AmongOthersOnThreeDevices) {
  sim::Scenario scenario = FunctionalScenario(3, kRoomyKv, kUnchunked);
  AddCrowd(scenario);
  const sim::SimulationResult result = ExpectSameAsAlone(scenario);
  std::vector<int64_t> probes_on(3, 0);
  for (uint64_t i = 0; i < kProbes; ++i) {
    ++probes_on[result.answers[i].record.device.value];
  }
  EXPECT_LT(*std::max_element(probes_on.begin(), probes_on.end()), static_cast<int64_t>(kProbes));
}

class ChunkedTokens : public TokenInvarianceTest, public ::testing::WithParamInterface<int64_t> {};

TEST_P(ChunkedTokens, InStepsOfAtMostSoManyTokens) {
  sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, GetParam());
  AddCrowd(scenario);
  ExpectSameAsAlone(scenario);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ChunkedTokens, ::testing::Values(1, 7, 64, kUnchunked));

class PreemptedTokens : public TokenInvarianceTest,
                        public ::testing::WithParamInterface<int64_t> {};

TEST_P(PreemptedTokens, WithKvSoShortThatRequestsLoseTheirPlace) {
  sim::Scenario scenario = FunctionalScenario(2, 16, GetParam());
  scenario.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  scenario.pool.kv.prefix_cache = false;
  AddCrowd(scenario);
  const sim::SimulationResult result = ExpectSameAsAlone(scenario);
  EXPECT_GT(result.records.preemptions, 0);
  EXPECT_GT(result.records.recomputed_tokens, 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, PreemptedTokens, ::testing::Values(7, 64, kUnchunked));

TEST_F(TokenInvarianceTest, TheProbesThemselvesAreAmongThePreempted) {
  int preempted = 0;
  for (int64_t blocks = 8; blocks <= 14; ++blocks) {
    sim::Scenario scenario = FunctionalScenario(1, blocks, 64);
    scenario.scheduler.victims = scheduler::VictimPolicy::kNewest;
    scenario.scheduler.join = scheduler::JoinPolicy::kPromptFits;
    AddCrowd(scenario, 0);
    const sim::SimulationResult result = ExpectSameAsAlone(scenario);
    for (const sim::Answer& answer : result.answers) {
      preempted += answer.record.preemptions > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(preempted, 1);
}

TEST_F(TokenInvarianceTest, UnderALowPowerCap) {
  sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, 64);
  scenario.pool.power.cap = Watts(200);
  AddCrowd(scenario);
  ExpectSameAsAlone(scenario);
}

TEST_F(TokenInvarianceTest, AChangedSeedChangesTheTokens) {
  sim::Scenario scenario = FunctionalScenario(1, kRoomyKv, 64);
  scenario.requests.push_back(SomeRequest(1));
  scenario.requests[0].sampling.seed += 1;
  const sim::SimulationResult result = MustRun(scenario, *model_);
  EXPECT_NE(Bits(result.answers[0].tokens), (*alone_)[1]);
}

}  // namespace
}  // namespace scoville::tests
