// Merges flags, environment, file and defaults into one configuration, and remembers where each
// value came from.
//
// Precedence: flag > environment (SCOVILLE_ and the key's path in capitals) > file > default. An
// unknown key of the file is an error with line, column and the nearest key; an unknown SCOVILLE_
// variable is a warning, since Kubernetes injects some of its own for a Service of that name.
//
// Threading: pure functions apart from reading the file. Errors: InvalidArgument or NotFound that
// name the source, the value and what is allowed.
#ifndef SCOVILLE_SERVER_CONFIG_LOAD_CONFIG_H_
#define SCOVILLE_SERVER_CONFIG_LOAD_CONFIG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/config/config.h"

namespace scoville::server {

struct FlagValue {
  std::string path;  // "pool.devices"
  std::string text;
  std::string flag;  // "--devices", for messages
};

struct ConfigInputs {
  std::string file;  // empty: SCOVILLE_CONFIG, else none
  std::vector<FlagValue> flags;
  std::vector<std::pair<std::string, std::string>> environment;  // all of it
};

struct ConfigOrigin {
  std::string path;
  std::string value;   // as a file would write it
  std::string origin;  // "flag --devices", "environment SCOVILLE_…", "file x.yaml", "default"
};

struct LoadedConfig {
  ServerConfig config;
  std::vector<ConfigOrigin> origins;  // every key, in the table's order
  std::vector<std::string> warnings;
};

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigInputs& inputs);

// The process's environment, for ConfigInputs.
std::vector<std::pair<std::string, std::string>> ProcessEnvironment();

// The effective configuration as a file that gives it again; with origins as comments.
std::string PrintConfig(const LoadedConfig& loaded, bool with_origin);

// Every key with its type, default, variable and meaning.
std::string DescribeConfig();

// Where `./dev` and the README put the default model: $XDG_CACHE_HOME or ~/.cache, then
// scoville/.
std::string DefaultModelPath(const std::vector<std::pair<std::string, std::string>>& environment);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_LOAD_CONFIG_H_
