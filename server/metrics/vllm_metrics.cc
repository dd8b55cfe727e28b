// The series that dashboards, autoscalers and routers written for vLLM ask for, by their names.
//
// One series per gauge and model, devices summed: routers read only a family's first series. The
// label `engine` counts the models of a daemon.
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "server/metrics/family_writer.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

using scheduler::Outcome;

Labels With(Labels labels, const char* name, const char* value) {
  labels.emplace_back(name, value);
  return labels;
}

Labels LabelsOf(const DeploymentSnapshot& d) {
  return {{"model_name", d.facts.model}, {"engine", absl::StrCat(d.facts.number)}};
}

// One series per deployment.
template <typename Value>
void PerModel(const MetricsSnapshot& s, FamilyWriter& out, Value value) {
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add(LabelsOf(d), static_cast<double>(value(d)));
  }
}

struct KvSum {
  int64_t used = 0;
  int64_t total = 0;
};

KvSum KvOf(const DeploymentSnapshot& d) {
  KvSum sum;
  for (const device::DeviceStatus& device : d.core.pool.devices) {
    sum.used += device.kv_blocks_used;
    sum.total += device.kv_blocks_total;
  }
  return sum;
}

void WriteGauges(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Gauge("num_requests_running", "Requests placed on a device.");
  PerModel(s, out, [](const DeploymentSnapshot& d) {
    int64_t running = 0;
    for (const int32_t n : d.core.pool.running) {
      running += n;
    }
    return running;
  });
  out.Gauge("num_requests_waiting", "Queued requests.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.pool.waiting; });
  out.Gauge("num_requests_waiting_by_reason", "Queued requests by reason.");
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add(With(LabelsOf(d), "reason", "capacity"), static_cast<double>(d.core.pool.waiting));
    out.Add(With(LabelsOf(d), "reason", "deferred"), 0);
  }
  out.Gauge("kv_cache_usage_perc", "Used share of all KV blocks, 0 to 1.");
  PerModel(s, out, [](const DeploymentSnapshot& d) {
    const KvSum kv = KvOf(d);
    return kv.total > 0 ? static_cast<double>(kv.used) / static_cast<double>(kv.total) : 0;
  });
  out.Gauge("cache_config_info", "Always 1; the labels describe the KV cache.");
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add({{"block_size", absl::StrCat(d.facts.kv_block_size)},
             {"num_gpu_blocks", absl::StrCat(KvOf(d).total)},
             {"engine", absl::StrCat(d.facts.number)}},
            1);
  }
}

double Ended(const CoreCounters& c, std::initializer_list<Outcome> outcomes) {
  int64_t sum = 0;
  for (const Outcome outcome : outcomes) {
    sum += c.ended[static_cast<size_t>(outcome)];
  }
  return static_cast<double>(sum);
}

void WriteEnds(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("request_success_total", "Ended requests by finish reason.");
  for (const DeploymentSnapshot& d : s.deployments) {
    const CoreCounters& c = d.core.counters;
    const auto add = [&](const char* reason, double count) {
      out.Add(With(LabelsOf(d), "finished_reason", reason), count);
    };
    add("stop", Ended(c, {Outcome::kStop}));
    add("length", Ended(c, {Outcome::kLength, Outcome::kEnergy}));
    add("abort", Ended(c, {Outcome::kCancelled, Outcome::kDeadlineExceeded, Outcome::kSlowConsumer,
                           Outcome::kDraining}));
    add("error", Ended(c, {Outcome::kDeviceLost, Outcome::kConstraint, Outcome::kInternal}));
    add("repetition", 0);
  }
}

void WriteCounters(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("prompt_tokens_total", "Prompt tokens computed.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.tokens.input; });
  out.Counter("prompt_tokens_cached_total", "Prompt tokens a prefix cache gave.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.cached_tokens; });
  const auto sum = [&](int64_t scheduler::DeviceHealth::*field) {
    PerModel(s, out, [field](const DeploymentSnapshot& d) {
      int64_t tokens = 0;
      for (const scheduler::DeviceHealth& health : d.core.pool.health) {
        tokens += health.*field;
      }
      return tokens;
    });
  };
  out.Counter("prefix_cache_queries_total", "Prompt tokens looked for in the prefix cache.");
  sum(&scheduler::DeviceHealth::prefix_query_tokens);
  out.Counter("prefix_cache_hits_total", "Prompt tokens that the prefix cache gave.");
  sum(&scheduler::DeviceHealth::prefix_hit_tokens);
  out.Counter("generation_tokens_total", "Tokens sampled.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.tokens.output; });
  out.Counter("num_preemptions_total", "Running requests sent back to the queue.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.preempted; });
  WriteEnds(s, out);
}

// The service classes as one.
void WriteFirstToken(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Histogram("time_to_first_token_seconds", "From arrival to the first token.");
  for (const DeploymentSnapshot& d : s.deployments) {
    EdgeHistogram sum = d.core.counters.first_token[0];
    for (size_t i = 1; i < kServiceClasses; ++i) {
      sum.Merge(d.core.counters.first_token[i]);
    }
    out.Add(LabelsOf(d), sum, kVllmFirstTokenEdges, 1e9);
  }
}

void WriteHistograms(const MetricsSnapshot& s, FamilyWriter& out) {
  using C = CoreCounters;
  const auto histogram = [&](const char* name, const char* help, EdgeHistogram C::*field,
                             absl::Span<const int64_t> edges, double per_unit) {
    out.Histogram(name, help);
    for (const DeploymentSnapshot& d : s.deployments) {
      out.Add(LabelsOf(d), d.core.counters.*field, edges, per_unit);
    }
  };
  WriteFirstToken(s, out);
  histogram("inter_token_latency_seconds", "From one token to the next.", &C::inter_token,
            kVllmTokenEdges, 1e9);
  histogram("request_time_per_output_token_seconds", "Mean interval of a request's tokens.",
            &C::time_per_output_token, kVllmTokenEdges, 1e9);
  histogram("e2e_request_latency_seconds", "From arrival to the end.", &C::duration,
            kVllmPhaseEdges, 1e9);
  histogram("request_queue_time_seconds", "From arrival to the first step.", &C::queue,
            kVllmPhaseEdges, 1e9);
  histogram("request_inference_time_seconds", "From the first step to the last token.",
            &C::inference, kVllmPhaseEdges, 1e9);
  histogram("request_prefill_time_seconds", "From the first step to the first token.", &C::prefill,
            kVllmPhaseEdges, 1e9);
  histogram("request_decode_time_seconds", "From the first to the last token.", &C::decode,
            kVllmPhaseEdges, 1e9);
  histogram("request_prompt_tokens", "Prompt tokens of a request.", &C::prompt_tokens, kCountEdges,
            1);
  histogram("request_generation_tokens", "Output tokens of a request.", &C::output_tokens,
            kCountEdges, 1);
  histogram("iteration_tokens_total", "Rows of a step.", &C::step_tokens, kBatchEdges, 1);
}

}  // namespace

std::string RenderVllmMetrics(const MetricsSnapshot& snapshot) {
  FamilyWriter out("vllm:");
  WriteGauges(snapshot, out);
  WriteCounters(snapshot, out);
  WriteHistograms(snapshot, out);
  return out.Serialize();
}

}  // namespace scoville::server
