#include "server/metrics/device_metrics.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_names.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

using device::DeviceStatus;

Labels LabelsOf(const DeploymentSnapshot& d, const DeviceStatus& device) {
  return {{"model", d.facts.model}, {"device", absl::StrCat(device.id.value)}};
}

Labels With(Labels labels, const char* name, const std::string& value) {
  labels.emplace_back(name, value);
  return labels;
}

// Calls `add` for each device of each deployment.
template <typename Add>
void ForEachDevice(const MetricsSnapshot& s, Add add) {
  for (const DeploymentSnapshot& d : s.deployments) {
    for (const DeviceStatus& device : d.core.pool.devices) {
      add(d, device);
    }
  }
}

// One family with one series per device.
template <typename Value>
void PerDevice(const MetricsSnapshot& s, FamilyWriter& out, Value value) {
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    out.Add(LabelsOf(d, device), value(device));
  });
}

void WriteStates(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Gauge("device_info", "Always 1; the labels say what an emulated device is.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    out.Add({{"device", absl::StrCat(device.id.value)},
             {"profile", d.facts.profile},
             {"chips", absl::StrCat(d.facts.chips_per_device)},
             {"model", d.facts.model},
             {"executor", d.facts.executor}},
            1);
  });
  out.Gauge("device_state", "1 for the state a device is in, 0 for the others.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    for (const device::DeviceState state : kDeviceStates) {
      out.Add(With(LabelsOf(d, device), "state", DeviceStateLabel(state)),
              device.state == state ? 1 : 0);
    }
  });
  out.Gauge("device_pace_ratio",
            "Device time of its steps beside what was predicted, smoothed; 1 is as it should be.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const scheduler::DeviceHealth& health = d.core.pool.health.at(device.id.value);
    out.Add(LabelsOf(d, device), static_cast<double>(health.pace_percent) / 100);
  });
}

void WriteEnergy(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("device_energy_joules_total",
              "Emulated energy by what it served: prefill, decode, idle, waste.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const Labels labels = LabelsOf(d, device);
    out.Add(With(labels, "bucket", "prefill"), ToJoules(device.energy.prefill));
    out.Add(With(labels, "bucket", "decode"), ToJoules(device.energy.decode));
    out.Add(With(labels, "bucket", "idle"), ToJoules(device.energy.idle));
    out.Add(With(labels, "bucket", "waste"), ToJoules(device.energy.waste));
  });
  out.Counter("device_energy_term_joules_total",
              "The same emulated energy by what drew it: compute, memory, link, static.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const Labels labels = LabelsOf(d, device);
    out.Add(With(labels, "term", "compute"), ToJoules(device.terms.compute));
    out.Add(With(labels, "term", "memory"), ToJoules(device.terms.memory));
    out.Add(With(labels, "term", "link"), ToJoules(device.terms.link));
    out.Add(With(labels, "term", "static"), ToJoules(device.terms.static_));
  });
}

void WriteStalls(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("device_stall_seconds_total",
              "Emulated device time by what it went to; the causes, idle included, sum to the "
              "device's time.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const auto add = [&](const char* cause, Duration time) {
      out.Add(With(LabelsOf(d, device), "cause", cause), NsToSeconds(time.value()));
    };
    add("host", device.stalls.host);
    add("compute", device.stalls.compute);
    add("memory", device.stalls.memory);
    add("comm", device.stalls.comm);
    add("fixed", device.stalls.fixed);
    add("throttle", device.stalls.throttle);
    add("cap_wait", device.idle.cap_wait);
    add("parked", device.idle.parked);
    add("idle", device.idle_time - device.idle.cap_wait - device.idle.parked);
  });
}

void WriteWork(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Counter("device_steps_total", "Steps run.");
  PerDevice(s, out, [](const DeviceStatus& d) { return static_cast<double>(d.steps); });
  out.Counter("device_tokens_total", "Tokens by phase: input, output, recomputed.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const Labels labels = LabelsOf(d, device);
    const std::vector<TokenCounts>& all = d.core.counters.device_tokens;
    // One that has just joined has run no step.
    const TokenCounts tokens = device.id.value < all.size() ? all[device.id.value] : TokenCounts();
    out.Add(With(labels, "phase", "input"), static_cast<double>(tokens.input));
    out.Add(With(labels, "phase", "output"), static_cast<double>(tokens.output));
    out.Add(With(labels, "phase", "recomputed"), static_cast<double>(tokens.recomputed));
  });
  out.Gauge("device_kv_blocks",
            "KV blocks by state: used by requests, cached (hold a prefix nobody uses now), pinned "
            "(cached and kept), bad (their page is lost), free.");
  ForEachDevice(s, [&](const DeploymentSnapshot& d, const DeviceStatus& device) {
    const auto add = [&](const char* state, int64_t blocks) {
      out.Add(With(LabelsOf(d, device), "state", state), static_cast<double>(blocks));
    };
    add("used", device.kv_blocks_used);
    add("cached", device.kv_blocks_cached);
    add("pinned", device.kv_blocks_pinned);
    add("bad", device.kv_blocks_bad);
    add("free", device.kv_blocks_total - device.kv_blocks_used - device.kv_blocks_cached -
                    device.kv_blocks_pinned);
  });
  out.Counter("device_emulation_lag_seconds_total",
              "Time the host needed beyond the emulated device's; no part of device time.");
  PerDevice(s, out, [](const DeviceStatus& d) { return NsToSeconds(d.lag.value()); });
}

// One family with one series per node of the budget trees that has the figure.
template <typename Value>
void PerNode(const MetricsSnapshot& s, FamilyWriter& out, Value value) {
  for (const DeploymentSnapshot& d : s.deployments) {
    for (const scheduler::NodePowerStatus& node : d.core.budgets) {
      if (const std::optional<Power> power = value(node)) {
        out.Add({{"model", d.facts.model},
                 {"node", node.name},
                 {"level", std::string(BudgetLevelName(node.level))}},
                ToWatts(*power));
      }
    }
  }
}

void WriteBudgets(const MetricsSnapshot& s, FamilyWriter& out) {
  using Node = scheduler::NodePowerStatus;
  out.Gauge("power_budget_watts", "Budgets of emulated power, of the nodes that have one.");
  PerNode(s, out, [](const Node& n) { return n.budget; });
  out.Gauge("power_limit_watts",
            "Emulated power that the caps below a node may sum to now: its budget less the "
            "reserve, or more while caps still come down.");
  PerNode(s, out, [](const Node& n) { return n.in_force; });
  out.Gauge("power_counted_watts",
            "Emulated power that is counted below a node: caps, an old one until the new one "
            "holds; never above its limit.");
  PerNode(s, out, [](const Node& n) { return std::optional<Power>(n.counted); });
}

// What the devices of a deployment come to together.
struct PoolSum {
  int64_t devices = 0;  // that are there
  Power caps;
  Power power;
  Energy energy;
};

PoolSum SumOf(const DeploymentSnapshot& d) {
  PoolSum sum;
  for (const DeviceStatus& device : d.core.pool.devices) {
    sum.devices += device.state == device::DeviceState::kRemoved ? 0 : 1;
    sum.caps += device.cap;
    sum.power += device.power;
    sum.energy += device.energy.total();
  }
  return sum;
}

// One family with one series per deployment.
template <typename Value>
void PerModel(const MetricsSnapshot& s, FamilyWriter& out, Value value) {
  for (const DeploymentSnapshot& d : s.deployments) {
    out.Add({{"model", d.facts.model}}, value(d));
  }
}

double WallWatts(const DeploymentSnapshot& d) {
  return ToWatts(SumOf(d).power) + d.facts.overhead_watts_per_chip *
                                       static_cast<double>(d.facts.chips_per_device) *
                                       static_cast<double>(SumOf(d).devices);
}

double TokensPerJoule(const DeploymentSnapshot& d) {
  const double joules = ToJoules(SumOf(d).energy);
  return joules > 0 ? static_cast<double>(d.core.counters.tokens.output) / joules : 0;
}

}  // namespace

void WriteDevices(const MetricsSnapshot& s, FamilyWriter& out) {
  WriteStates(s, out);
  out.Gauge("device_power_watts", "Emulated power of the phase the device is in.");
  PerDevice(s, out, [](const DeviceStatus& d) { return ToWatts(d.power); });
  out.Gauge("device_power_cap_watts", "Cap of the emulated power.");
  PerDevice(s, out, [](const DeviceStatus& d) { return ToWatts(d.cap); });
  WriteEnergy(s, out);
  WriteStalls(s, out);
  out.Gauge("device_clock_hertz", "Emulated clock.");
  PerDevice(s, out, [](const DeviceStatus& d) { return static_cast<double>(d.clock_hertz); });
  out.Gauge("device_temperature_celsius", "Emulated temperature.");
  PerDevice(s, out, [](const DeviceStatus& d) { return d.temperature_celsius; });
  WriteWork(s, out);
}

void WritePool(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Gauge("pool_caps_watts", "Sum of the devices' caps of emulated power.");
  PerModel(s, out, [](const DeploymentSnapshot& d) { return ToWatts(SumOf(d).caps); });
  out.Gauge("pool_wall_power_watts",
            "Emulated power of all devices and of the host, network and rack share that the "
            "profile assumes per chip.");
  PerModel(s, out, WallWatts);
  WriteBudgets(s, out);
  out.Gauge("pool_devices", "Devices by state.");
  for (const DeploymentSnapshot& d : s.deployments) {
    for (const device::DeviceState state : kDeviceStates) {
      int64_t count = 0;
      for (const DeviceStatus& device : d.core.pool.devices) {
        count += device.state == state ? 1 : 0;
      }
      out.Add({{"model", d.facts.model}, {"state", DeviceStateLabel(state)}},
              static_cast<double>(count));
    }
  }
  out.Gauge("energy_unattributed_joules",
            "Emulated energy that no request, idle time or waste accounts for, from exact "
            "integers; must read 0.");
  PerModel(s, out,
           [](const DeploymentSnapshot& d) { return ToJoules(UnattributedEnergy(d.core)); });
  out.Gauge("output_tokens_per_joule",
            "Output tokens over emulated device energy, idle included, since start (tokens/s per "
            "watt over the daemon's lifetime); divide rates of the counters for a recent value.");
  PerModel(s, out, TokensPerJoule);
}

Energy UnattributedEnergy(const CoreSnapshot& core) {
  Energy drawn;    // by term: what the meters integrated
  Energy idle;     // between steps
  Energy buckets;  // by beneficiary
  bool busy = core.pool.waiting > 0;
  for (size_t i = 0; i < core.pool.devices.size(); ++i) {
    const DeviceStatus& d = core.pool.devices[i];
    drawn += d.terms.total();
    idle += d.energy.idle;
    buckets += d.energy.total();
    busy = busy || core.pool.running[i] > 0;
  }
  // Three independent sums of the same joules: the meters by term, the devices by bucket, and what
  // was reported step by step. When nothing is live, the ended requests are a fourth.
  Energy gap = drawn - (core.counters.step_energy + idle);
  if (gap == Energy()) {
    gap = drawn - buckets;
  }
  if (gap == Energy() && !busy) {
    gap = core.counters.step_energy - core.counters.request_energy;
  }
  return gap;
}

}  // namespace scoville::server
