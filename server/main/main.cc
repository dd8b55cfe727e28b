// scovilled: the daemon.
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/match.h"
#include "server/main/command_line.h"
#include "server/main/daemon.h"
#include "server/main/signals.h"

namespace scoville::server {
namespace {

bool UseJson(const std::string& format) {
  return format == "json" || (format == "auto" && isatty(STDERR_FILENO) == 0);
}

int Main(int argc, char** argv) {
  int exit_code = kExitOk;
  std::optional<CommandLine> command = ParseCommandLine(argc, argv, &exit_code);
  if (!command) {
    return exit_code;
  }
  if (command->action == CommandLine::Action::kConfigSchema) {
    std::cout << DescribeConfig();
    return kExitOk;
  }
  command->inputs.environment = ProcessEnvironment();
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(command->inputs);
  if (!loaded.ok()) {
    std::cerr << "scovilled: " << loaded.status().message() << "\n"
              << "hint: scovilled config schema lists all keys\n";
    return kExitConfig;
  }
  if (command->action != CommandLine::Action::kServe) {
    for (const std::string& warning : loaded->warnings) {
      std::cerr << "scovilled: warning: " << warning << "\n";
    }
    if (command->action == CommandLine::Action::kConfigPrint) {
      std::cout << PrintConfig(*loaded, command->with_origin);
    } else {
      std::cout << command->inputs.file << ": ok\n";
    }
    return kExitOk;
  }

  // gRPC's own lines are for its developers; what matters here comes back as a status.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  BlockSignals();
  Logger logger(LogLevelFromName(loaded->config.log.level),
                UseJson(loaded->config.log.format) ? LogFormat::kJson : LogFormat::kText);
  for (const std::string& warning : loaded->warnings) {
    logger.Warn(warning);
  }
  const char* notify = std::getenv("NOTIFY_SOCKET");
  Daemon daemon(*loaded, DefaultModelPath(command->inputs.environment),
                notify == nullptr ? "" : notify, isatty(STDIN_FILENO) == 1, &logger);
  return daemon.Run();
}

}  // namespace
}  // namespace scoville::server

int main(int argc, char** argv) { return scoville::server::Main(argc, argv); }
