// scoville-sim: scenarios in virtual time.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/names.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/self_check.h"
#include "sim/simulation.h"

namespace scoville::sim {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitConfig = 78;

struct Flags {
  std::string scenario;
  std::string model;
  std::optional<uint64_t> seed;
  bool json = false;
  bool check = false;
  std::string requests;
};

int Fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "scoville-sim: %s\n", std::string(status.message()).c_str());
  return code;
}

void PrintAnswers(const SimulationResult& result) {
  for (const Answer& answer : result.answers) {
    if (answer.refusal) {
      std::printf("[%s] refused: %s\n\n", answer.id.c_str(), answer.refusal->message.c_str());
      continue;
    }
    std::printf("[%s] %s\n", answer.id.c_str(), answer.text.c_str());
    std::printf("  (%s, %lld tokens)\n\n", scheduler::OutcomeName(answer.record.outcome),
                static_cast<long long>(answer.record.output_tokens));
  }
}

absl::Status WriteRequests(const std::string& path, const SimulationResult& result) {
  std::ofstream out(path, std::ios::trunc);
  out << RequestsToJsonLines(result);
  out.close();
  return out ? absl::OkStatus() : absl::InternalError("cannot write " + path);
}

int RunCommand(const Flags& flags) {
  const absl::StatusOr<Scenario> scenario =
      LoadScenario(flags.scenario, ScenarioOverrides{flags.model, flags.seed});
  if (!scenario.ok()) {
    return Fail(scenario.status(), kExitConfig);
  }
  const auto model = LoadScenarioModel(*scenario);
  if (!model.ok()) {
    return Fail(model.status(), kExitConfig);
  }
  SimulationOptions options;
  options.check_every_event = flags.check;
  // The host's clock only says how long the run took; nothing in the run sees it.
  const auto begin = std::chrono::steady_clock::now();
  const absl::StatusOr<SimulationResult> result = RunScenario(*scenario, **model, options);
  const std::chrono::duration<double> host = std::chrono::steady_clock::now() - begin;
  if (!result.ok()) {
    return Fail(result.status(), absl::IsInternal(result.status()) ? kExitFailed : kExitConfig);
  }
  if (!flags.requests.empty()) {
    if (absl::Status status = WriteRequests(flags.requests, *result); !status.ok()) {
      return Fail(status, kExitFailed);
    }
  }
  const Report report = MakeReport(*result, host.count());
  if (flags.json) {
    std::fputs(ToJson(report).c_str(), stdout);
  } else {
    PrintAnswers(*result);
    const bool colour = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    std::fputs(ToText(report, colour).c_str(), stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : kExitFailed;
}

int SelfCheckCommand(const SelfCheckOptions& options) {
  const absl::StatusOr<std::vector<SelfCheckLine>> lines = RunSelfCheck(options);
  if (!lines.ok()) {
    return Fail(lines.status(), absl::IsInternal(lines.status()) ? kExitFailed : kExitUsage);
  }
  bool passed = true;
  for (const SelfCheckLine& line : *lines) {
    std::printf("%-6s %-30s %s\n", line.passed ? "ok" : "FAILED", line.name.c_str(),
                line.detail.c_str());
    passed = passed && line.passed;
  }
  return passed ? 0 : kExitFailed;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Replays scenarios over emulated accelerators in virtual time, with the daemon's own "
      "scheduler.",
      "scoville-sim");
  app.require_subcommand(1);
  Flags flags;
  CLI::App* run = app.add_subcommand("run", "Run a scenario and print its report");
  run->add_option("scenario", flags.scenario, "YAML file; keys are documented in sim/README.md")
      ->required();
  run->add_option("--model", flags.model, "GGUF file, instead of the scenario's `model`");
  run->add_option("--seed", flags.seed, "Instead of the scenario's `seed`");
  run->add_flag("--json", flags.json, "Print the report as JSON");
  run->add_flag("--check", flags.check, "Check every invariant after every event (slow)");
  run->add_option("--requests", flags.requests,
                  "Also write one line of JSON per request to this file");
  run->footer(
      "Exit code: 0 if the run went through and its joules, blocks and requests add up, 1 if they "
      "do not, 2 for a wrong flag, 78 for a scenario that cannot be run.");
  SelfCheckOptions check;
  CLI::App* selfcheck = app.add_subcommand(
      "selfcheck", "Hold the scheduler and its virtual time against queueing theory");
  selfcheck->add_option("--seed", check.seed, "The first seed")->capture_default_str();
  selfcheck->add_option("--seeds", check.seeds, "Runs that averages are taken over")
      ->capture_default_str();
  selfcheck->add_option("--requests", check.requests, "Of one run")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return selfcheck->parsed() ? SelfCheckCommand(check) : RunCommand(flags);
}

}  // namespace
}  // namespace scoville::sim

int main(int argc, char** argv) { return scoville::sim::Main(argc, argv); }
