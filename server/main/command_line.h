// The daemon's flags and subcommands.
//
// Threading: one thread, once. Errors: what cannot be parsed has been explained on stderr; the exit
// code says so.
#ifndef SCOVILLE_SERVER_MAIN_COMMAND_LINE_H_
#define SCOVILLE_SERVER_MAIN_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "server/config/load_config.h"

namespace scoville::server {

// Exit codes, as of sysexits.h where it has one.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfig = 78;

struct CommandLine {
  enum class Action : uint8_t { kServe, kConfigCheck, kConfigPrint, kConfigSchema };
  Action action = Action::kServe;
  ConfigInputs inputs;
  bool with_origin = false;
  bool effective = true;  // accepted for clarity: nothing else is printed
};

// nullopt: the process ends with *exit_code (after --help, --version or a mistake).
std::optional<CommandLine> ParseCommandLine(int argc, char** argv, int* exit_code);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_MAIN_COMMAND_LINE_H_
