#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/status_macros.h"
#include "scheduler/names.h"
#include "scheduler/read_limits.h"
#include "sim/scenario_sections.h"

namespace scoville::sim {

namespace {

// The longest time a scenario may name: sums of a few stay far from the end of time.
constexpr Duration kLongest = Seconds(1'000'000'000);

template <typename Enum>
absl::Status ReadEnum(const YamlMap& map, absl::string_view key,
                      const std::vector<std::string>& names, Enum* out) {
  size_t chosen = static_cast<size_t>(*out);
  RETURN_IF_ERROR(map.ReadChoice(key, names, &chosen));
  *out = static_cast<Enum>(chosen);
  return absl::OkStatus();
}

absl::Status ReadSmall(const YamlMap& map, absl::string_view key, YamlIntRange range,
                       int32_t* out) {
  int64_t value = *out;
  RETURN_IF_ERROR(map.Read(key, &value, range));
  *out = static_cast<int32_t>(value);
  return absl::OkStatus();
}

// A list of texts, read by `read`.
absl::Status ReadTexts(const YamlMap& map, absl::string_view key,
                       absl::Status (*read)(absl::Span<const std::string>,
                                            scheduler::SchedulerOptions*),
                       scheduler::SchedulerOptions* options) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> nodes, map.List(key));
  std::vector<std::string> texts;
  for (const YamlNode& node : nodes) {
    ASSIGN_OR_RETURN(std::string text, node.AsString());
    texts.push_back(std::move(text));
  }
  const absl::Status status = read(texts, options);
  return status.ok() ? status : map.Error(key, status.message());
}

absl::Status ReadMaxQueued(const YamlMap& map, scheduler::SchedulerOptions* options) {
  scheduler::QueueLimits* all = &options->max_queued;
  RETURN_IF_ERROR(map.Read("max_queued_requests", &all->requests, YamlIntRange{0, 100'000'000}));
  RETURN_IF_ERROR(map.Read("max_queued_tokens", &all->tokens, YamlIntRange{0, int64_t{1} << 50}));
  Bytes bytes(all->bytes);
  RETURN_IF_ERROR(map.Read("max_queued_bytes", &bytes));
  all->bytes = bytes.value();
  RETURN_IF_ERROR(ReadDuration(map, "max_queued_time", &all->time));
  RETURN_IF_ERROR(ReadTexts(map, "max_queued_by_class", scheduler::ReadClassLimits, options));
  return ReadTexts(map, "max_queued_by_tenant", scheduler::ReadTenantLimits, options);
}

absl::Status ReadQueue(const YamlMap& map, scheduler::SchedulerOptions* options) {
  RETURN_IF_ERROR(ReadEnum(map, "queue", scheduler::QueuePolicyNames(), &options->queue));
  RETURN_IF_ERROR(ReadDuration(map, "implied_deadline", &options->implied_deadline));
  RETURN_IF_ERROR(ReadDuration(map, "class_ageing", &options->class_ageing));
  RETURN_IF_ERROR(map.Read("lend_slack", &options->lend_slack));
  RETURN_IF_ERROR(map.Read("refuse_hopeless", &options->refuse_hopeless));
  RETURN_IF_ERROR(ReadSmall(map, "look_ahead", {0, 1'024}, &options->look_ahead));
  RETURN_IF_ERROR(ReadSmall(map, "max_passes", {0, 1'000'000}, &options->max_passes));
  RETURN_IF_ERROR(ReadSmall(map, "late_share", {0, 1'000'000}, &options->late_share));
  ASSIGN_OR_RETURN(const YamlMap fairness, map.MapOrEmpty("fairness"));
  RETURN_IF_ERROR(fairness.Read("enabled", &options->fairness.enabled));
  RETURN_IF_ERROR(ReadEnum(fairness, "unit", scheduler::CostUnitNames(), &options->fairness_unit));
  ASSIGN_OR_RETURN(const std::vector<YamlNode> weights, fairness.List("weights"));
  for (const YamlNode& node : weights) {
    ASSIGN_OR_RETURN(const YamlMap weight, node.AsMap());
    std::string tenant;
    double value = 1;
    RETURN_IF_ERROR(weight.Require("tenant", &tenant));
    RETURN_IF_ERROR(weight.Read("weight", &value, YamlDoubleRange{1e-3, 1e3}));
    options->fairness.weights[tenant] =
        static_cast<int64_t>(value * static_cast<double>(scheduler::kWeightOne));
  }
  return absl::OkStatus();
}

absl::Status ReadPolicies(const YamlMap& map, scheduler::SchedulerOptions* options) {
  RETURN_IF_ERROR(ReadEnum(map, "routing", scheduler::RoutePolicyNames(), &options->routing));
  RETURN_IF_ERROR(map.Read("nanoseconds_per_joule", &options->nanoseconds_per_joule,
                           YamlIntRange{0, 1'000'000'000'000}));
  RETURN_IF_ERROR(ReadEnum(map, "join", scheduler::JoinPolicyNames(), &options->join));
  RETURN_IF_ERROR(map.Read("overflow_risk", &options->overflow_risk, YamlDoubleRange{0, 0.5}));
  RETURN_IF_ERROR(ReadEnum(map, "victims", scheduler::VictimPolicyNames(), &options->victims));
  RETURN_IF_ERROR(ReadSmall(map, "max_preemptions", {0, 1'000'000}, &options->max_preemptions));
  RETURN_IF_ERROR(ReadDuration(map, "prefix_ttl", &options->prefix_ttl));
  RETURN_IF_ERROR(map.Read("promised_prefixes", &options->promised_prefixes));
  RETURN_IF_ERROR(ReadSmall(map, "max_drafts", {0, 64}, &options->max_drafts));
  RETURN_IF_ERROR(ReadSmall(map, "patience", {2, 1'000'000}, &options->patience));
  const std::vector<std::string> classes = scheduler::ServiceClassNames();
  ASSIGN_OR_RETURN(const std::vector<YamlNode> guaranteed, map.List("guaranteed"));
  for (const YamlNode& node : guaranteed) {
    ASSIGN_OR_RETURN(const std::string name, node.AsString());
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) {
      return node.Error("want interactive, standard or batch");
    }
    options->guaranteed[static_cast<size_t>(found - classes.begin())] = true;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadDuration(const YamlMap& map, absl::string_view key, Duration* out) {
  RETURN_IF_ERROR(map.Read(key, out));
  if (*out < Duration() || *out > kLongest) {
    return map.Error(key, "must be from 0 to 1e9 seconds");
  }
  return absl::OkStatus();
}

absl::Status ReadTenants(const YamlMap& workload, Scenario* scenario) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> tenants, workload.List("tenants"));
  for (const YamlNode& node : tenants) {
    ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
    TenantMix tenant;
    RETURN_IF_ERROR(map.Require("name", &tenant.name));
    RETURN_IF_ERROR(map.Read("share", &tenant.share, YamlDoubleRange{1e-6, 1e6}));
    RETURN_IF_ERROR(ReadEnum(map, "class", scheduler::ServiceClassNames(), &tenant.service_class));
    RETURN_IF_ERROR(ReadDuration(map, "ttft", &tenant.slo.ttft));
    RETURN_IF_ERROR(ReadDuration(map, "itl", &tenant.slo.itl));
    RETURN_IF_ERROR(ReadDuration(map, "deadline", &tenant.deadline));
    scenario->tenants.push_back(std::move(tenant));
  }
  return absl::OkStatus();
}

absl::Status ReadScheduler(const YamlMap& map, Scenario* scenario) {
  scheduler::SchedulerOptions* options = &scenario->scheduler;
  RETURN_IF_ERROR(ReadMaxQueued(map, options));
  int64_t running = options->max_running;
  RETURN_IF_ERROR(map.Read("max_running", &running, YamlIntRange{1, 65'536}));
  options->max_running = static_cast<int32_t>(running);
  RETURN_IF_ERROR(
      map.Read("max_step_tokens", &options->max_step_tokens, YamlIntRange{1, 1'000'000}));
  scenario->pool.max_step_tokens = options->max_step_tokens;
  RETURN_IF_ERROR(ReadDuration(map, "itl_target", &options->itl_target));
  RETURN_IF_ERROR(ReadDuration(map, "ttft_target", &options->ttft_target));
  RETURN_IF_ERROR(map.Read("classes", &scenario->classes));
  RETURN_IF_ERROR(ReadQueue(map, options));
  return ReadPolicies(map, options);
}

}  // namespace scoville::sim
