// Speed of the simulator: steps, requests and events per second of host time.
//
//   bench_sim [--rounds N] [--requests N] [--model FILE.gguf] [CASE...]
//
// Cases: dense, a closed loop of 64 users with distinct prompts of 1,024 tokens and 128 to
// generate, a step budget of 8,192, KV for 1,048,576 tokens, one device; decode, a burst of 64 that
// generates 2,048 each; wide, Poisson traffic over 256 devices. Each step is run on its own.
// Loading and output are not measured. Prints one JSON object a line: the median of the rounds and
// the whole spread.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "sim/scenario.h"
#include "sim/simulation.h"

namespace scoville::sim {
namespace {

struct Case {
  const char* name;
  int64_t requests;
  std::string yaml;  // without the number of requests
};

std::vector<Case> Cases() {
  return {
      {"dense", 16'384,
       "pool: {devices: 1, executor: synthetic, kv_blocks: 65536}\n"
       "scheduler: {max_running: 256, max_step_tokens: 8192}\n"
       "workload:\n"
       "  arrivals: {kind: closed_loop, users: 64}\n"
       "  prompt: {value: 1024}\n"
       "  output: {value: 128}\n"},
      {"decode", 64,
       "pool: {devices: 1, executor: synthetic}\n"
       "scheduler: {max_step_tokens: 8192}\n"
       "workload:\n"
       "  arrivals: {kind: burst}\n"
       "  prompt: {value: 1024}\n"
       "  output: {value: 2048}\n"},
      {"wide", 20'000,
       "pool: {devices: 256, executor: synthetic}\n"
       "workload:\n"
       "  arrivals: {kind: poisson, rate: 4000}\n"
       "  prompt: {value: 512}\n"
       "  output: {value: 64}\n"},
  };
}

struct Options {
  int rounds = 5;
  int64_t requests = 0;  // 0: the case's own
  std::string model;
  std::vector<std::string> cases;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--rounds") == 0 && more) {
      options.rounds = std::max(1, std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--requests") == 0 && more) {
      options.requests = std::atoll(argv[++i]);
    } else if (std::strcmp(argv[i], "--model") == 0 && more) {
      options.model = argv[++i];
    } else {
      options.cases.push_back(argv[i]);
    }
  }
  return options;
}

void RunCase(const Case& bench, const Options& options) {
  const int64_t requests = options.requests > 0 ? options.requests : bench.requests;
  std::string yaml = std::string("name: ") + bench.name + "\n" + bench.yaml;
  yaml += "  requests: " + std::to_string(requests) + "\n";
  ScenarioOverrides overrides;
  overrides.model = options.model;
  const auto scenario = ParseScenario(yaml, bench.name, overrides);
  CHECK(scenario.ok());
  const auto model = LoadScenarioModel(*scenario);
  CHECK(model.ok());
  std::vector<double> seconds;
  int64_t steps = 0;
  int64_t events = 0;
  int64_t rows = 0;
  for (int round = 0; round < options.rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const auto result = RunScenario(*scenario, **model);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    CHECK(result.ok());
    CHECK_EQ(static_cast<int64_t>(result->records.requests.size()), requests);
    steps = result->records.steps;
    events = result->events;
    rows = result->records.output_tokens;
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  std::printf(
      "{\"case\": \"%s\", \"requests\": %lld, \"steps\": %lld, \"output_tokens\": %lld, "
      "\"seconds\": %.3f, \"fastest\": %.3f, \"slowest\": %.3f, \"steps_per_second\": %.0f, "
      "\"requests_per_second\": %.0f, \"events_per_second\": %.0f, \"ns_per_output_token\": "
      "%.0f}\n",
      bench.name, static_cast<long long>(requests), static_cast<long long>(steps),
      static_cast<long long>(rows), median, seconds.front(), seconds.back(),
      static_cast<double>(steps) / median, static_cast<double>(requests) / median,
      static_cast<double>(events) / median, median * 1e9 / static_cast<double>(rows));
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  int ran = 0;
  for (const Case& bench : Cases()) {
    const bool wanted =
        options.cases.empty() ||
        std::find(options.cases.begin(), options.cases.end(), bench.name) != options.cases.end();
    if (wanted) {
      RunCase(bench, options);
      ++ran;
    }
  }
  if (ran == 0) {
    std::fprintf(stderr, "bench_sim: no such case; there are dense, decode and wide\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace scoville::sim

int main(int argc, char** argv) { return scoville::sim::Main(argc, argv); }
