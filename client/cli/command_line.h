// The program's grammar: commands, their options and their help.
//
// A wall around the parsing library, which takes 15 s to compile: one file pays for it.
//
// Ownership: a CommandLine owns the grammar; what options write to must live until the action has
// run (commands hold it by shared_ptr in their action). Threading: the main thread. Errors: Parse
// reports what could not be understood, with the nearest name.
#ifndef SCOVILLE_CLIENT_CLI_COMMAND_LINE_H_
#define SCOVILLE_CLIENT_CLI_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "client/cli/session.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace scoville::client {

class Command {
 public:
  using Action = std::function<int(Session&)>;

  // Options are named "-m,--model"; positional ones "PROMPT". Each call describes one, and the
  // three after them the one described last.
  Command& Flag(const std::string& names, bool* value, const std::string& help);
  Command& Text(const std::string& names, std::string* value, const std::string& help);
  Command& Text(const std::string& names, std::optional<std::string>* value,
                const std::string& help);
  Command& Texts(const std::string& names, std::vector<std::string>* value,
                 const std::string& help);
  Command& Number(const std::string& names, std::optional<uint32_t>* value,
                  const std::string& help);
  Command& Number(const std::string& names, std::optional<uint64_t>* value,
                  const std::string& help);
  Command& Number(const std::string& names, std::optional<float>* value, const std::string& help);
  Command& Number(const std::string& names, std::optional<double>* value, const std::string& help);
  Command& Numbers(const std::string& names, std::vector<uint32_t>* value, const std::string& help);
  Command& Time(const std::string& names, Duration* value, const std::string& help);

  Command& Required();
  Command& OneOf(const std::vector<std::string>& values);
  Command& Between(double low, double high);
  // Not together with this option, described before.
  Command& Excludes(const std::string& name);

  void Run(Action action);

 private:
  friend class CommandLine;
  Command(CLI::App* app, Action* chosen) : app_(app), chosen_(chosen) {}

  CLI::App* app_;
  Action* chosen_;
  CLI::Option* last_ = nullptr;
};

class CommandLine {
 public:
  // `description` and `examples` open and close the help.
  CommandLine(const std::string& description, const std::string& examples,
              const std::string& version);
  ~CommandLine();

  // `group` is its place in the help, `examples` the end of its own.
  Command Add(const std::string& name, const std::string& help, const std::string& group,
              const std::string& examples);
  // The options of each command, "--model".
  std::map<std::string, std::vector<std::string>> OptionNames() const;

  // Runs the chosen command's action and returns its exit code, or that of --help or a mistake.
  int ParseAndRun(int argc, char** argv);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One per file, each adds one or two commands.
void DefineRun(CommandLine* line);
void DefineModels(CommandLine* line);
void DefineModel(CommandLine* line);
void DefineTokenize(CommandLine* line);
void DefinePool(CommandLine* line);
void DefineDevice(CommandLine* line);
void DefinePower(CommandLine* line);
void DefineExplain(CommandLine* line);
void DefineHealth(CommandLine* line);
void DefineVersion(CommandLine* line);
void DefineProfile(CommandLine* line);
void DefineCard(CommandLine* line);
void DefineCompletion(CommandLine* line);

// The whole program.
int RunCli(int argc, char** argv);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_COMMAND_LINE_H_
