// scoville-sim: scenarios in virtual time.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/inspect/inspect.h"
#include "client/terminal/terminal.h"
#include "scheduler/names.h"
#include "sim/power/power_command.h"
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
  std::string card;
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
      LoadScenario(flags.scenario, ScenarioOverrides{flags.model, flags.seed, flags.card});
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

int RunPower(const power::PowerCommand& command, int argc, char** argv) {
  std::string line = "scoville-sim";
  for (int i = 1; i < argc; ++i) {
    line += std::string(" ") + argv[i];
  }
  const absl::StatusOr<std::string> text = command.Run(line);
  if (!text.ok()) {
    return Fail(text.status(), absl::IsInternal(text.status()) ? kExitFailed : kExitConfig);
  }
  std::fputs(text->c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : kExitFailed;
}

// `profile` and `card`, as the client has them.
struct InspectFlags {
  std::string action;
  std::vector<std::string> names;
  client::CardQuestion question;
  bool json = false;
};

std::pair<CLI::App*, CLI::App*> AddInspectCommands(CLI::App* app, InspectFlags* flags) {
  CLI::App* profile = app->add_subcommand("profile", "Show, compare or check accelerator profiles");
  profile->add_option("action", flags->action, "show, diff or check")
      ->required()
      ->check(CLI::IsMember({"show", "diff", "check"}));
  profile->add_option("profiles", flags->names, "Built-in names or files");
  CLI::App* card = app->add_subcommand("card", "Show model cards and the chips they need");
  card->add_option("action", flags->action, "show")->required()->check(CLI::IsMember({"show"}));
  card->add_option("cards", flags->names, "Built-in names, or config.json files");
  card->add_option("--profile", flags->question.profile, "Accelerator")->capture_default_str();
  card->add_option("--chips", flags->question.chips, "Of one device; else the fewest that hold it")
      ->check(CLI::Range(1, 1024));
  card->add_flag("--expert-parallel", flags->question.expert_parallel,
                 "Whole experts on each chip");
  for (CLI::App* command : {profile, card}) {
    command->add_flag("--json", flags->json, "Print JSON");
  }
  return {profile, card};
}

int RunInspect(const InspectFlags& flags, bool profiles) {
  const client::Terminal terminal = client::DetectTerminal();
  const client::Inspection out =
      profiles
          ? client::InspectProfiles(flags.action, flags.names, terminal, flags.json)
          : client::InspectCards(flags.action, flags.names, flags.question, terminal, flags.json);
  std::fputs(out.error.c_str(), stderr);
  std::fputs(out.out.c_str(), stdout);
  return std::fflush(stdout) == 0 ? out.exit_code : kExitFailed;
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
  CLI::Option* file =
      run->add_option("--model", flags.model, "GGUF file, instead of the scenario's `model`");
  run->add_option("--model-card", flags.card,
                  "A model that is only timed, instead of the scenario's: a card's name or a "
                  "config.json")
      ->excludes(file);
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
  const power::PowerCommand power(&app);
  InspectFlags inspect;
  const auto [profile, card] = AddInspectCommands(&app, &inspect);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (power.parsed()) {
    return RunPower(power, argc, argv);
  }
  if (profile->parsed() || card->parsed()) {
    return RunInspect(inspect, profile->parsed());
  }
  return selfcheck->parsed() ? SelfCheckCommand(check) : RunCommand(flags);
}

}  // namespace
}  // namespace scoville::sim

int main(int argc, char** argv) { return scoville::sim::Main(argc, argv); }
