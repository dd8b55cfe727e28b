#include "server/config/load_config.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "base/yaml_reader.h"
#include "scheduler/power/budget_config.h"
#include "scheduler/read_limits.h"
#include "server/config/address.h"
#include "server/config/deployments.h"
#include "server/config/scheduler_settings.h"
#include "server/config/settings.h"

namespace scoville::server {

namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

absl::Status From(const absl::Status& status, absl::string_view origin, absl::string_view path) {
  return absl::Status(status.code(), absl::StrCat(origin, ": ", path, ": ", status.message()));
}

std::string Find(const Environment& environment, absl::string_view name) {
  for (const auto& [key, value] : environment) {
    if (key == name) {
      return value;
    }
  }
  return "";
}

// Variables that Kubernetes sets in every container for a Service called `scoville` (or
// `scoville-…`): SCOVILLE_PORT=tcp://…, SCOVILLE_SERVICE_HOST, SCOVILLE_PORT_8000_TCP_ADDR.
bool IsKubernetesServiceVariable(absl::string_view name, absl::string_view value) {
  return absl::EndsWith(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT") ||
         absl::StrContains(name, "_TCP_") || absl::StrContains(name, "_UDP_") ||
         (absl::StrContains(name, "_PORT") && absl::StrContains(value, "://"));
}

class Merger {
 public:
  explicit Merger(LoadedConfig* out) : out_(out), settings_(BindSettings(&out->config)) {
    origins_.assign(settings_.size(), "default");
  }

  absl::Status ReadFile(const std::string& file);
  absl::Status ReadEnvironment(const Environment& environment);
  absl::Status ReadFlags(const std::vector<FlagValue>& flags);
  // Entries of `deployments`, once the keys are known that they inherit.
  absl::Status ReadDeployments();
  absl::Status Validate() const;
  void WriteOrigins();

 private:
  absl::Status CheckBesideDeployments() const;
  absl::Status CheckQueueLimits() const;
  absl::Status CheckAddress(absl::string_view path, const std::string& text) const;
  std::string OriginOf(absl::string_view path) const;

  LoadedConfig* const out_;
  std::vector<Setting> settings_;
  std::vector<std::string> origins_;
  std::string budgets_origin_ = "default";
  std::optional<YamlDocument> document_;
  std::vector<YamlNode> deployments_;
  std::string deployments_origin_ = "default";
};

absl::Status Merger::ReadFile(const std::string& file) {
  ASSIGN_OR_RETURN(document_, YamlDocument::Load(file));
  ASSIGN_OR_RETURN(YamlMap root, document_->Root());
  // All sections are asked for before any value is read, so that a mistyped key is reported as
  // unknown and not lost behind another error.
  std::map<std::string, YamlMap> sections;
  for (const Setting& setting : settings_) {
    const std::string name = setting.section();
    if (name.empty()) {
      root.Has(setting.key());
      continue;
    }
    auto it = sections.find(name);
    if (it == sections.end()) {
      ASSIGN_OR_RETURN(YamlMap section, root.MapOrEmpty(name));
      it = sections.emplace(name, std::move(section)).first;
    }
    it->second.Has(setting.key());
  }
  const absl::StatusOr<YamlMap> pool = root.MapOrEmpty("pool");
  RETURN_IF_ERROR(pool.status());
  absl::StatusOr<std::vector<scheduler::BudgetNodeSpec>> budgets = scheduler::ReadBudgets(*pool);
  ASSIGN_OR_RETURN(deployments_, root.List("deployments"));
  KnowDeploymentKeys(deployments_);
  RETURN_IF_ERROR(document_->Finish());
  if (!deployments_.empty()) {
    deployments_origin_ = absl::StrCat("file ", file, ":", deployments_.front().line());
  }
  ASSIGN_OR_RETURN(out_->config.pool.budgets, std::move(budgets));
  if (pool->Has("budgets")) {
    ASSIGN_OR_RETURN(const YamlNode node, pool->Node("budgets"));
    budgets_origin_ = absl::StrCat("file ", file, ":", node.line());
  }
  for (size_t i = 0; i < settings_.size(); ++i) {
    const std::string name = settings_[i].section();
    const YamlMap& map = name.empty() ? root : sections.at(name);
    ASSIGN_OR_RETURN(const bool there, settings_[i].SetFromYaml(map));
    if (there) {
      ASSIGN_OR_RETURN(const YamlNode node, map.Node(settings_[i].key()));
      origins_[i] = absl::StrCat("file ", file, ":", node.line());
    }
  }
  return absl::OkStatus();
}

absl::Status Merger::ReadDeployments() {
  ASSIGN_OR_RETURN(out_->config.deployments, server::ReadDeployments(deployments_, out_->config));
  return absl::OkStatus();
}

absl::Status Merger::ReadEnvironment(const Environment& environment) {
  std::vector<std::string> kubernetes;
  std::vector<std::string> known;
  for (const Setting& setting : settings_) {
    known.push_back(setting.environment());
  }
  for (const auto& [name, value] : environment) {
    if (!absl::StartsWith(name, "SCOVILLE_") || name == "SCOVILLE_CONFIG") {
      continue;
    }
    const auto at = std::find(known.begin(), known.end(), name);
    if (at != known.end()) {
      const size_t i = static_cast<size_t>(at - known.begin());
      if (absl::Status set = settings_[i].SetFromText(value); !set.ok()) {
        return From(set, absl::StrCat("environment ", name), settings_[i].path());
      }
      origins_[i] = absl::StrCat("environment ", name);
    } else if (IsKubernetesServiceVariable(name, value)) {
      kubernetes.push_back(name);
    } else {
      out_->warnings.push_back(
          absl::StrCat("environment ", name, ": no such key, ignored", DidYouMean(name, known)));
    }
  }
  if (!kubernetes.empty()) {
    out_->warnings.push_back(absl::StrCat(
        absl::StrJoin(kubernetes, ", "),
        ": set by Kubernetes for a Service of this name, ignored; enableServiceLinks: false in "
        "the pod keeps them out"));
  }
  return absl::OkStatus();
}

absl::Status Merger::ReadFlags(const std::vector<FlagValue>& flags) {
  for (const FlagValue& flag : flags) {
    const auto at = std::find_if(settings_.begin(), settings_.end(),
                                 [&](const Setting& s) { return s.path() == flag.path; });
    CHECK(at != settings_.end());
    if (absl::Status set = at->SetFromText(flag.text); !set.ok()) {
      return From(set, absl::StrCat("flag ", flag.flag), flag.path);
    }
    origins_[static_cast<size_t>(at - settings_.begin())] = absl::StrCat("flag ", flag.flag);
  }
  return absl::OkStatus();
}

std::string Merger::OriginOf(absl::string_view path) const {
  for (size_t i = 0; i < settings_.size(); ++i) {
    if (settings_[i].path() == path) {
      return origins_[i];
    }
  }
  return "";
}

absl::Status Merger::CheckAddress(absl::string_view path, const std::string& text) const {
  const absl::StatusOr<HostPort> address = ParseHostPort(text);
  if (!address.ok()) {
    return From(address.status(), OriginOf(path), path);
  }
  if (!address->is_loopback() && !out_->config.listeners.allow_public) {
    return From(absl::InvalidArgumentError(absl::StrCat(
                    text,
                    " can be reached from other machines, and there is no authentication "
                    "yet: whoever connects may use every device. Bind to 127.0.0.1, or set "
                    "listeners.allow_public: true where the network keeps strangers out")),
                OriginOf(path), path);
  }
  return absl::OkStatus();
}

absl::Status Merger::Validate() const {
  const ServerConfig::Listeners& listeners = out_->config.listeners;
  RETURN_IF_ERROR(CheckAddress("listeners.grpc", listeners.grpc));
  RETURN_IF_ERROR(CheckAddress("listeners.http", listeners.http));
  const absl::StatusOr<HostPort> grpc = ParseHostPort(listeners.grpc);
  if (listeners.grpc == listeners.http && grpc->port != 0) {
    return absl::InvalidArgumentError(absl::StrCat("listeners.grpc and listeners.http are both ",
                                                   listeners.grpc, "; they need a port each"));
  }
  std::string path;
  if (const absl::Status status = CheckModelKeys(out_->config, &path); !status.ok()) {
    return From(status, OriginOf(path), path);
  }
  RETURN_IF_ERROR(CheckBesideDeployments());
  if (const auto weights = ParseWeights(out_->config.fairness.weights); !weights.ok()) {
    return From(weights.status(), OriginOf("fairness.weights"), "fairness.weights");
  }
  RETURN_IF_ERROR(CheckQueueLimits());
  scheduler::FleetPowerOptions fleet;
  fleet.nodes = out_->config.pool.budgets;
  fleet.budget = out_->config.power.budget;
  return scheduler::MakeBudgetTree(fleet, static_cast<uint32_t>(out_->config.pool.devices), Power())
      .status();
}

absl::Status Merger::CheckQueueLimits() const {
  scheduler::SchedulerOptions unused;
  const ServerConfig::Scheduling& limits = out_->config.scheduler;
  const auto checked = [&](const absl::Status& status, absl::string_view path) {
    return status.ok() ? status : From(status, OriginOf(path), path);
  };
  RETURN_IF_ERROR(checked(scheduler::ReadClassLimits(limits.max_queued_by_class, &unused),
                          "scheduler.max_queued_by_class"));
  return checked(scheduler::ReadTenantLimits(limits.max_queued_by_tenant, &unused),
                 "scheduler.max_queued_by_tenant");
}

// What only one deployment can have.
absl::Status Merger::CheckBesideDeployments() const {
  if (out_->config.deployments.empty()) {
    return absl::OkStatus();
  }
  const ServerConfig& config = out_->config;
  const auto stands = [&](absl::string_view path) {
    return From(absl::InvalidArgumentError(
                    "stands beside `deployments`; write it in the entry it is meant for"),
                OriginOf(path), path);
  };
  if (!config.model.path.empty()) {
    return stands("model.path");
  }
  if (!config.model.card.empty()) {
    return stands("model.card");
  }
  if (!config.model.id.empty()) {
    return stands("model.id");
  }
  if (config.power.budget > Power()) {
    return stands("power.budget");
  }
  return config.pool.budgets.empty() ? absl::OkStatus() : stands("pool.budgets");
}

void Merger::WriteOrigins() {
  for (size_t i = 0; i < settings_.size(); ++i) {
    out_->origins.push_back({settings_[i].path(), settings_[i].value_text(), origins_[i]});
    const bool pool_ends = settings_[i].section() == "pool" &&
                           (i + 1 == settings_.size() || settings_[i + 1].section() != "pool");
    if (pool_ends) {
      out_->origins.push_back(
          {"pool.budgets", scheduler::WriteBudgets(out_->config.pool.budgets), budgets_origin_});
    }
  }
  out_->origins.push_back({"deployments", WriteDeployments(out_->config), deployments_origin_});
}

}  // namespace

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigInputs& inputs) {
  LoadedConfig loaded;
  Merger merger(&loaded);
  const std::string file =
      inputs.file.empty() ? Find(inputs.environment, "SCOVILLE_CONFIG") : inputs.file;
  if (!file.empty()) {
    RETURN_IF_ERROR(merger.ReadFile(file));
  }
  RETURN_IF_ERROR(merger.ReadEnvironment(inputs.environment));
  RETURN_IF_ERROR(merger.ReadFlags(inputs.flags));
  RETURN_IF_ERROR(merger.ReadDeployments());
  RETURN_IF_ERROR(merger.Validate());
  merger.WriteOrigins();
  return loaded;
}

Environment ProcessEnvironment() {
  Environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != absl::string_view::npos) {
      out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return out;
}

std::string PrintConfig(const LoadedConfig& loaded, bool with_origin) {
  std::string out;
  std::string section;
  for (const ConfigOrigin& row : loaded.origins) {
    const size_t dot = row.path.find('.');
    const std::string in = dot == std::string::npos ? "" : row.path.substr(0, dot);
    if (in != section && !in.empty()) {
      absl::StrAppend(&out, in, ":\n");
    }
    section = in;
    absl::StrAppend(&out, in.empty() ? row.path : absl::StrCat("  ", row.path.substr(dot + 1)),
                    ": ", row.value, with_origin ? absl::StrCat("  # ", row.origin) : "", "\n");
  }
  return out;
}

std::string DescribeConfig() {
  ServerConfig defaults;
  std::string out;
  for (const Setting& setting : BindSettings(&defaults)) {
    absl::StrAppend(&out, setting.path(), "\n    ", setting.help(), "\n    ", setting.type_text(),
                    "; default ", setting.value_text(), "; ", setting.environment(), "\n");
  }
  absl::StrAppend(&out, "pool.budgets\n    ",
                  "nested power budgets from the start: nodes of level tray, rack, row or fleet, "
                  "each over its own devices or children; every device on one node\n    ",
                  "list of {name: rack-a, level: rack, cap: 900W, devices: [0, 1, 2-3]} or "
                  "{…, children: [rack-a]}; default []; in the file only\n");
  absl::StrAppend(&out, "deployments\n    ",
                  "several models, each on devices of its own; what an entry leaves out is as the "
                  "keys outside say, but for budgets\n    ",
                  "list of {name: small, model: {path: FILE} or {card: NAME}, executor: synthetic, "
                  "pool: {devices: 2, …}, power: {…}}; default []: one, as model, executor, pool "
                  "and power say; in the file only\n");
  return out;
}

std::string DefaultModelPath(const Environment& environment) {
  std::string cache = Find(environment, "XDG_CACHE_HOME");
  if (cache.empty()) {
    cache = absl::StrCat(Find(environment, "HOME"), "/.cache");
  }
  return absl::StrCat(cache, "/scoville/SmolLM2-135M-Instruct.Q4_1.gguf");
}

}  // namespace scoville::server
