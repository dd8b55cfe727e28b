// The configuration of several deployments in one daemon: the key `deployments` of the file, a list
// whose entries have the keys model, executor, pool and power of a single one, and a name.
//
//   deployments:
//     - {name: small, model: {path: small.gguf}, pool: {devices: 2}}
//     - {name: large, model: {card: llama-3.1-70b}, executor: synthetic, pool: {devices: 8}}
//
// What an entry leaves out is as the keys of the same names outside say, but for power budgets:
// those are of devices, so each entry has its own or none.
//
// Threading: pure functions. Errors: as the settings', with the entry's place in the file.
#ifndef SCOVILLE_SERVER_CONFIG_DEPLOYMENTS_H_
#define SCOVILLE_SERVER_CONFIG_DEPLOYMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/yaml_reader.h"
#include "server/config/config.h"

namespace scoville::server {

// The configuration for one more deployment: everything of `config` but its budgets and model.
ServerConfig ForAnother(const ServerConfig& config);

// Asks for every key that entries may have, so that others are found to be unknown.
void KnowDeploymentKeys(absl::Span<const YamlNode> entries);

absl::StatusOr<std::vector<ServerConfig::Deployment>> ReadDeployments(
    absl::Span<const YamlNode> entries, const ServerConfig& config);

// On one line, as a file would write them.
std::string WriteDeployments(const ServerConfig& config);

// Of each deployment: `config` with what is its own in place of model, executor, pool and power.
std::vector<ServerConfig> EachDeployment(const ServerConfig& config);

// What of model and executor does not go together; `path` is set to the key that is in the way.
absl::Status CheckModelKeys(const ServerConfig& config, std::string* path);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_CONFIG_DEPLOYMENTS_H_
