#include "client/cli/command_line.h"

#include <cstdio>
#include <cstdlib>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "base/quantity.h"
#include "client/cli/exit_codes.h"

namespace scoville::client {
namespace {

constexpr int kHelpColumn = 34;

std::string DefaultAddress() {
  const char* address = std::getenv("SCOVILLE_ADDRESS");
  return address == nullptr || *address == '\0' ? "127.0.0.1:50051" : address;
}

std::vector<std::string> LongNames(const CLI::App& app) {
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

CLI::Option* AddTime(CLI::App* app, const std::string& names, Duration* value,
                     const std::string& help) {
  const auto is_duration = [](std::string& text) {
    return std::string(ParseDuration(text).status().message());
  };
  return app
      ->add_option_function<std::string>(
          names, [value](const std::string& text) { *value = *ParseDuration(text); }, help)
      ->check(CLI::Validator(is_duration, ""))
      ->type_name("TIME");
}

void AddGlobalOptions(CLI::App* app, GlobalOptions* global) {
  const char* const kGroup = "Common options";
  app->add_option("--address", global->address,
                  "The daemon, host:port or unix:PATH\n"
                  "(variable SCOVILLE_ADDRESS, default 127.0.0.1:50051)")
      ->type_name("ADDR")
      ->group(kGroup);
  app->add_flag("--json", global->json, "JSON on stdout, errors as JSON on stderr")->group(kGroup);
  AddTime(app, "--timeout", &global->timeout,
          "Give up after this long, as 30s or 500ms\n(default: never)")
      ->group(kGroup);
}

// What could not be understood, with the name that was most likely meant.
int ReportMisuse(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const CLI::App& where = chosen.empty() ? app : *chosen.front();
  const std::string help =
      chosen.empty() ? "`scoville --help` lists the commands"
                     : absl::StrCat("`scoville ", where.get_name(), " --help` lists the options");
  const std::vector<std::string> left = app.remaining(true);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr || left.empty()) {
    return Session::Misused(error.what(), help);
  }
  const std::string name = left.front().substr(0, left.front().find('='));
  if (absl::StartsWith(name, "-")) {
    return Session::Misused(
        absl::StrCat("unknown option: ", name, DidYouMean(name, LongNames(where))), help);
  }
  if (chosen.empty()) {
    return Session::Misused(
        absl::StrCat("unknown command: ", name, DidYouMean(name, CommandNames(app))), help);
  }
  return Session::Misused(absl::StrCat("one argument too many: '", name, "'"),
                          "put a text with blanks in quotes");
}

}  // namespace

Command& Command::Flag(const std::string& names, bool* value, const std::string& help) {
  last_ = app_->add_flag(names, *value, help);
  return *this;
}

Command& Command::Text(const std::string& names, std::string* value, const std::string& help) {
  last_ = app_->add_option(names, *value, help);
  return *this;
}

Command& Command::Text(const std::string& names, std::optional<std::string>* value,
                       const std::string& help) {
  last_ = app_->add_option(names, *value, help);
  return *this;
}

Command& Command::Texts(const std::string& names, std::vector<std::string>* value,
                        const std::string& help) {
  last_ = app_->add_option(names, *value, help);
  // An option takes one value each time it is given, or it would swallow what follows.
  if (absl::StartsWith(names, "-")) {
    last_->allow_extra_args(false);
  }
  return *this;
}

Command& Command::Number(const std::string& names, std::optional<uint32_t>* value,
                         const std::string& help) {
  last_ = app_->add_option(names, *value, help)->type_name("N");
  return *this;
}

Command& Command::Number(const std::string& names, std::optional<uint64_t>* value,
                         const std::string& help) {
  last_ = app_->add_option(names, *value, help)->type_name("N");
  return *this;
}

Command& Command::Number(const std::string& names, std::optional<float>* value,
                         const std::string& help) {
  last_ = app_->add_option(names, *value, help)->type_name("X");
  return *this;
}

Command& Command::Number(const std::string& names, std::optional<double>* value,
                         const std::string& help) {
  last_ = app_->add_option(names, *value, help)->type_name("X");
  return *this;
}

Command& Command::Numbers(const std::string& names, std::vector<uint32_t>* value,
                          const std::string& help) {
  last_ = app_->add_option(names, *value, help)->type_name("N");
  return *this;
}

Command& Command::Time(const std::string& names, Duration* value, const std::string& help) {
  last_ = AddTime(app_, names, value, help);
  return *this;
}

Command& Command::Required() {
  last_->required();
  return *this;
}

Command& Command::OneOf(const std::vector<std::string>& values) {
  last_->check(CLI::IsMember(values));
  return *this;
}

Command& Command::Between(double low, double high) {
  last_->check(CLI::Range(low, high));
  return *this;
}

Command& Command::Excludes(const std::string& name) {
  last_->excludes(app_->get_option(name));
  return *this;
}

void Command::Run(Action action) {
  app_->callback([chosen = chosen_, action = std::move(action)] { *chosen = action; });
}

class CommandLine::Impl {
 public:
  explicit Impl(const std::string& description) : app(description, "scoville") {}

  CLI::App app;
  GlobalOptions global;
  Command::Action chosen;
};

CommandLine::CommandLine(const std::string& description, const std::string& examples,
                         const std::string& version)
    : impl_(std::make_unique<Impl>(description)) {
  impl_->global.address = DefaultAddress();
  impl_->app.set_version_flag("--version", version, "Show the version and leave");
  impl_->app.set_help_flag("-h,--help", "Show this help and leave");
  impl_->app.get_formatter()->column_width(kHelpColumn);
  impl_->app.footer(examples);
  AddGlobalOptions(&impl_->app, &impl_->global);
}

CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& help, const std::string& group,
                         const std::string& examples) {
  CLI::App* command = impl_->app.add_subcommand(name, help);
  command->group(group);
  command->get_formatter()->column_width(kHelpColumn);
  command->footer("Examples:\n" + examples);
  AddGlobalOptions(command, &impl_->global);
  return Command(command, &impl_->chosen);
}

std::map<std::string, std::vector<std::string>> CommandLine::OptionNames() const {
  std::map<std::string, std::vector<std::string>> names;
  for (const CLI::App* command : impl_->app.get_subcommands({})) {
    names[command->get_name()] = LongNames(*command);
  }
  return names;
}

int CommandLine::ParseAndRun(int argc, char** argv) {
  if (argc < 2) {
    const std::string help = impl_->app.help();
    std::fwrite(help.data(), 1, help.size(), stderr);
    return kExitUsage;
  }
  try {
    impl_->app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return impl_->app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return ReportMisuse(impl_->app, error);
  }
  if (!impl_->chosen) {
    return Session::Misused("no command given", "`scoville --help` lists the commands");
  }
  Session session(DetectTerminal(), impl_->global);
  return impl_->chosen(session);
}

}  // namespace scoville::client
