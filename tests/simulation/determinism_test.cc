// A run depends on its inputs alone: one scenario has one event hash, twice in one process and in
// two processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/simulation.h"
#include "tests/support/child_process.h"
#include "tests/support/tiny_model.h"

namespace scoville::sim {
namespace {

using ::testing::HasSubstr;

// Every draw and every kind of end: a tight pool, cancels, a short queue.
constexpr const char* kSynthetic = R"(
name: crowded
pool: {devices: 3, executor: synthetic, kv_blocks: 120}
scheduler: {max_running: 24, max_queued_requests: 40, max_step_tokens: 96}
workload:
  requests: 400
  arrivals: {kind: poisson, rate: 4000}
  prompt: {kind: lognormal, median: 60, sigma: 0.8, low: 1, high: 600}
  output: {kind: uniform, low: 1, high: 120}
  cancel_share: 0.3
requests:
  - {id: written, at: 5ms, text: "Good morning", max_tokens: 40, deadline: 6ms}
)";

constexpr const char* kFunctional = R"(
name: small-functional
pool: {devices: 2, executor: functional, kv_blocks: 24}
scheduler: {max_step_tokens: 16}
requests:
  - {id: a, text: "The cat sat on the mat", max_tokens: 60, ignore_eos: true, seed: 4}
  - {id: b, text: "One two three", max_tokens: 60, ignore_eos: true, temperature: 0}
  - {id: c, at: 100us, chat: "Hello there", max_tokens: 60, ignore_eos: true, seed: 5, top_p: 0.9}
  - {id: d, at: 1ms, text: "x", max_tokens: 60, ignore_eos: true, cancel_after: 2ms}
)";

class ScratchDir {
 public:
  ScratchDir() : path_(tests::MakeTempDir()) {}
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::string path = absl::StrCat(path_, "/", name);
    std::ofstream out(path, std::ios::binary);
    out << text;
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

SimulationResult RunHere(const std::string& path) {
  const auto scenario = LoadScenario(path);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  const auto model = LoadScenarioModel(*scenario);
  EXPECT_TRUE(model.ok()) << model.status();
  auto result = RunScenario(*scenario, **model);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

nlohmann::json RunProcess(const std::string& path) {
  const tests::ProgramResult result =
      tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", path, "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return nlohmann::json::parse(result.out, nullptr, false);
}

void ExpectOneHash(const std::string& path) {
  const SimulationResult first = RunHere(path);
  const SimulationResult second = RunHere(path);
  EXPECT_EQ(first.event_hash, second.event_hash);
  EXPECT_EQ(RequestsToJsonLines(first), RequestsToJsonLines(second));
  nlohmann::json here = nlohmann::json::parse(ToJson(MakeReport(first, 0)));
  nlohmann::json there = RunProcess(path);
  nlohmann::json again = RunProcess(path);
  ASSERT_TRUE(there.is_object());
  EXPECT_EQ(there["event_hash"], first.event_hash.ToString());
  // All figures but the host's own time agree.
  for (nlohmann::json* report : {&here, &there, &again}) {
    report->erase("host_seconds");
  }
  EXPECT_EQ(here, there);
  EXPECT_EQ(there, again);
}

TEST(DeterminismTest, ASyntheticScenarioHasOneHash) {
  const ScratchDir dir;
  const std::string path = dir.Write("s.yaml", absl::StrCat("seed: 5\n", kSynthetic));
  const SimulationResult result = RunHere(path);
  // The scenario is only worth something if it goes everywhere.
  EXPECT_GT(result.records.preemptions, 0);
  const Report report = MakeReport(result, 0);
  EXPECT_TRUE(report.outcomes.contains("cancelled"));
  EXPECT_TRUE(report.outcomes.contains("length"));
  EXPECT_TRUE(report.refusals.contains("queue_full"));
  ExpectOneHash(path);
}

TEST(DeterminismTest, AnotherSeedHasAnotherHash) {
  const ScratchDir dir;
  const std::string a = dir.Write("a.yaml", absl::StrCat("seed: 5\n", kSynthetic));
  const std::string b = dir.Write("b.yaml", absl::StrCat("seed: 6\n", kSynthetic));
  EXPECT_NE(RunHere(a).event_hash, RunHere(b).event_hash);
}

TEST(DeterminismTest, AFunctionalScenarioHasOneHash) {
  const ScratchDir dir;
  const std::string model = tests::WriteTinyModel(dir.path(), 1);
  const std::string path =
      dir.Write("f.yaml", absl::StrCat("model: \"", model, "\"\n", kFunctional));
  ExpectOneHash(path);
}

TEST(SimProgramTest, AMissingScenarioIsNamed) {
  const tests::ProgramResult result =
      tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", "/nowhere/at/all.yaml"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("/nowhere/at/all.yaml"));
}

TEST(SimProgramTest, ABadScenarioIsRefusedWithItsPlace) {
  const ScratchDir dir;
  const std::string path = dir.Write("bad.yaml", "name: x\npool:\n  device: 3\n");
  const tests::ProgramResult result = tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", path});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("bad.yaml:3:3"));
  EXPECT_THAT(result.err, HasSubstr("devices"));
}

TEST(SimProgramTest, AMissingModelIsNamed) {
  const ScratchDir dir;
  const std::string path =
      dir.Write("m.yaml", "name: x\nmodel: /nowhere/m.gguf\nworkload: {requests: 1}\n");
  const tests::ProgramResult result = tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", path});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("/nowhere/m.gguf"));
}

TEST(SimProgramTest, UnknownFlagsAreAUsageError) {
  EXPECT_EQ(tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", "--jsn"}).exit_code, 2);
  EXPECT_EQ(tests::RunProgram({SCOVILLE_SIM_PROGRAM}).exit_code, 2);
  EXPECT_EQ(tests::RunProgram({SCOVILLE_SIM_PROGRAM, "--help"}).exit_code, 0);
}

TEST(SimProgramTest, WritesOneLineOfJsonForEachRequest) {
  const ScratchDir dir;
  const std::string path = dir.Write("s.yaml", "name: x\nworkload: {requests: 7}\n");
  const std::string out = absl::StrCat(dir.path(), "/requests.jsonl");
  ASSERT_EQ(tests::RunProgram({SCOVILLE_SIM_PROGRAM, "run", path, "--requests", out}).exit_code, 0);
  std::ifstream in(out);
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << line;
    EXPECT_EQ(json["outcome"], "length");
    EXPECT_EQ(json["output_tokens"], 128);
  }
  EXPECT_EQ(lines, 7);
}

}  // namespace
}  // namespace scoville::sim
