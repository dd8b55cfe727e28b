// A request that goes away leaves the others' tokens alone.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/functional_scenario.h"

namespace scoville::tests {
namespace {

constexpr size_t kVictim = 3;

sim::Scenario Neighbours() {
  sim::Scenario scenario = FunctionalScenario(1, 64, 16);
  scenario.scheduler.max_running = 4;  // so that some wait
  for (uint64_t i = 0; i < 8; ++i) {
    scenario.requests.push_back(SomeRequest(i));
  }
  // Long enough to be caught in every phase.
  scenario.requests[kVictim].text = SomeText(99, 60);
  scenario.requests[kVictim].max_tokens = 60;
  return scenario;
}

struct Phases {
  int queued = 0;
  int prefill = 0;
  int decode = 0;
};

// Cancels the victim `after` its arrival and compares everyone else with `baseline`.
void CancelAt(Duration after, const model::LoadedModel& model,
              const sim::SimulationResult& baseline, Phases& seen) {
  sim::Scenario scenario = Neighbours();
  scenario.requests[kVictim].cancel_after = after;
  const sim::SimulationResult result = MustRun(scenario, model);
  for (size_t i = 0; i < result.answers.size(); ++i) {
    if (i != kVictim) {
      EXPECT_EQ(Bits(result.answers[i].tokens), Bits(baseline.answers[i].tokens))
          << "request " << i << ", cancel after " << after;
      continue;
    }
    const scheduler::RequestRecord& record = result.answers[i].record;
    ASSERT_EQ(record.outcome, scheduler::Outcome::kCancelled) << "cancel after " << after;
    if (!record.was_scheduled) {
      ++seen.queued;
    } else if (record.output_tokens == 0) {
      ++seen.prefill;
    } else {
      ++seen.decode;
      // What was sent before is a prefix of what would have been sent.
      const std::vector<uint64_t> cut = Bits(result.answers[i].tokens);
      std::vector<uint64_t> whole = Bits(baseline.answers[i].tokens);
      ASSERT_LT(cut.size(), whole.size());
      whole.resize(cut.size());
      EXPECT_EQ(cut, whole);
    }
  }
}

// Mirrors ggml-org/llama.cpp #24496, ggml-org/llama.cpp #15232 and ikawrakow/ik_llama.cpp #1929:
// a disconnect corrupted or stalled the other slots.
TEST(NeighboursTest, CancellingInAnyPhaseLeavesNeighboursBitIdentical) {
  const auto model = LoadTinyModel();
  const sim::SimulationResult baseline = MustRun(Neighbours(), *model);
  const scheduler::RequestRecord& victim = baseline.answers[kVictim].record;
  ASSERT_EQ(victim.outcome, scheduler::Outcome::kLength);
  const Duration prefill = victim.scheduled - victim.arrival;
  const Duration first = victim.first_token - victim.arrival;
  const Duration last = victim.last_token - victim.arrival;
  Phases seen;
  for (int64_t i = 0; i < 6; ++i) {
    CancelAt(prefill + (first - prefill) * (2 * i + 1) / 12, *model, baseline, seen);
    CancelAt(first + (last - first) * (2 * i + 1) / 12, *model, baseline, seen);
  }
  CancelAt(Nanoseconds(1), *model, baseline, seen);
  EXPECT_GE(seen.prefill, 4);
  EXPECT_GE(seen.decode, 4);
}

TEST(NeighboursTest, CancellingWhileQueuedLeavesNeighboursBitIdentical) {
  const auto model = LoadTinyModel();
  sim::Scenario scenario = Neighbours();
  scenario.scheduler.max_running = 1;
  const sim::SimulationResult baseline = MustRun(scenario, *model);
  scenario.requests[kVictim].cancel_after = Nanoseconds(1);
  const sim::SimulationResult result = MustRun(scenario, *model);
  ASSERT_FALSE(result.answers[kVictim].record.was_scheduled);
  EXPECT_EQ(result.answers[kVictim].record.outcome, scheduler::Outcome::kCancelled);
  EXPECT_TRUE(result.answers[kVictim].tokens.empty());
  for (size_t i = 0; i < result.answers.size(); ++i) {
    if (i != kVictim) {
      EXPECT_EQ(Bits(result.answers[i].tokens), Bits(baseline.answers[i].tokens));
    }
  }
}

TEST(NeighboursTest, AnExpiredDeadlineLeavesNeighboursBitIdentical) {
  const auto model = LoadTinyModel();
  const sim::SimulationResult baseline = MustRun(Neighbours(), *model);
  const scheduler::RequestRecord& victim = baseline.answers[kVictim].record;
  sim::Scenario scenario = Neighbours();
  scenario.requests[kVictim].deadline = (victim.last_token - victim.arrival) / 2;
  const sim::SimulationResult result = MustRun(scenario, *model);
  EXPECT_EQ(result.answers[kVictim].record.outcome, scheduler::Outcome::kDeadlineExceeded);
  for (size_t i = 0; i < result.answers.size(); ++i) {
    if (i != kVictim) {
      EXPECT_EQ(Bits(result.answers[i].tokens), Bits(baseline.answers[i].tokens));
    }
  }
}

}  // namespace
}  // namespace scoville::tests
