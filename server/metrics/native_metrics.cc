// The native series of requests, steps and the process; device_metrics.cc has those of devices.
#include "scheduler/names.h"
#include "server/metrics/device_metrics.h"
#include "server/metrics/family_writer.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

void WriteTokens(const MetricsSnapshot& s, FamilyWriter& out) {
  const std::string& model = s.facts->model;
  const CoreCounters& c = s.core.counters;
  out.Counter("tokens_total",
              "Tokens by phase: input (prompt tokens computed), cached (prompt tokens a prefix "
              "cache gave), output (sampled), recomputed (again after a preemption).");
  out.Add({{"model", model}, {"phase", "input"}}, static_cast<double>(c.tokens.input));
  out.Add({{"model", model}, {"phase", "cached"}}, static_cast<double>(c.cached_tokens));
  out.Add({{"model", model}, {"phase", "output"}}, static_cast<double>(c.tokens.output));
  out.Add({{"model", model}, {"phase", "recomputed"}}, static_cast<double>(c.tokens.recomputed));
}

void WriteRequests(const MetricsSnapshot& s, FamilyWriter& out) {
  const std::string& model = s.facts->model;
  const CoreCounters& c = s.core.counters;
  const scheduler::PoolStatus& pool = s.core.pool;
  int64_t running = 0;
  for (const int32_t n : pool.running) {
    running += n;
  }
  out.Gauge("requests_running", "Requests placed on a device, those paused included.");
  out.Add({{"model", model}}, static_cast<double>(running));
  out.Gauge("requests_paused", "Running requests that wait for their reader.");
  out.Add({{"model", model}}, static_cast<double>(pool.paused));
  out.Gauge("requests_waiting",
            "Queued requests; first come, first served, so all wait for what the oldest lacks.");
  out.Add({{"model", model}, {"reason", "capacity"}}, static_cast<double>(pool.waiting));
  out.Counter("requests_total", "Admitted requests that ended, by outcome.");
  for (size_t i = 0; i < kOutcomes; ++i) {
    const auto outcome = static_cast<scheduler::Outcome>(i);
    out.Add(
        {{"model", model}, {"tenant", "anonymous"}, {"outcome", scheduler::OutcomeName(outcome)}},
        static_cast<double>(c.ended[i]));
  }
  out.Counter("refusals_total", "Requests that were not admitted, by reason.");
  for (size_t i = 0; i < kRefusalReasons; ++i) {
    const auto reason = static_cast<scheduler::RefusalReason>(i);
    out.Add({{"model", model}, {"reason", scheduler::RefusalReasonName(reason)}},
            static_cast<double>(c.refused[i]));
  }
  out.Counter("preemptions_total", "Running requests sent back to the queue, by cause.");
  out.Add({{"model", model}, {"cause", "kv"}}, static_cast<double>(c.preempted));
}

void WriteLatencies(const MetricsSnapshot& s, FamilyWriter& out) {
  const Labels model = {{"model", s.facts->model}};
  const CoreCounters& c = s.core.counters;
  out.Histogram("time_to_first_token_seconds", "From arrival to the first token.");
  for (size_t i = 0; i < kServiceClasses; ++i) {
    out.Add({{"model", s.facts->model},
             {"class", scheduler::ServiceClassName(static_cast<scheduler::ServiceClass>(i))}},
            c.first_token[i], 1e9);
  }
  const auto histogram = [&](const char* name, const char* help, const EdgeHistogram& h,
                             double per_unit) {
    out.Histogram(name, help);
    out.Add(model, h, per_unit);
  };
  histogram("inter_token_latency_seconds", "From one token of a request to its next.",
            c.inter_token, 1e9);
  histogram("request_duration_seconds", "From arrival to the end.", c.duration, 1e9);
  histogram("request_queue_seconds", "From arrival to the first step.", c.queue, 1e9);
  histogram("request_prefill_seconds", "From the first step to the first token.", c.prefill, 1e9);
  histogram("request_decode_seconds", "From the first to the last token.", c.decode, 1e9);
  histogram("request_prompt_tokens", "Prompt tokens of admitted requests.", c.prompt_tokens, 1);
  histogram("request_output_tokens", "Output tokens of ended requests.", c.output_tokens, 1);
  histogram("request_energy_joules", "Emulated energy attributed to an ended request.",
            c.request_microjoules, 1e6);
  histogram("request_joules_per_output_token",
            "Emulated energy of an ended request over its output tokens.",
            c.microjoules_per_output_token, 1e6);
  histogram("step_duration_seconds", "Emulated device time of a step.", c.step_duration, 1e9);
  histogram("step_batch_tokens", "Rows of a step.", c.step_tokens, 1);
}

void WriteProcess(const MetricsSnapshot& s, FamilyWriter& out) {
  const ProcessSnapshot& p = s.process;
  out.Gauge("build_info", "Always 1; the labels say what runs.");
  out.Add({{"version", s.facts->version}, {"emulated", "true"}}, 1);
  out.Gauge("ready", "1 while new requests are welcome.");
  out.Add({}, p.ready ? 1 : 0);
  out.Gauge("draining", "1 from the first termination signal on.");
  out.Add({}, p.draining ? 1 : 0);
  out.Gauge("fault_injection_enabled", "1 if faults may be injected over the wire.");
  out.Add({}, 0);
  out.Gauge("engine_last_progress_timestamp_seconds", "Unix time of the engine loop's last turn.");
  out.Add({}, p.last_turn_unix_seconds);
  out.Gauge("streams_open", "Responses being streamed, by protocol.");
  out.Add({{"protocol", "grpc"}}, static_cast<double>(p.grpc_streams));
  out.Add({{"protocol", "http"}}, static_cast<double>(p.http_streams));
  out.Counter("http_requests_total", "HTTP requests answered, by route, method and code.");
  for (const HttpRequestCount& row : p.http) {
    out.Add({{"route", row.route}, {"method", row.method}, {"code", row.code}},
            static_cast<double>(row.count));
  }
}

// The names and labels that go-grpc-prometheus made common.
std::string RenderGrpc(const std::vector<GrpcRequestCount>& counts) {
  FamilyWriter out("grpc_server_");
  const auto labels = [](const GrpcRequestCount& c) {
    return Labels{{"grpc_type", c.type}, {"grpc_service", c.service}, {"grpc_method", c.method}};
  };
  const auto family = [&](const char* name, const char* help, int64_t GrpcRequestCount::*field) {
    out.Counter(name, help);
    for (const GrpcRequestCount& c : counts) {
      out.Add(labels(c), static_cast<double>(c.*field));
    }
  };
  family("started_total", "RPCs begun.", &GrpcRequestCount::started);
  family("msg_received_total", "Messages received.", &GrpcRequestCount::received);
  family("msg_sent_total", "Messages sent.", &GrpcRequestCount::sent);
  out.Counter("handled_total", "RPCs ended, by status code.");
  for (const GrpcRequestCount& c : counts) {
    for (const auto& [code, count] : c.handled) {
      Labels with_code = labels(c);
      with_code.emplace_back("grpc_code", code);
      out.Add(with_code, static_cast<double>(count));
    }
  }
  return out.Serialize();
}

std::string RenderProcessDefaults(const ProcessSnapshot& p) {
  FamilyWriter out("process_");
  out.Counter("cpu_seconds_total", "User and system CPU time of the daemon.");
  out.Add({}, p.cpu_seconds);
  out.Gauge("start_time_seconds", "Unix time of the daemon's start.");
  out.Add({}, p.start_unix_seconds);
  out.Gauge("resident_memory_bytes", "Resident memory of the daemon.");
  out.Add({}, static_cast<double>(p.resident_bytes));
  out.Gauge("virtual_memory_bytes", "Virtual memory of the daemon.");
  out.Add({}, static_cast<double>(p.virtual_bytes));
  out.Gauge("open_fds", "Open file descriptors.");
  out.Add({}, static_cast<double>(p.open_fds));
  out.Gauge("max_fds", "Limit of open file descriptors.");
  out.Add({}, static_cast<double>(p.max_fds));
  return out.Serialize();
}

}  // namespace

std::string RenderNativeMetrics(const MetricsSnapshot& snapshot) {
  FamilyWriter out("scoville_");
  WriteTokens(snapshot, out);
  WriteRequests(snapshot, out);
  WriteDevices(snapshot, out);
  WritePool(snapshot, out);
  WriteLatencies(snapshot, out);
  WriteProcess(snapshot, out);
  return out.Serialize() + RenderGrpc(snapshot.process.grpc) +
         RenderProcessDefaults(snapshot.process);
}

std::string RenderMetrics(const MetricsSnapshot& snapshot) {
  return RenderNativeMetrics(snapshot) + RenderVllmMetrics(snapshot);
}

}  // namespace scoville::server
