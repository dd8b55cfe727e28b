#include "sim/scenario.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/yaml_reader.h"
#include "scheduler/power/budget_config.h"
#include "sim/scenario_sections.h"

namespace scoville::sim {

namespace {

constexpr int64_t kMostTokens = 10'000'000;

absl::Status ReadPower(const YamlMap& map, device::PowerOptions* power) {
  RETURN_IF_ERROR(map.Read("cap_per_device", &power->cap));
  RETURN_IF_ERROR(ReadDuration(map, "cap_window", &power->cap_window));
  size_t governor = static_cast<size_t>(power->governor);
  RETURN_IF_ERROR(map.ReadChoice("governor", device::GovernorNames(), &governor));
  power->governor = static_cast<device::GovernorKind>(governor);
  size_t mode = static_cast<size_t>(power->mode);
  RETURN_IF_ERROR(map.ReadChoice("mode", device::CapModeNames(), &mode));
  power->mode = static_cast<device::CapMode>(mode);
  return ReadDuration(map, "park_after", &power->park_after);
}

absl::Status ReadPool(const YamlMap& map, device::PoolOptions* pool) {
  RETURN_IF_ERROR(map.Read("profile", &pool->profile));
  int64_t devices = pool->devices;
  int64_t chips = pool->parallelism.chips;
  RETURN_IF_ERROR(map.Read("devices", &devices, YamlIntRange{1, 100'000}));
  RETURN_IF_ERROR(map.Read("chips_per_device", &chips, YamlIntRange{1, 4'096}));
  pool->devices = static_cast<int32_t>(devices);
  pool->parallelism.chips = chips;
  RETURN_IF_ERROR(map.Read("expert_parallel", &pool->parallelism.expert_parallel));
  RETURN_IF_ERROR(map.Read("data_parallel_attention", &pool->parallelism.data_parallel_attention));
  RETURN_IF_ERROR(ReadPower(map, &pool->power));
  RETURN_IF_ERROR(map.Read("kv_blocks", &pool->kv_blocks, YamlIntRange{0, 1'000'000'000}));
  RETURN_IF_ERROR(map.Read("kv_block_size", &pool->kv_block_size, YamlIntRange{1, 1'024}));
  RETURN_IF_ERROR(map.Read("prefix_cache", &pool->kv.prefix_cache));
  ASSIGN_OR_RETURN(const YamlMap tier, map.MapOrEmpty("host_tier"));
  RETURN_IF_ERROR(tier.Read("blocks", &pool->host_tier.blocks, YamlIntRange{0, 1'000'000'000}));
  RETURN_IF_ERROR(tier.Read("bytes_per_second", &pool->host_tier.bytes_per_second,
                            YamlIntRange{1'000, 1'000'000'000'000'000}));
  RETURN_IF_ERROR(tier.Read("picojoules_per_byte", &pool->host_tier.picojoules_per_byte,
                            YamlIntRange{0, 1'000'000}));
  RETURN_IF_ERROR(
      map.Read("prefix_quota_blocks", &pool->kv.pin_quota_blocks, YamlIntRange{0, 1'000'000'000}));
  RETURN_IF_ERROR(map.Read("operator_tables", &pool->operator_tables));
  size_t executor = 1;
  RETURN_IF_ERROR(map.ReadChoice("executor", {"functional", "synthetic"}, &executor));
  pool->executor =
      executor == 0 ? device::ExecutorKind::kFunctional : device::ExecutorKind::kSynthetic;
  return absl::OkStatus();
}

// `pool.budgets` and `power`: what the pool may draw from the start.
absl::Status ReadFleet(const YamlMap& pool, const YamlMap& power, Scenario* scenario) {
  scheduler::FleetPowerOptions* fleet = &scenario->scheduler.fleet;
  RETURN_IF_ERROR(power.Read("budget", &fleet->budget));
  scheduler::FleetPowerPolicy* policy = &fleet->policy;
  RETURN_IF_ERROR(power.Read("reserve_ppm", &policy->reserve_ppm, YamlIntRange{0, 999'999}));
  RETURN_IF_ERROR(power.Read("pue_milli", &policy->pue_milli, YamlIntRange{1'000, 1'000'000}));
  RETURN_IF_ERROR(power.Read("overhead_per_device", &policy->overhead_per_device));
  ASSIGN_OR_RETURN(fleet->nodes, scheduler::ReadBudgets(pool));
  return scheduler::MakeBudgetTree(*fleet, static_cast<uint32_t>(scenario->pool.devices), Power())
      .status();
}

absl::Status ReadLength(const YamlMap& parent, absl::string_view key,
                        client::LengthOptions* length) {
  ASSIGN_OR_RETURN(const YamlMap map, parent.MapOrEmpty(key));
  size_t kind = static_cast<size_t>(length->kind);
  RETURN_IF_ERROR(map.ReadChoice("kind", {"fixed", "uniform", "lognormal"}, &kind));
  length->kind = static_cast<client::LengthKind>(kind);
  RETURN_IF_ERROR(map.Read("value", &length->value, YamlIntRange{1, kMostTokens}));
  RETURN_IF_ERROR(map.Read("low", &length->low, YamlIntRange{1, kMostTokens}));
  RETURN_IF_ERROR(map.Read("high", &length->high, YamlIntRange{1, kMostTokens}));
  RETURN_IF_ERROR(map.Read("median", &length->median, YamlDoubleRange{1, 1e7}));
  RETURN_IF_ERROR(map.Read("sigma", &length->sigma, YamlDoubleRange{0, 10}));
  if (length->high < length->low) {
    return map.Error("high", "must not be below low");
  }
  return absl::OkStatus();
}

absl::Status ReadArrivals(const YamlMap& map, client::ArrivalOptions* arrivals) {
  size_t kind = static_cast<size_t>(arrivals->kind);
  RETURN_IF_ERROR(
      map.ReadChoice("kind", {"poisson", "fixed", "burst", "gamma", "closed_loop"}, &kind));
  arrivals->kind = static_cast<client::ArrivalKind>(kind);
  RETURN_IF_ERROR(map.Read("rate", &arrivals->requests_per_second, YamlDoubleRange{1e-6, 1e9}));
  RETURN_IF_ERROR(map.Read("cv", &arrivals->cv, YamlDoubleRange{0.01, 10}));
  RETURN_IF_ERROR(map.Read("users", &arrivals->users, YamlIntRange{1, 10'000'000}));
  return ReadDuration(map, "think", &arrivals->think);
}

absl::Status ReadWorkload(const YamlMap& map, Scenario* scenario) {
  client::WorkloadOptions* workload = &scenario->workload;
  RETURN_IF_ERROR(map.Read("requests", &workload->requests, YamlIntRange{0, 100'000'000}));
  RETURN_IF_ERROR(map.Read("azure_trace", &scenario->azure_trace));
  RETURN_IF_ERROR(map.Read("request_trace", &scenario->request_trace));
  RETURN_IF_ERROR(map.Read("mooncake_trace", &scenario->mooncake_trace));
  const bool azure = !scenario->azure_trace.empty();
  const bool mooncake = !scenario->mooncake_trace.empty();
  if (!scenario->request_trace.empty() && (azure || mooncake)) {
    return map.Error("request_trace", "stands beside another; a scenario replays one trace");
  }
  if (azure && mooncake) {
    return map.Error("mooncake_trace", "stands beside azure_trace; a scenario replays one trace");
  }
  RETURN_IF_ERROR(map.Read("trace_spread", &scenario->trace_spread));
  if (scenario->trace_spread && !mooncake) {
    return map.Error("trace_spread", "is for a mooncake_trace, whose times are 3 s apart");
  }
  RETURN_IF_ERROR(map.Read("trace_speed", &scenario->trace_speed, YamlDoubleRange{1e-3, 1e6}));
  RETURN_IF_ERROR(map.Read("cancel_share", &scenario->cancel_share, YamlDoubleRange{0, 1}));
  RETURN_IF_ERROR(ReadDuration(map, "cancel_within", &scenario->cancel_within));
  if (scenario->cancel_within == Duration()) {
    return map.Error("cancel_within", "must be above 0");
  }
  RETURN_IF_ERROR(ReadDuration(map, "deadline", &scenario->deadline));
  RETURN_IF_ERROR(map.Read("max_tokens", &scenario->max_tokens, YamlIntRange{0, kMostTokens}));
  RETURN_IF_ERROR(ReadTenants(map, scenario));
  ASSIGN_OR_RETURN(const YamlMap arrivals, map.MapOrEmpty("arrivals"));
  RETURN_IF_ERROR(ReadArrivals(arrivals, &workload->arrivals));
  RETURN_IF_ERROR(ReadLength(map, "prompt", &workload->prompt));
  RETURN_IF_ERROR(ReadLength(map, "output", &workload->output));
  client::WorkloadSampling* sampling = &scenario->sampling;
  ASSIGN_OR_RETURN(const YamlMap drawn, map.MapOrEmpty("sampling"));
  RETURN_IF_ERROR(drawn.Read("temperature", &sampling->temperature, YamlDoubleRange{0, 2}));
  RETURN_IF_ERROR(drawn.Read("top_p", &sampling->top_p, YamlDoubleRange{1e-6, 1}));
  RETURN_IF_ERROR(drawn.Read("min_p", &sampling->min_p, YamlDoubleRange{0, 1}));
  return drawn.Read("top_k", &sampling->top_k, YamlIntRange{0, INT32_MAX});
}

absl::Status ReadFloat(const YamlMap& map, absl::string_view key, YamlDoubleRange range,
                       float* out) {
  double value = *out;
  RETURN_IF_ERROR(map.Read(key, &value, range));
  *out = static_cast<float>(value);
  return absl::OkStatus();
}

absl::Status ReadSampling(const YamlMap& map, model::SamplingParams* sampling) {
  RETURN_IF_ERROR(ReadFloat(map, "temperature", {0, 2}, &sampling->temperature));
  RETURN_IF_ERROR(ReadFloat(map, "top_p", {1e-6, 1}, &sampling->top_p));
  RETURN_IF_ERROR(ReadFloat(map, "min_p", {0, 1}, &sampling->min_p));
  RETURN_IF_ERROR(ReadFloat(map, "repetition_penalty", {1e-6, 2}, &sampling->repetition_penalty));
  RETURN_IF_ERROR(ReadFloat(map, "presence_penalty", {-2, 2}, &sampling->presence_penalty));
  RETURN_IF_ERROR(ReadFloat(map, "frequency_penalty", {-2, 2}, &sampling->frequency_penalty));
  int64_t top_k = sampling->top_k;
  int64_t seed = 0;
  int64_t logprobs = -1;
  RETURN_IF_ERROR(map.Read("top_k", &top_k, YamlIntRange{0, INT32_MAX}));
  RETURN_IF_ERROR(map.Read("seed", &seed, YamlIntRange{0, INT64_MAX}));
  RETURN_IF_ERROR(map.Read("logprobs", &logprobs, YamlIntRange{0, 20}));
  sampling->top_k = static_cast<int32_t>(top_k);
  sampling->seed = static_cast<uint64_t>(seed);
  sampling->logprobs = static_cast<int32_t>(logprobs);
  return absl::OkStatus();
}

absl::Status ReadPrompt(const YamlMap& map, WrittenRequest* request) {
  RETURN_IF_ERROR(map.Read("chat", &request->chat));
  RETURN_IF_ERROR(map.Read("text", &request->text));
  ASSIGN_OR_RETURN(const std::vector<YamlNode> messages, map.List("messages"));
  for (const YamlNode& node : messages) {
    ASSIGN_OR_RETURN(const YamlMap message, node.AsMap());
    model::ChatMessage out;
    const std::vector<std::string> roles = {"system", "user", "assistant"};
    size_t role = 0;
    RETURN_IF_ERROR(message.RequireChoice("role", roles, &role));
    RETURN_IF_ERROR(message.Require("content", &out.content));
    out.role = roles[role];
    request->messages.push_back(std::move(out));
  }
  const int given = !request->chat.empty() + !request->text.empty() + !request->messages.empty();
  if (given != 1) {
    return map.Error("chat", "a request needs either `chat`, `messages` or `text`");
  }
  return absl::OkStatus();
}

// At most one of `json_schema`, `json_object`, `regex` and `choices`.
absl::Status ReadConstraint(const YamlMap& map, model::ConstraintSpec* constraint) {
  using Kind = model::ConstraintSpec::Kind;
  int given = 0;
  const auto take = [&](absl::string_view key, Kind kind) {
    if (map.Has(key)) {
      ++given;
      constraint->kind = kind;
    }
  };
  take("json_schema", Kind::kJsonSchema);
  take("json_object", Kind::kJsonObject);
  take("regex", Kind::kRegex);
  take("choices", Kind::kChoice);
  bool object = false;
  RETURN_IF_ERROR(map.Read("json_schema", &constraint->text));
  RETURN_IF_ERROR(map.Read("json_object", &object));
  RETURN_IF_ERROR(map.Read("regex", &constraint->text));
  ASSIGN_OR_RETURN(const std::vector<YamlNode> choices, map.List("choices"));
  for (const YamlNode& node : choices) {
    ASSIGN_OR_RETURN(std::string choice, node.AsString());
    constraint->choices.push_back(std::move(choice));
  }
  if (given > 1) {
    return map.Error("regex",
                     "a request has at most one of json_schema, json_object, regex, choices");
  }
  if (constraint->kind == Kind::kJsonObject && !object) {
    constraint->kind = Kind::kNone;
  }
  return absl::OkStatus();
}

absl::StatusOr<WrittenRequest> ReadRequest(const YamlNode& node, size_t index) {
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  WrittenRequest request;
  request.id = absl::StrCat("request-", index);
  Duration at;
  RETURN_IF_ERROR(map.Read("id", &request.id));
  RETURN_IF_ERROR(ReadDuration(map, "at", &at));
  request.at = TimePoint() + at;
  RETURN_IF_ERROR(ReadPrompt(map, &request));
  RETURN_IF_ERROR(map.Read("max_tokens", &request.max_tokens, YamlIntRange{1, kMostTokens}));
  RETURN_IF_ERROR(map.Read("min_tokens", &request.min_tokens, YamlIntRange{0, kMostTokens}));
  if (request.min_tokens > request.max_tokens) {
    return map.Error("min_tokens", "must not be above max_tokens");
  }
  RETURN_IF_ERROR(map.Read("ignore_eos", &request.ignore_eos));
  RETURN_IF_ERROR(ReadDuration(map, "cancel_after", &request.cancel_after));
  RETURN_IF_ERROR(ReadDuration(map, "deadline", &request.deadline));
  RETURN_IF_ERROR(ReadSampling(map, &request.sampling));
  RETURN_IF_ERROR(ReadConstraint(map, &request.constraint));
  ASSIGN_OR_RETURN(const std::vector<YamlNode> stops, map.List("stop"));
  for (const YamlNode& stop : stops) {
    ASSIGN_OR_RETURN(std::string text, stop.AsString());
    if (text.empty()) {
      return stop.Error("a stop string must not be empty");
    }
    request.stop.push_back(std::move(text));
  }
  return request;
}

absl::Status ReadRequests(const YamlMap& root, Scenario* scenario) {
  ASSIGN_OR_RETURN(const std::vector<YamlNode> requests, root.List("requests"));
  std::set<std::string> ids;
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSIGN_OR_RETURN(WrittenRequest request, ReadRequest(requests[i], i));
    if (!ids.insert(request.id).second) {
      return requests[i].Error(
          absl::StrCat("the id '", request.id, "' stands on another request, too"));
    }
    scenario->requests.push_back(std::move(request));
  }
  return absl::OkStatus();
}

// What only the whole scenario can be judged by.
absl::Status CheckWhole(const YamlMap& root, const Scenario& scenario) {
  if (scenario.requests.empty() && scenario.workload.requests == 0 &&
      scenario.azure_trace.empty() && scenario.request_trace.empty() &&
      scenario.mooncake_trace.empty()) {
    return root.Error("workload",
                      "the scenario has no traffic: give workload.requests, workload.azure_trace, "
                      "workload.request_trace, workload.mooncake_trace or requests");
  }
  const bool functional = scenario.pool.executor == device::ExecutorKind::kFunctional;
  if (!scenario.card.empty() && functional) {
    return root.Error("model",
                      "a card has no weights, so the functional executor cannot compute it: use "
                      "`pool.executor: synthetic`, or name a GGUF file");
  }
  if (scenario.max_tokens > 0 && functional) {
    return root.Error("workload",
                      "max_tokens needs the synthetic executor: a model ends where it likes");
  }
  if (scenario.model.empty() && functional) {
    return root.Error(
        "model", "the functional executor needs `model` (or --model), the path of a GGUF file");
  }
  return absl::OkStatus();
}

// `model: FILE` or `model: {card: NAME}`.
absl::Status ReadModel(const YamlMap& root, Scenario* scenario) {
  if (!root.Has("model")) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const YamlNode node, root.Node("model"));
  if (!node.is_map()) {
    return root.Read("model", &scenario->model);
  }
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  return map.Require("card", &scenario->card);
}

absl::StatusOr<Scenario> ReadScenario(const YamlDocument& document,
                                      const ScenarioOverrides& overrides) {
  Scenario scenario;
  scenario.pool.executor = device::ExecutorKind::kSynthetic;
  ASSIGN_OR_RETURN(const YamlMap root, document.Root());
  RETURN_IF_ERROR(root.Require("name", &scenario.name));
  int64_t seed = 0;
  RETURN_IF_ERROR(root.Read("seed", &seed, YamlIntRange{0, INT64_MAX}));
  scenario.seed = overrides.seed.value_or(static_cast<uint64_t>(seed));
  RETURN_IF_ERROR(ReadModel(root, &scenario));
  if (!overrides.model.empty() || !overrides.card.empty()) {
    scenario.model = overrides.model;
    scenario.card = overrides.card;
  }
  ASSIGN_OR_RETURN(const YamlMap pool, root.MapOrEmpty("pool"));
  RETURN_IF_ERROR(ReadPool(pool, &scenario.pool));
  ASSIGN_OR_RETURN(const YamlMap scheduler, root.MapOrEmpty("scheduler"));
  RETURN_IF_ERROR(ReadScheduler(scheduler, &scenario));
  ASSIGN_OR_RETURN(const YamlMap power, root.MapOrEmpty("power"));
  RETURN_IF_ERROR(ReadFleet(pool, power, &scenario));
  ASSIGN_OR_RETURN(const YamlMap workload, root.MapOrEmpty("workload"));
  RETURN_IF_ERROR(ReadWorkload(workload, &scenario));
  RETURN_IF_ERROR(ReadRequests(root, &scenario));
  RETURN_IF_ERROR(ReadEvents(root, &scenario));
  ASSIGN_OR_RETURN(const YamlMap slo, root.MapOrEmpty("slo"));
  RETURN_IF_ERROR(ReadDuration(slo, "ttft", &scenario.slo.ttft));
  RETURN_IF_ERROR(ReadDuration(slo, "itl", &scenario.slo.itl));
  RETURN_IF_ERROR(document.Finish());
  RETURN_IF_ERROR(CheckWhole(root, scenario));
  scenario.workload.seed = scenario.seed;
  return scenario;
}

// `path` as seen from the folder of the file `from`.
std::string RelativeTo(absl::string_view from, const std::string& path) {
  const size_t slash = from.rfind('/');
  if (path.empty() || path[0] == '/' || slash == absl::string_view::npos) {
    return path;
  }
  return absl::StrCat(from.substr(0, slash + 1), path);
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(absl::string_view text, absl::string_view file,
                                       const ScenarioOverrides& overrides) {
  ASSIGN_OR_RETURN(const YamlDocument document, YamlDocument::Parse(text, file));
  return ReadScenario(document, overrides);
}

absl::StatusOr<Scenario> LoadScenario(absl::string_view path, const ScenarioOverrides& overrides) {
  ASSIGN_OR_RETURN(const YamlDocument document, YamlDocument::Load(path));
  ASSIGN_OR_RETURN(Scenario scenario, ReadScenario(document, overrides));
  if (overrides.model.empty() && overrides.card.empty()) {
    scenario.model = RelativeTo(path, scenario.model);
    if (absl::EndsWith(scenario.card, ".json") || absl::StrContains(scenario.card, '/')) {
      scenario.card = RelativeTo(path, scenario.card);
    }
  }
  scenario.azure_trace = RelativeTo(path, scenario.azure_trace);
  scenario.request_trace = RelativeTo(path, scenario.request_trace);
  scenario.mooncake_trace = RelativeTo(path, scenario.mooncake_trace);
  scenario.pool.operator_tables = RelativeTo(path, scenario.pool.operator_tables);
  if (absl::EndsWith(scenario.pool.profile, ".yaml") ||
      absl::StrContains(scenario.pool.profile, '/')) {
    scenario.pool.profile = RelativeTo(path, scenario.pool.profile);
  }
  return scenario;
}

}  // namespace scoville::sim
