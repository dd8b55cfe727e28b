// The command line itself: parsing, help, mistyped names.
#include "CLI/CLI.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "base/quantity.h"
#include "client/cli/exit_codes.h"
#include "client/cli/session.h"

namespace scoville::client {
namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  scoville run \"Why is the sky blue?\"     stream one answer\n"
    "  scoville run                            chat\n"
    "  scoville pool -l 1                      watch the devices\n"
    "  scoville models --json                  for scripts\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 69 unreachable, 75 refused (try later),\n"
    "77 not allowed, 130 interrupted.\n";

std::string DefaultAddress() {
  const char* address = std::getenv("SCOVILLE_ADDRESS");
  return address == nullptr || *address == '\0' ? "127.0.0.1:50051" : address;
}

void AddGlobalOptions(CLI::App* app, GlobalOptions* global) {
  app->add_option("--address", global->address,
                  "The daemon, host:port or unix:PATH\n"
                  "(variable SCOVILLE_ADDRESS, default 127.0.0.1:50051)")
      ->type_name("ADDR")
      ->group("Common options");
  app->add_flag("--json", global->json, "JSON on stdout, errors as JSON on stderr")
      ->group("Common options");
  const auto is_duration = [](std::string& text) {
    return std::string(ParseDuration(text).status().message());
  };
  app->add_option_function<std::string>(
         "--timeout", [global](const std::string& text) { global->timeout = *ParseDuration(text); },
         "Give up after this long, as 30s or 500ms (default: never)")
      ->check(CLI::Validator(is_duration, "TIME"))
      ->type_name("")
      ->group("Common options");
}

std::vector<std::string> OptionNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
  }
  return names;
}

// What could not be understood, with the name that was most likely meant.
int ReportMisuse(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const CLI::App& where = chosen.empty() ? app : *chosen.front();
  const std::string help =
      chosen.empty() ? "`scoville --help` lists the commands"
                     : absl::StrCat("`scoville ", where.get_name(), " --help` lists the options");
  const std::vector<std::string> left = app.remaining(true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !left.empty()) {
    const std::string name = left.front().substr(0, left.front().find('='));
    if (absl::StartsWith(name, "-")) {
      return Session::Misused(
          absl::StrCat("unknown option: ", name, DidYouMean(name, OptionNames(where))), help);
    }
    if (chosen.empty()) {
      return Session::Misused(
          absl::StrCat("unknown command: ", name, DidYouMean(name, CommandNames(app))), help);
    }
    return Session::Misused(absl::StrCat("one argument too many: '", name, "'"),
                            "put a text with blanks in quotes");
  }
  return Session::Misused(error.what(), help);
}

void DefineCommands(CLI::App* app, Invocation* invocation) {
  DefineRun(app, invocation);
  DefineTokenize(app, invocation);
  DefineModels(app, invocation);
  DefinePool(app, invocation);
  DefineExplain(app, invocation);
  DefineHealth(app, invocation);
  DefineVersion(app, invocation);
  DefineCompletion(app, invocation);
}

}  // namespace

CLI::App* AddCommand(CLI::App* app, Invocation* invocation, const std::string& name,
                     const std::string& help, const std::string& group,
                     const std::string& examples) {
  CLI::App* command = app->add_subcommand(name, help);
  command->group(group);
  command->get_formatter()->column_width(34);
  command->footer("Examples:\n" + examples);
  AddGlobalOptions(command, &invocation->global);
  return command;
}

int RunCli(int argc, char** argv) {
  CLI::App app(
      "scoville: completions from a Scoville daemon, and a look at its pool.\n"
      "Device time, power and energy are emulated.",
      "scoville");
  Invocation invocation;
  invocation.global.address = DefaultAddress();
  app.set_version_flag("--version", std::string("scoville " SCOVILLE_VERSION));
  app.get_formatter()->column_width(34);
  app.footer(kExamples);
  AddGlobalOptions(&app, &invocation.global);
  DefineCommands(&app, &invocation);
  if (argc < 2) {
    const std::string help = app.help();
    std::fwrite(help.data(), 1, help.size(), stderr);
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return ReportMisuse(app, error);
  }
  if (!invocation.action) {
    return Session::Misused("no command given", "`scoville --help` lists the commands");
  }
  Session session(DetectTerminal(), invocation.global);
  return invocation.action(session);
}

}  // namespace scoville::client
