// The series that dashboards, autoscalers and routers written for vLLM ask for, by their names.
//
// One series per gauge, devices summed: routers read only a family's first series.
#include "absl/strings/str_cat.h"
#include "server/metrics/family_writer.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

Labels With(Labels labels, const char* name, const char* value) {
  labels.emplace_back(name, value);
  return labels;
}

void WriteGauges(const MetricsSnapshot& s, const Labels& labels, FamilyWriter& out) {
  int64_t running = 0;
  for (const int32_t n : s.core.pool.running) {
    running += n;
  }
  int64_t used = 0;
  int64_t total = 0;
  for (const device::DeviceStatus& d : s.core.pool.devices) {
    used += d.kv_blocks_used;
    total += d.kv_blocks_total;
  }
  const auto waiting = static_cast<double>(s.core.pool.waiting);
  out.Gauge("num_requests_running", "Requests placed on a device.");
  out.Add(labels, static_cast<double>(running));
  out.Gauge("num_requests_waiting", "Queued requests.");
  out.Add(labels, waiting);
  out.Gauge("num_requests_waiting_by_reason", "Queued requests by reason.");
  out.Add(With(labels, "reason", "capacity"), waiting);
  out.Add(With(labels, "reason", "deferred"), 0);
  out.Gauge("kv_cache_usage_perc", "Used share of all KV blocks, 0 to 1.");
  out.Add(labels, total > 0 ? static_cast<double>(used) / static_cast<double>(total) : 0);
  out.Gauge("cache_config_info", "Always 1; the labels describe the KV cache.");
  out.Add({{"block_size", absl::StrCat(s.facts->kv_block_size)},
           {"num_gpu_blocks", absl::StrCat(total)},
           {"engine", "0"}},
          1);
}

void WriteCounters(const CoreCounters& c, const Labels& labels, FamilyWriter& out) {
  const auto ended = [&](std::initializer_list<scheduler::Outcome> outcomes) {
    int64_t sum = 0;
    for (const scheduler::Outcome outcome : outcomes) {
      sum += c.ended[static_cast<size_t>(outcome)];
    }
    return static_cast<double>(sum);
  };
  using scheduler::Outcome;
  out.Counter("prompt_tokens_total", "Prompt tokens computed.");
  out.Add(labels, static_cast<double>(c.tokens.input));
  out.Counter("prompt_tokens_cached_total", "Prompt tokens a prefix cache gave.");
  out.Add(labels, static_cast<double>(c.cached_tokens));
  out.Counter("generation_tokens_total", "Tokens sampled.");
  out.Add(labels, static_cast<double>(c.tokens.output));
  out.Counter("num_preemptions_total", "Running requests sent back to the queue.");
  out.Add(labels, static_cast<double>(c.preempted));
  out.Counter("request_success_total", "Ended requests by finish reason.");
  out.Add(With(labels, "finished_reason", "stop"), ended({Outcome::kStop}));
  out.Add(With(labels, "finished_reason", "length"), ended({Outcome::kLength, Outcome::kEnergy}));
  out.Add(With(labels, "finished_reason", "abort"),
          ended({Outcome::kCancelled, Outcome::kDeadlineExceeded, Outcome::kSlowConsumer,
                 Outcome::kDraining}));
  out.Add(With(labels, "finished_reason", "error"),
          ended({Outcome::kDeviceLost, Outcome::kInternal}));
  out.Add(With(labels, "finished_reason", "repetition"), 0);
}

// The service classes as one.
void WriteFirstToken(const CoreCounters& c, const Labels& labels, FamilyWriter& out) {
  EdgeHistogram sum = c.first_token[0];
  for (size_t i = 1; i < kServiceClasses; ++i) {
    sum.Merge(c.first_token[i]);
  }
  out.Histogram("time_to_first_token_seconds", "From arrival to the first token.");
  out.Add(labels, sum, kVllmFirstTokenEdges, 1e9);
}

void WriteHistograms(const CoreCounters& c, const Labels& labels, FamilyWriter& out) {
  const auto histogram = [&](const char* name, const char* help, const EdgeHistogram& h,
                             absl::Span<const int64_t> edges, double per_unit) {
    out.Histogram(name, help);
    out.Add(labels, h, edges, per_unit);
  };
  WriteFirstToken(c, labels, out);
  histogram("inter_token_latency_seconds", "From one token to the next.", c.inter_token,
            kVllmTokenEdges, 1e9);
  histogram("request_time_per_output_token_seconds", "Mean interval of a request's tokens.",
            c.time_per_output_token, kVllmTokenEdges, 1e9);
  histogram("e2e_request_latency_seconds", "From arrival to the end.", c.duration, kVllmPhaseEdges,
            1e9);
  histogram("request_queue_time_seconds", "From arrival to the first step.", c.queue,
            kVllmPhaseEdges, 1e9);
  histogram("request_inference_time_seconds", "From the first step to the last token.", c.inference,
            kVllmPhaseEdges, 1e9);
  histogram("request_prefill_time_seconds", "From the first step to the first token.", c.prefill,
            kVllmPhaseEdges, 1e9);
  histogram("request_decode_time_seconds", "From the first to the last token.", c.decode,
            kVllmPhaseEdges, 1e9);
  histogram("request_prompt_tokens", "Prompt tokens of a request.", c.prompt_tokens, kCountEdges,
            1);
  histogram("request_generation_tokens", "Output tokens of a request.", c.output_tokens,
            kCountEdges, 1);
  histogram("iteration_tokens_total", "Rows of a step.", c.step_tokens, kBatchEdges, 1);
}

}  // namespace

std::string RenderVllmMetrics(const MetricsSnapshot& snapshot) {
  FamilyWriter out("vllm:");
  const Labels labels = {{"model_name", snapshot.facts->model}, {"engine", "0"}};
  WriteGauges(snapshot, labels, out);
  WriteCounters(snapshot.core.counters, labels, out);
  WriteHistograms(snapshot.core.counters, labels, out);
  return out.Serialize();
}

}  // namespace scoville::server
