// Runs written requests through the whole simulated core with the tiny model's real arithmetic, and
// compares what they got bit by bit.
#ifndef SCOVILLE_TESTS_SIMULATION_FUNCTIONAL_SCENARIO_H_
#define SCOVILLE_TESTS_SIMULATION_FUNCTIONAL_SCENARIO_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "sim/scenario.h"
#include "sim/simulation.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

inline std::unique_ptr<model::LoadedModel> LoadTinyModel() {
  const std::string dir = MakeTempDir();
  auto model = model::LoadModel(WriteTinyModel(dir, 1), model::LoadWeights::kYes);
  std::error_code ignored;
  std::filesystem::remove_all(dir, ignored);
  CHECK(model.ok());
  return *std::move(model);
}

// A text of about `words` words, drawn by seed.
inline std::string SomeText(uint64_t seed, int64_t words) {
  constexpr const char* kWords[] = {"the", "on",  "rain", "and",   "engine", "heat", "is",
                                    "a",   "in",  "of",   "seven", "lamps",  "to",   "write",
                                    "at",  "was", "red",  "other", "cat",    "for"};
  std::string text;
  for (int64_t i = 0; i < words; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " ",
                    kWords[RandomBelow(seed, 1, static_cast<uint64_t>(i), std::size(kWords))]);
  }
  return text;
}

// Request `index` of a fixed family with different lengths and ways of sampling.
inline sim::WrittenRequest SomeRequest(uint64_t index) {
  sim::WrittenRequest request;
  request.id = absl::StrCat("r", index);
  request.text = SomeText(index, 1 + static_cast<int64_t>(RandomBelow(7, 2, index, 40)));
  request.max_tokens = 20 + static_cast<int64_t>(RandomBelow(7, 3, index, 30));
  request.ignore_eos = true;
  request.sampling.seed = 1000 + index;
  request.sampling.logprobs = 3;
  switch (index % 4) {
    case 0:
      request.sampling.temperature = 0;
      break;
    case 1:
      break;
    case 2:
      request.sampling.top_p = 0.9f;
      request.sampling.temperature = 1.3f;
      break;
    default:
      request.sampling.top_k = 20;
      request.sampling.frequency_penalty = 0.5f;
      break;
  }
  return request;
}

inline sim::Scenario FunctionalScenario(int32_t devices, int64_t kv_blocks,
                                        int64_t max_step_tokens) {
  sim::Scenario scenario;
  scenario.name = "functional";
  scenario.pool.executor = device::ExecutorKind::kFunctional;
  scenario.pool.devices = devices;
  scenario.pool.kv_blocks = kv_blocks;
  scenario.pool.max_step_tokens = max_step_tokens;
  scenario.scheduler.max_step_tokens = max_step_tokens;
  return scenario;
}

inline sim::SimulationResult MustRun(const sim::Scenario& scenario,
                                     const model::LoadedModel& model) {
  auto result = sim::RunScenario(scenario, model);
  CHECK_EQ(result.status(), absl::OkStatus());
  return *std::move(result);
}

// Every bit that a client can see of a token, log probabilities included.
inline std::vector<uint64_t> Bits(const std::vector<model::SampledToken>& tokens) {
  std::vector<uint64_t> bits;
  const auto add = [&](int32_t token, float logprob) {
    bits.push_back(static_cast<uint64_t>(static_cast<uint32_t>(token)) << 32 |
                   std::bit_cast<uint32_t>(logprob));
  };
  for (const model::SampledToken& token : tokens) {
    add(token.token, token.logprob);
    for (const model::TokenLogprob& other : token.top) {
      add(other.token, other.logprob);
    }
  }
  return bits;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SIMULATION_FUNCTIONAL_SCENARIO_H_
