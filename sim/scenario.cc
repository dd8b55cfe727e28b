#include "sim/scenario.h"

#include <utility>

#include "base/status_macros.h"
#include "base/yaml_reader.h"

namespace scoville::sim {

namespace {

constexpr int64_t kMostTokens = 10'000'000;

absl::Status ReadPool(const YamlMap& map, device::PoolOptions* pool) {
  RETURN_IF_ERROR(map.Read("profile", &pool->profile));
  int64_t devices = pool->devices;
  int64_t chips = pool->chips_per_device;
  RETURN_IF_ERROR(map.Read("devices", &devices, YamlIntRange{1, 100'000}));
  RETURN_IF_ERROR(map.Read("chips_per_device", &chips, YamlIntRange{1, 4'096}));
  pool->devices = static_cast<int32_t>(devices);
  pool->chips_per_device = static_cast<int32_t>(chips);
  RETURN_IF_ERROR(map.Read("cap_per_device", &pool->cap_per_device));
  RETURN_IF_ERROR(map.Read("kv_blocks", &pool->kv_blocks, YamlIntRange{0, 1'000'000'000}));
  RETURN_IF_ERROR(map.Read("kv_block_size", &pool->kv_block_size, YamlIntRange{1, 1'024}));
  size_t executor = 1;
  RETURN_IF_ERROR(map.ReadChoice("executor", {"functional", "synthetic"}, &executor));
  pool->executor =
      executor == 0 ? device::ExecutorKind::kFunctional : device::ExecutorKind::kSynthetic;
  return absl::OkStatus();
}

absl::Status ReadScheduler(const YamlMap& map, Scenario* scenario) {
  scheduler::SchedulerOptions* options = &scenario->scheduler;
  RETURN_IF_ERROR(
      map.Read("max_queued_requests", &options->max_queued_requests, YamlIntRange{0, 100'000'000}));
  RETURN_IF_ERROR(map.Read("max_queued_tokens", &options->max_queued_tokens,
                           YamlIntRange{0, int64_t{1} << 50}));
  int64_t running = options->max_running;
  RETURN_IF_ERROR(map.Read("max_running", &running, YamlIntRange{1, 65'536}));
  options->max_running = static_cast<int32_t>(running);
  RETURN_IF_ERROR(
      map.Read("max_step_tokens", &options->max_step_tokens, YamlIntRange{1, 1'000'000}));
  scenario->pool.max_step_tokens = options->max_step_tokens;
  return absl::OkStatus();
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

absl::Status ReadWorkload(const YamlMap& map, Scenario* scenario) {
  client::WorkloadOptions* workload = &scenario->workload;
  RETURN_IF_ERROR(map.Read("requests", &workload->requests, YamlIntRange{0, 100'000'000}));
  RETURN_IF_ERROR(map.Read("azure_trace", &scenario->azure_trace));
  RETURN_IF_ERROR(map.Read("cancel_share", &scenario->cancel_share, YamlDoubleRange{0, 1}));
  ASSIGN_OR_RETURN(const YamlMap arrivals, map.MapOrEmpty("arrivals"));
  size_t kind = static_cast<size_t>(workload->arrivals.kind);
  RETURN_IF_ERROR(arrivals.ReadChoice("kind", {"poisson", "fixed", "burst"}, &kind));
  workload->arrivals.kind = static_cast<client::ArrivalKind>(kind);
  RETURN_IF_ERROR(
      arrivals.Read("rate", &workload->arrivals.requests_per_second, YamlDoubleRange{1e-6, 1e9}));
  RETURN_IF_ERROR(ReadLength(map, "prompt", &workload->prompt));
  return ReadLength(map, "output", &workload->output);
}

absl::Status ReadSampling(const YamlMap& map, model::SamplingParams* sampling) {
  double temperature = sampling->temperature;
  double top_p = sampling->top_p;
  int64_t top_k = sampling->top_k;
  int64_t seed = 0;
  int64_t logprobs = -1;
  RETURN_IF_ERROR(map.Read("temperature", &temperature, YamlDoubleRange{0, 2}));
  RETURN_IF_ERROR(map.Read("top_p", &top_p, YamlDoubleRange{1e-6, 1}));
  RETURN_IF_ERROR(map.Read("top_k", &top_k, YamlIntRange{0, INT32_MAX}));
  RETURN_IF_ERROR(map.Read("seed", &seed, YamlIntRange{0, INT64_MAX}));
  RETURN_IF_ERROR(map.Read("logprobs", &logprobs, YamlIntRange{0, 20}));
  sampling->temperature = static_cast<float>(temperature);
  sampling->top_p = static_cast<float>(top_p);
  sampling->top_k = static_cast<int32_t>(top_k);
  sampling->seed = static_cast<uint64_t>(seed);
  sampling->logprobs = static_cast<int32_t>(logprobs);
  return absl::OkStatus();
}

absl::StatusOr<WrittenRequest> ReadRequest(const YamlNode& node, size_t index) {
  ASSIGN_OR_RETURN(const YamlMap map, node.AsMap());
  WrittenRequest request;
  request.id = "request-" + std::to_string(index);
  Duration at;
  RETURN_IF_ERROR(map.Read("id", &request.id));
  RETURN_IF_ERROR(map.Read("at", &at));
  request.at = TimePoint() + at;
  RETURN_IF_ERROR(map.Read("chat", &request.chat));
  RETURN_IF_ERROR(map.Read("text", &request.text));
  if (request.chat.empty() == request.text.empty()) {
    return map.Error("chat", "a request needs either `chat` or `text`");
  }
  RETURN_IF_ERROR(map.Read("max_tokens", &request.max_tokens, YamlIntRange{1, kMostTokens}));
  RETURN_IF_ERROR(map.Read("ignore_eos", &request.ignore_eos));
  RETURN_IF_ERROR(map.Read("cancel_after", &request.cancel_after));
  RETURN_IF_ERROR(map.Read("deadline", &request.deadline));
  RETURN_IF_ERROR(ReadSampling(map, &request.sampling));
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

absl::StatusOr<Scenario> ReadScenario(const YamlDocument& document) {
  Scenario scenario;
  scenario.pool.executor = device::ExecutorKind::kSynthetic;
  ASSIGN_OR_RETURN(const YamlMap root, document.Root());
  RETURN_IF_ERROR(root.Require("name", &scenario.name));
  int64_t seed = 0;
  RETURN_IF_ERROR(root.Read("seed", &seed, YamlIntRange{0, INT64_MAX}));
  scenario.seed = static_cast<uint64_t>(seed);
  RETURN_IF_ERROR(root.Read("model", &scenario.model));
  ASSIGN_OR_RETURN(const YamlMap pool, root.MapOrEmpty("pool"));
  RETURN_IF_ERROR(ReadPool(pool, &scenario.pool));
  ASSIGN_OR_RETURN(const YamlMap scheduler, root.MapOrEmpty("scheduler"));
  RETURN_IF_ERROR(ReadScheduler(scheduler, &scenario));
  ASSIGN_OR_RETURN(const YamlMap workload, root.MapOrEmpty("workload"));
  RETURN_IF_ERROR(ReadWorkload(workload, &scenario));
  ASSIGN_OR_RETURN(const std::vector<YamlNode> requests, root.List("requests"));
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSIGN_OR_RETURN(WrittenRequest request, ReadRequest(requests[i], i));
    scenario.requests.push_back(std::move(request));
  }
  ASSIGN_OR_RETURN(const YamlMap slo, root.MapOrEmpty("slo"));
  RETURN_IF_ERROR(slo.Read("ttft", &scenario.slo.ttft));
  RETURN_IF_ERROR(slo.Read("itl", &scenario.slo.itl));
  RETURN_IF_ERROR(document.Finish());
  if (scenario.requests.empty() && scenario.workload.requests == 0 &&
      scenario.azure_trace.empty()) {
    return root.Error(
        "workload",
        "the scenario has no traffic: give workload.requests, workload.azure_trace or requests");
  }
  if (scenario.model.empty() && scenario.pool.executor == device::ExecutorKind::kFunctional) {
    return root.Error("model", "the functional executor needs `model`, the path of a GGUF file");
  }
  scenario.workload.seed = scenario.seed;
  return scenario;
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(absl::string_view text, absl::string_view file) {
  ASSIGN_OR_RETURN(const YamlDocument document, YamlDocument::Parse(text, file));
  return ReadScenario(document);
}

absl::StatusOr<Scenario> LoadScenario(absl::string_view path) {
  ASSIGN_OR_RETURN(const YamlDocument document, YamlDocument::Load(path));
  return ReadScenario(document);
}

}  // namespace scoville::sim
