#include "sim/power/power_command.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "device/physics/profile.h"
#include "sim/power/compare.h"
#include "sim/power/power_report.h"
#include "sim/power/profile_samples.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

constexpr int64_t kMostSamples = 10'000;
constexpr double kNanosecondsPerMillisecond = 1e6;

struct Options {
  std::string model = "llama-3.1-70b";
  std::string profile = "jalapeno-gen1";
  std::vector<std::string> profiles = {"jalapeno-gen1", "h100-sxm", "h200-sxm", "b200-sxm"};
  DeploymentOptions deployment;
  Load load;
  int64_t prompt = 2048;
  int64_t output = 256;
  double itl_ms = 0;
  std::string scenario;
  int64_t band = 0;
  uint64_t seed = 1;
  std::vector<double> caps;
  double window_ms = 1000;
  std::string out;
  bool json = false;
  bool csv = false;
};

void AddModel(CLI::App* app, Options* o) {
  app->add_option("--model", o->model, "Model card: a name of deploy/models/ or a config.json")
      ->capture_default_str();
  app->add_option("--chips", o->deployment.chips,
                  "Chips of the device; by default the least power of two that holds the model")
      ->check(CLI::Range(1, 4096));
  app->add_option("--weights", o->deployment.weights,
                  "Precision instead of the card's: bf16, fp8, mxfp4, nvfp4, int4");
  app->add_option("--activations", o->deployment.activations, "Likewise, of products' inputs");
  app->add_option("--kv", o->deployment.kv, "Likewise, of the KV cache: bf16, fp8");
  app->add_flag("--expert-parallel", o->deployment.expert_parallel,
                "Whole experts on each chip instead of slices");
  app->add_flag("--data-parallel-attention", o->deployment.data_parallel_attention,
                "Each chip attends for its own sequences");
}

void AddOutput(CLI::App* app, Options* o) {
  app->add_option("--band", o->band,
                  "Also draw N profiles from the ranges of the profile's numbers and show the 5th "
                  "to 95th percentile")
      ->check(CLI::Range(int64_t{0}, kMostSamples));
  app->add_option("--seed", o->seed, "Of those draws")->capture_default_str();
  app->add_option("--out", o->out, "Folder for report.html and the pictures as PNG");
  CLI::Option* json = app->add_flag("--json", o->json, "Print JSON");
  app->add_flag("--csv", o->csv, "Print the first table as CSV")->excludes(json);
}

void AddLoad(CLI::App* app, Options* o, bool batch) {
  app->add_option("--profile", o->profile, "Chip: a built-in profile or a file")
      ->capture_default_str();
  app->add_option("--context", o->load.context, "Cached tokens of each sequence that decodes")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  if (batch) {
    app->add_option("--batch", o->load.batch, "Sequences that decode")
        ->check(CLI::Range(1, 65'536))
        ->capture_default_str();
  }
  app->add_option("--prefill", o->load.prefill, "Prompt tokens in each step beside the decodes")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
}

absl::StatusOr<Study> MakeStudy(const Options& o) {
  Study study;
  study.load = o.load;
  study.seed = o.seed;
  ASSIGN_OR_RETURN(const device::Profile profile, device::FindProfile(o.profile));
  ASSIGN_OR_RETURN(const model::ModelCard card, MakeCard(o.model, o.deployment));
  ASSIGN_OR_RETURN(study.deployment, MakeDeployment(profile, card, o.deployment, o.load));
  DeploymentOptions same = o.deployment;
  same.chips = study.deployment.chips();
  ASSIGN_OR_RETURN(const std::vector<device::Profile> samples,
                   SampleProfiles(profile, o.band, o.seed));
  for (const device::Profile& sample : samples) {
    ASSIGN_OR_RETURN(Deployment d, MakeDeployment(sample, card, same, o.load));
    study.samples.push_back(std::move(d));
  }
  return study;
}

absl::StatusOr<PowerReport> CompareWith(const Options& o) {
  if (!o.scenario.empty()) {
    return CompareScenario(o.scenario, o.profiles);
  }
  CompareOptions options;
  for (const std::string& name : o.profiles) {
    ASSIGN_OR_RETURN(device::Profile profile, device::FindProfile(name));
    options.profiles.push_back(std::move(profile));
  }
  ASSIGN_OR_RETURN(options.card, MakeCard(o.model, o.deployment));
  options.deployment = o.deployment;
  options.traffic = {o.prompt, o.output, o.load.batch, o.itl_ms * 1e-3};
  options.samples = o.band;
  options.seed = o.seed;
  return Compare(options);
}

}  // namespace

struct PowerCommand::State {
  Options options;
  CLI::App* power = nullptr;
  CLI::App* cap = nullptr;
  CLI::App* clock = nullptr;
  CLI::App* batch = nullptr;
  CLI::App* roofline = nullptr;
  CLI::App* compare = nullptr;
  CLI::App* sensitivity = nullptr;

  CLI::App* Sweep(const char* name, const char* what, bool has_batch) {
    CLI::App* app = power->add_subcommand(name, what);
    AddModel(app, &options);
    AddLoad(app, &options, has_batch);
    AddOutput(app, &options);
    return app;
  }
  void AddCompare();
  absl::StatusOr<PowerReport> Report() const;
};

void PowerCommand::State::AddCompare() {
  compare = power->add_subcommand("compare", "Chips side by side on the same traffic");
  AddModel(compare, &options);
  compare->add_option("--profiles", options.profiles, "Chips, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  compare->add_option("--prompt", options.prompt, "Tokens of each prompt")->capture_default_str();
  compare->add_option("--output", options.output, "Tokens of each answer")->capture_default_str();
  compare
      ->add_option("--batch", options.load.batch,
                   "Sequences that decode; with --itl the most that are tried")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  compare
      ->add_option("--itl", options.itl_ms,
                   "Instead of one batch for all: the largest whose tokens are at most so many "
                   "milliseconds apart")
      ->check(CLI::PositiveNumber);
  compare->add_option("--scenario", options.scenario,
                      "Run the simulator on this scenario instead, with each profile; the model "
                      "and the pool are the scenario's");
  AddOutput(compare, &options);
}

absl::StatusOr<PowerReport> PowerCommand::State::Report() const {
  if (compare->parsed()) {
    return CompareWith(options);
  }
  ASSIGN_OR_RETURN(const Study study, MakeStudy(options));
  if (cap->parsed()) {
    if (!(options.window_ms > 0 && options.window_ms <= 1e6)) {
      return absl::InvalidArgumentError("--window: expected milliseconds above zero");
    }
    return CapSweep(
        study,
        {options.caps, Nanoseconds(std::llround(options.window_ms * kNanosecondsPerMillisecond))});
  }
  if (clock->parsed()) {
    return ClockSweep(study);
  }
  if (batch->parsed()) {
    return BatchSweep(study);
  }
  return roofline->parsed() ? Roofline(study) : Sensitivity(study);
}

PowerCommand::PowerCommand(CLI::App* app) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.power = app->add_subcommand("power", "Sweeps of rate, watts and joules per token, emulated");
  s.power->require_subcommand(1);
  s.cap = s.Sweep("cap", "Against the power cap, by the governor's rules", true);
  s.cap->add_option("--caps", s.options.caps, "Watts per chip, rising, separated by commas")
      ->delimiter(',');
  s.cap->add_option("--window", s.options.window_ms, "Milliseconds over which the cap holds")
      ->capture_default_str();
  s.clock = s.Sweep("clock", "At each clock state", true);
  s.batch = s.Sweep("batch", "Against the number of sequences", false);
  s.roofline = s.Sweep("roofline", "Prefill and decode below the chip's roofs", false);
  s.sensitivity =
      s.Sweep("sensitivity", "Each number of the profile at the ends of its range", true);
  s.AddCompare();
}

PowerCommand::~PowerCommand() = default;

bool PowerCommand::parsed() const { return state_->power->parsed(); }

absl::StatusOr<std::string> PowerCommand::Run(const std::string& command_line) const {
  const Options& options = state_->options;
  ASSIGN_OR_RETURN(PowerReport report, state_->Report());
  report.facts.emplace_back("command", command_line);
  if (!options.out.empty()) {
    RETURN_IF_ERROR(WriteReport(report, options.out));
  }
  if (options.json) {
    return ToJson(report);
  }
  return options.csv ? ToCsv(report) : ToText(report);
}

}  // namespace scoville::sim::power
