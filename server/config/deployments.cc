#include "server/config/deployments.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "scheduler/power/budget_config.h"
#include "server/config/settings.h"

namespace scoville::server {

namespace {

constexpr size_t kMostDeployments = 64;
constexpr size_t kLongestId = 128;

// Whether an entry may have the key.
bool IsOwn(const Setting& setting) {
  const std::string section = setting.section();
  return section == "model" || section == "pool" || section == "power" ||
         setting.path() == "executor";
}

absl::Status ReadEntry(const YamlNode& node, ServerConfig* config) {
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  std::map<std::string, YamlMap> sections;
  for (const Setting& setting : BindSettings(config)) {
    if (!IsOwn(setting)) {
      continue;
    }
    const std::string section = setting.section();
    if (section.empty()) {
      RETURN_IF_ERROR(setting.SetFromYaml(map).status());
      continue;
    }
    auto it = sections.find(section);
    if (it == sections.end()) {
      ASSIGN_OR_RETURN(YamlMap read, map.MapOrEmpty(section));
      it = sections.emplace(section, std::move(read)).first;
    }
    RETURN_IF_ERROR(setting.SetFromYaml(it->second).status());
  }
  ASSIGN_OR_RETURN(config->pool.budgets, scheduler::ReadBudgets(sections.at("pool")));
  if (map.Has("name") && sections.at("model").Has("id")) {
    return map.Error("name", "stands beside model.id; one of them is enough");
  }
  RETURN_IF_ERROR(map.Read("name", &config->model.id));
  std::string path;
  if (const absl::Status status = CheckModelKeys(*config, &path); !status.ok()) {
    return node.Error(absl::StrCat(path, " ", status.message()));
  }
  scheduler::FleetPowerOptions fleet;
  fleet.nodes = config->pool.budgets;
  fleet.budget = config->power.budget;
  return scheduler::MakeBudgetTree(fleet, static_cast<uint32_t>(config->pool.devices), Power())
      .status();
}

}  // namespace

ServerConfig ForAnother(const ServerConfig& config) {
  ServerConfig out = config;
  out.model = {};
  out.pool.budgets.clear();
  out.power.budget = Power();
  out.deployments.clear();
  return out;
}

void KnowDeploymentKeys(absl::Span<const YamlNode> entries) {
  ServerConfig scratch;
  const std::vector<Setting> settings = BindSettings(&scratch);
  for (const YamlNode& entry : entries) {
    const absl::StatusOr<YamlMap> map = entry.AsMap();
    if (!map.ok()) {
      continue;
    }
    map->Has("name");
    for (const Setting& setting : settings) {
      if (!IsOwn(setting)) {
        continue;
      }
      if (setting.section().empty()) {
        map->Has(setting.key());
      } else if (const auto section = map->MapOrEmpty(setting.section()); section.ok()) {
        section->Has(setting.key());
      }
    }
    if (const auto pool = map->MapOrEmpty("pool"); pool.ok()) {
      scheduler::ReadBudgets(*pool).IgnoreError();
    }
  }
}

absl::StatusOr<std::vector<ServerConfig::Deployment>> ReadDeployments(
    absl::Span<const YamlNode> entries, const ServerConfig& config) {
  std::vector<ServerConfig::Deployment> out;
  std::set<std::string> names;
  for (const YamlNode& entry : entries) {
    if (out.size() == kMostDeployments) {
      return entry.Error(absl::StrCat("is one too many, at most ", kMostDeployments));
    }
    ServerConfig own = ForAnother(config);
    RETURN_IF_ERROR(ReadEntry(entry, &own));
    if (!own.model.id.empty() && !names.insert(own.model.id).second) {
      return entry.Error(absl::StrCat("has the name '", own.model.id, "' of another one"));
    }
    out.push_back({own.model, own.executor, own.pool, own.power});
  }
  return out;
}

std::string WriteDeployments(const ServerConfig& config) {
  std::vector<std::string> entries;
  for (ServerConfig own : EachDeployment(config)) {
    std::map<std::string, std::vector<std::string>> sections;
    std::vector<std::string> keys;
    for (const Setting& setting : BindSettings(&own)) {
      if (!IsOwn(setting)) {
        continue;
      }
      const std::string text = absl::StrCat(setting.key(), ": ", setting.value_text());
      (setting.section().empty() ? keys : sections[setting.section()]).push_back(text);
    }
    sections["pool"].push_back(
        absl::StrCat("budgets: ", scheduler::WriteBudgets(own.pool.budgets)));
    for (const auto& [name, lines] : sections) {
      keys.push_back(absl::StrCat(name, ": {", absl::StrJoin(lines, ", "), "}"));
    }
    entries.push_back(absl::StrCat("{", absl::StrJoin(keys, ", "), "}"));
  }
  return absl::StrCat("[", config.deployments.empty() ? "" : absl::StrJoin(entries, ", "), "]");
}

std::vector<ServerConfig> EachDeployment(const ServerConfig& config) {
  if (config.deployments.empty()) {
    return {config};
  }
  std::vector<ServerConfig> out;
  for (const ServerConfig::Deployment& deployment : config.deployments) {
    ServerConfig own = ForAnother(config);
    own.model = deployment.model;
    own.executor = deployment.executor;
    own.pool = deployment.pool;
    own.power = deployment.power;
    out.push_back(std::move(own));
  }
  return out;
}

absl::Status CheckModelKeys(const ServerConfig& config, std::string* path) {
  const ServerConfig::Model& model = config.model;
  if (!model.card.empty() && !model.path.empty()) {
    *path = "model.card";
    return absl::InvalidArgumentError(
        "stands beside model.path; serve a file, or time a card, not both");
  }
  if (!model.card.empty() && config.executor != "synthetic") {
    *path = "model.card";
    return absl::InvalidArgumentError(
        "a card has no weights, so its tokens cannot be computed; set executor: "
        "synthetic (--executor synthetic) to serve made-up ones with its timing");
  }
  if (model.id.size() > kLongestId) {
    *path = "model.id";
    return absl::InvalidArgumentError(
        absl::StrCat("has ", model.id.size(), " bytes, at most ", kLongestId, " are allowed"));
  }
  return absl::OkStatus();
}

}  // namespace scoville::server
