// scoville-sim: scenarios in virtual time.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/simulation.h"

namespace scoville::sim {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfig = 78;

struct Flags {
  std::string scenario;
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
    std::printf("[%s] %s\n\n", answer.id.c_str(), answer.text.c_str());
  }
}

int RunCommand(const Flags& flags) {
  const absl::StatusOr<Scenario> scenario = LoadScenario(flags.scenario);
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
    return Fail(result.status(), kExitFailed);
  }
  const Report report = MakeReport(*result, host.count());
  if (!flags.requests.empty()) {
    std::ofstream out(flags.requests, std::ios::trunc);
    out << RequestsToJsonLines(*result);
    out.close();
    if (!out) {
      return Fail(absl::InternalError("cannot write " + flags.requests), kExitFailed);
    }
  }
  if (flags.json) {
    std::fputs(ToJson(report).c_str(), stdout);
  } else {
    PrintAnswers(*result);
    const bool colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nullptr;
    std::fputs(ToText(report, colour).c_str(), stdout);
  }
  return 0;
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
  run->add_flag("--json", flags.json, "Print the report as JSON");
  run->add_flag("--check", flags.check, "Check every invariant after every event (slow)");
  run->add_option("--requests", flags.requests,
                  "Also write one line of JSON per request to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return RunCommand(flags);
}

}  // namespace
}  // namespace scoville::sim

int main(int argc, char** argv) { return scoville::sim::Main(argc, argv); }
