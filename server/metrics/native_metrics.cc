// The native series of requests, steps and the process; device_metrics.cc has those of devices.
#include "scheduler/names.h"
#include "server/metrics/device_metrics.h"
#include "server/metrics/family_writer.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

// One family with one series per deployment.
template <typename Value>
void PerModel(const MetricsSnapshot& s, FamilyWriter& out, Value value) {
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add({{"model", d.facts.model}}, static_cast<double>(value(d)));
  }
}

void WriteTokens(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("tokens_total",
              "Tokens by phase: input (prompt tokens computed), cached (prompt tokens a prefix "
              "cache gave), output (sampled), recomputed (again after a preemption).");
  for (const DeploymentSnapshot& d : s.deployments) {
    const CoreCounters& c = d.core.counters;
    const auto add = [&](const char* phase, int64_t tokens) {
      out.Add({{"model", d.facts.model}, {"phase", phase}}, static_cast<double>(tokens));
    };
    add("input", c.tokens.input);
    add("cached", c.cached_tokens);
    add("output", c.tokens.output);
    add("recomputed", c.tokens.recomputed);
  }
  out.Counter("draft_tokens_proposed_total", "Tokens guessed ahead and computed.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.draft_tokens; });
  out.Counter("draft_tokens_accepted_total", "Guessed tokens that were right.");
  PerModel(s, out,
           [](const DeploymentSnapshot& d) { return d.core.counters.accepted_draft_tokens; });
}

void WriteQueue(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Gauge("requests_running", "Requests placed on a device, those paused included.");
  PerModel(s, out, [](const DeploymentSnapshot& d) {
    int64_t running = 0;
    for (const int32_t n : d.core.pool.running) {
      running += n;
    }
    return running;
  });
  out.Gauge("requests_paused", "Running requests that wait for their reader.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.pool.paused; });
  out.Gauge("requests_waiting", "Requests that wait for a device.");
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add({{"model", d.facts.model}, {"reason", "capacity"}},
            static_cast<double>(d.core.pool.waiting));
  }
  out.Gauge("requests_queued",
            "Requests in the queue by class; a choice that waits for another one of its request is "
            "in none.");
  for (const DeploymentSnapshot& d : s.deployments) {
    for (size_t i = 0; i < kServiceClasses; ++i) {
      out.Add({{"model", d.facts.model},
               {"class", scheduler::ServiceClassName(static_cast<scheduler::ServiceClass>(i))}},
              static_cast<double>(d.core.pool.waiting_by_class[i]));
    }
  }
}

void WriteRequests(const MetricsSnapshot& s, FamilyWriter& out) {
  WriteQueue(s, out);
  out.Counter("requests_total", "Admitted requests that ended, by outcome.");
  for (const DeploymentSnapshot& d : s.deployments) {
    for (size_t i = 0; i < kOutcomes; ++i) {
      const auto outcome = static_cast<scheduler::Outcome>(i);
      out.Add({{"model", d.facts.model},
               {"tenant", "anonymous"},
               {"outcome", scheduler::OutcomeName(outcome)}},
              static_cast<double>(d.core.counters.ended[i]));
    }
  }
  out.Counter("refusals_total", "Requests that were not admitted, by reason.");
  for (const DeploymentSnapshot& d : s.deployments) {
    for (size_t i = 0; i < kRefusalReasons; ++i) {
      const auto reason = static_cast<scheduler::RefusalReason>(i);
      out.Add({{"model", d.facts.model}, {"reason", scheduler::RefusalReasonName(reason)}},
              static_cast<double>(d.core.counters.refused[i]));
    }
  }
  out.Counter("preemptions_total", "Running requests sent back to the queue, by cause.");
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add({{"model", d.facts.model}, {"cause", "kv"}},
            static_cast<double>(d.core.counters.preempted));
  }
  out.Counter("migrations_total",
              "Requests that moved from a device that was lost, fenced or drained.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.migrated; });
}

void WriteFaults(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("devices_lost_total", "Devices given up, because of silence or a fence.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return d.core.counters.devices_lost; });
  out.Counter("lost_step_energy_joules_total",
              "Emulated energy of steps that were void when their device was given up; part of "
              "waste.");
  PerModel(s, out,
           [](const DeploymentSnapshot& d) { return ToJoules(d.core.counters.lost_step_energy); });
}

void WritePrefixCache(const MetricsSnapshot& s, FamilyWriter& out) {
  const auto sum = [&](int64_t scheduler::DeviceHealth::*field) {
    PerModel(s, out, [field](const DeploymentSnapshot& d) {
      int64_t tokens = 0;
      for (const scheduler::DeviceHealth& health : d.core.pool.health) {
        tokens += health.*field;
      }
      return tokens;
    });
  };
  out.Counter("prefix_cache_query_tokens_total",
              "Prompt tokens of placed requests, looked for in the prefix cache.");
  sum(&scheduler::DeviceHealth::prefix_query_tokens);
  out.Counter("prefix_cache_hit_tokens_total", "Those of them that the prefix cache gave.");
  sum(&scheduler::DeviceHealth::prefix_hit_tokens);
  out.Counter("kv_evictions_total", "Cached KV blocks that made room.");
  PerModel(s, out, [](const DeploymentSnapshot& d) {
    int64_t blocks = 0;
    for (const device::DeviceStatus& device : d.core.pool.devices) {
      blocks += device.kv_blocks_evicted;
    }
    return blocks;
  });
}

void WriteLatencies(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Histogram("time_to_first_token_seconds", "From arrival to the first token.");
  for (const DeploymentSnapshot& d : s.deployments) {
    for (size_t i = 0; i < kServiceClasses; ++i) {
      out.Add({{"model", d.facts.model},
               {"class", scheduler::ServiceClassName(static_cast<scheduler::ServiceClass>(i))}},
              d.core.counters.first_token[i], 1e9);
    }
  }
  const auto histogram = [&](const char* name, const char* help, EdgeHistogram CoreCounters::*field,
                             double per_unit) {
    out.Histogram(name, help);
    for (const DeploymentSnapshot& d : s.deployments) {
      out.Add({{"model", d.facts.model}}, d.core.counters.*field, per_unit);
    }
  };
  using C = CoreCounters;
  histogram("inter_token_latency_seconds", "From one token of a request to its next.",
            &C::inter_token, 1e9);
  histogram("request_duration_seconds", "From arrival to the end.", &C::duration, 1e9);
  histogram("request_queue_seconds", "From arrival to the first step.", &C::queue, 1e9);
  histogram("request_prefill_seconds", "From the first step to the first token.", &C::prefill, 1e9);
  histogram("request_decode_seconds", "From the first to the last token.", &C::decode, 1e9);
  histogram("request_prompt_tokens", "Prompt tokens of admitted requests.", &C::prompt_tokens, 1);
  histogram("request_output_tokens", "Output tokens of ended requests.", &C::output_tokens, 1);
  histogram("request_energy_joules", "Emulated energy attributed to an ended request.",
            &C::request_microjoules, 1e6);
  histogram("request_joules_per_output_token",
            "Emulated energy of an ended request over its output tokens.",
            &C::microjoules_per_output_token, 1e6);
  histogram("step_duration_seconds", "Emulated device time of a step.", &C::step_duration, 1e9);
  histogram("step_batch_tokens", "Rows of a step.", &C::step_tokens, 1);
}

void WriteProcess(const MetricsSnapshot& s, FamilyWriter& out) {
  const ProcessSnapshot& p = s.process;
  out.Gauge("build_info", "Always 1; the labels say what runs.");
  out.Add({{"version", p.version}, {"emulated", "true"}}, 1);
  out.Gauge("ready", "1 while new requests are welcome.");
  out.Add({}, p.ready ? 1 : 0);
  out.Gauge("draining", "1 from the first termination signal on.");
  out.Add({}, p.draining ? 1 : 0);
  out.Gauge("fault_injection_enabled", "1 if faults may be injected over the wire.");
  out.Add({}, p.fault_injection ? 1 : 0);
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
  WriteFaults(snapshot, out);
  WritePrefixCache(snapshot, out);
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
