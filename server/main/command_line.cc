#include "server/main/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "server/config/settings.h"

namespace scoville::server {

namespace {

struct FlagRow {
  const char* flag;
  const char* path;
  const char* type;
  const char* help;
  const char* group;
};

constexpr FlagRow kFlags[] = {
    {"--model", "model.path", "FILE", "GGUF file to serve", "Model"},
    {"--model-card", "model.card", "NAME|FILE",
     "time this model without its weights; needs --executor synthetic", "Model"},
    {"--executor", "executor", "KIND",
     "functional computes real tokens on the host, synthetic makes them up", "Model"},
    {"--devices", "pool.devices", "N", "emulated devices", "Pool"},
    {"--profile", "pool.profile", "NAME|FILE", "accelerator profile", "Pool"},
    {"--cap-per-device", "pool.cap_per_device", "POWER",
     "power cap of each device, as in 250W; 0W: the profile's TDP", "Pool"},
    {"--grpc-listen", "listeners.grpc", "HOST:PORT", "gRPC address", "Listeners"},
    {"--http-listen", "listeners.http", "HOST:PORT", "HTTP address (OpenAI API, /metrics)",
     "Listeners"},
    {"--log-level", "log.level", "LEVEL", "trace, debug, info, warn or error", "Logging"},
};

constexpr char kFooter[] =
    "Every other key: --set KEY=VALUE, a file (--config), or a SCOVILLE_ variable; the list with\n"
    "defaults: scovilled config schema. Precedence: flag > environment > file > default.\n\n"
    "Signals: SIGTERM drains (not ready for drain.lameduck, then refusing until running requests\n"
    "end or drain.deadline passes) and exits 0. SIGINT from a terminal skips the lame-duck time.\n"
    "A second signal ends everything at once and exits 1.\n\n"
    "Exit codes: 0 drained, 1 failed, 2 usage, 78 configuration.\n\n"
    "Examples:\n"
    "  scovilled\n"
    "  scovilled --devices 2 --cap-per-device 600W\n"
    "  scovilled --executor synthetic --set limits.max_running=64\n"
    "  scovilled config print --effective --origin";

// Looks up the value shown as a flag's default.
std::string DefaultOf(const std::vector<Setting>& settings, absl::string_view path) {
  for (const Setting& setting : settings) {
    if (setting.path() == path) {
      return setting.value_text();
    }
  }
  return "";
}

// KEY=VALUE of --set; explains itself on stderr if there is no such key.
bool AddSet(const std::string& text, const std::vector<Setting>& settings, ConfigInputs* inputs) {
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals);
  std::vector<std::string> known;
  known.reserve(settings.size());
  for (const Setting& setting : settings) {
    known.push_back(setting.path());
  }
  if (equals == std::string::npos || std::find(known.begin(), known.end(), path) == known.end()) {
    std::cerr << "scovilled: --set " << text << ": "
              << (equals == std::string::npos
                      ? std::string("write KEY=VALUE")
                      : absl::StrCat("no such key", DidYouMean(path, known)))
              << "\nhint: scovilled config schema lists all keys\n";
    return false;
  }
  inputs->flags.push_back({path, text.substr(equals + 1), absl::StrCat("--set ", path)});
  return true;
}

void AddConfigCommands(CLI::App& app, CommandLine& out, std::string& check_file) {
  CLI::App* config = app.add_subcommand("config", "Check or show the configuration");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Check a configuration file");
  check->add_option("FILE", check_file, "The file")->required();
  check->callback([&out] { out.action = CommandLine::Action::kConfigCheck; });
  CLI::App* print = config->add_subcommand("print", "Show the configuration");
  print->add_flag("--effective", out.effective, "Merged from all sources (always so)");
  print->add_flag("--origin", out.with_origin, "Say where each value came from");
  print->callback([&out] { out.action = CommandLine::Action::kConfigPrint; });
  CLI::App* schema = config->add_subcommand("schema", "Describe every key");
  schema->callback([&out] { out.action = CommandLine::Action::kConfigSchema; });
  for (CLI::App* command : {check, print, schema}) {
    command->fallthrough();
  }
  config->fallthrough();
}

}  // namespace

std::optional<CommandLine> ParseCommandLine(int argc, char** argv, int* exit_code) {
  CommandLine out;
  ServerConfig defaults;
  const std::vector<Setting> settings = BindSettings(&defaults);
  CLI::App app("Serves a language model on emulated accelerators, over gRPC and HTTP.",
               "scovilled");
  app.set_version_flag("--version", absl::StrCat("scovilled ", SCOVILLE_VERSION));
  app.footer(kFooter);
  app.add_option("-c,--config", out.inputs.file, "YAML file (environment: SCOVILLE_CONFIG)")
      ->option_text("FILE");
  std::deque<std::string> values;  // CLI11 keeps references
  std::vector<CLI::Option*> options;
  for (const FlagRow& row : kFlags) {
    values.emplace_back();
    options.push_back(
        app.add_option(row.flag, values.back(), row.help)
            ->option_text(absl::StrCat(row.type, " [", DefaultOf(settings, row.path), "]"))
            ->group(row.group));
  }
  bool faults = false;
  app.add_flag("--enable-fault-injection", faults,
               "Let clients kill, hang and slow emulated devices (faults.enabled)");
  std::vector<std::string> sets;
  app.add_option("--set", sets, "Any key, several times")->option_text("KEY=VALUE");
  std::string check_file;
  AddConfigCommands(app, out, check_file);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? kExitOk : kExitUsage;
    return std::nullopt;
  }
  for (size_t i = 0; i < options.size(); ++i) {
    if (options[i]->count() > 0) {
      out.inputs.flags.push_back({kFlags[i].path, values[i], kFlags[i].flag});
    }
  }
  if (faults) {
    out.inputs.flags.push_back({"faults.enabled", "true", "--enable-fault-injection"});
  }
  for (const std::string& text : sets) {
    if (!AddSet(text, settings, &out.inputs)) {
      *exit_code = kExitUsage;
      return std::nullopt;
    }
  }
  if (!check_file.empty()) {
    out.inputs.file = check_file;
  }
  return out;
}

}  // namespace scoville::server
