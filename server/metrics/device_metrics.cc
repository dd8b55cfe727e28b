#include "server/metrics/device_metrics.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/metrics/metric_names.h"
#include "server/metrics/render_metrics.h"

namespace scoville::server {

namespace {

using device::DeviceStatus;

// One family with one series per device.
template <typename Value>
void PerDevice(const std::vector<DeviceStatus>& devices, FamilyWriter& out, Value value) {
  for (const DeviceStatus& d : devices) {
    out.Add({{"device", absl::StrCat(d.id.value)}}, value(d));
  }
}

void WriteStates(const MetricsSnapshot& s, FamilyWriter& out) {
  out.Gauge("device_info", "Always 1; the labels say what an emulated device is.");
  for (const DeviceStatus& d : s.core.pool.devices) {
    out.Add({{"device", absl::StrCat(d.id.value)},
             {"profile", s.facts->profile},
             {"chips", absl::StrCat(s.facts->chips_per_device)},
             {"model", s.facts->model},
             {"executor", s.facts->executor}},
            1);
  }
  out.Gauge("device_state", "1 for the state a device is in, 0 for the others.");
  for (const DeviceStatus& d : s.core.pool.devices) {
    for (const device::DeviceState state : kDeviceStates) {
      out.Add({{"device", absl::StrCat(d.id.value)}, {"state", DeviceStateLabel(state)}},
              d.state == state ? 1 : 0);
    }
  }
}

void WriteEnergy(const std::vector<DeviceStatus>& devices, FamilyWriter& out) {
  out.Counter("device_energy_joules_total",
              "Emulated energy by what it served: prefill, decode, idle, waste.");
  for (const DeviceStatus& d : devices) {
    const std::string id = absl::StrCat(d.id.value);
    out.Add({{"device", id}, {"bucket", "prefill"}}, ToJoules(d.energy.prefill));
    out.Add({{"device", id}, {"bucket", "decode"}}, ToJoules(d.energy.decode));
    out.Add({{"device", id}, {"bucket", "idle"}}, ToJoules(d.energy.idle));
    out.Add({{"device", id}, {"bucket", "waste"}}, ToJoules(d.energy.waste));
  }
  out.Counter("device_energy_term_joules_total",
              "The same emulated energy by what drew it: compute, memory, link, static.");
  for (const DeviceStatus& d : devices) {
    const std::string id = absl::StrCat(d.id.value);
    out.Add({{"device", id}, {"term", "compute"}}, ToJoules(d.terms.compute));
    out.Add({{"device", id}, {"term", "memory"}}, ToJoules(d.terms.memory));
    out.Add({{"device", id}, {"term", "link"}}, ToJoules(d.terms.link));
    out.Add({{"device", id}, {"term", "static"}}, ToJoules(d.terms.static_));
  }
}

void WriteStalls(const std::vector<DeviceStatus>& devices, FamilyWriter& out) {
  out.Counter("device_stall_seconds_total",
              "Emulated device time by what it went to; the causes, idle included, sum to the "
              "device's time.");
  for (const DeviceStatus& d : devices) {
    const auto add = [&](const char* cause, Duration time) {
      out.Add({{"device", absl::StrCat(d.id.value)}, {"cause", cause}}, NsToSeconds(time.value()));
    };
    add("host", d.stalls.host);
    add("compute", d.stalls.compute);
    add("memory", d.stalls.memory);
    add("comm", d.stalls.comm);
    add("fixed", d.stalls.fixed);
    add("throttle", d.stalls.throttle);
    add("cap_wait", d.idle.cap_wait);
    add("parked", d.idle.parked);
    add("idle", d.idle_time - d.idle.cap_wait - d.idle.parked);
  }
}

void WriteWork(const MetricsSnapshot& s, FamilyWriter& out) {
  const std::vector<DeviceStatus>& devices = s.core.pool.devices;
  out.Counter("device_steps_total", "Steps run.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return static_cast<double>(d.steps); });
  out.Counter("device_tokens_total", "Tokens by phase: input, output, recomputed.");
  for (const DeviceStatus& d : devices) {
    const std::string id = absl::StrCat(d.id.value);
    const TokenCounts& tokens = s.core.counters.device_tokens.at(d.id.value);
    out.Add({{"device", id}, {"phase", "input"}}, static_cast<double>(tokens.input));
    out.Add({{"device", id}, {"phase", "output"}}, static_cast<double>(tokens.output));
    out.Add({{"device", id}, {"phase", "recomputed"}}, static_cast<double>(tokens.recomputed));
  }
  out.Gauge("device_kv_blocks", "KV blocks by state.");
  for (const DeviceStatus& d : devices) {
    const std::string id = absl::StrCat(d.id.value);
    out.Add({{"device", id}, {"state", "used"}}, static_cast<double>(d.kv_blocks_used));
    out.Add({{"device", id}, {"state", "free"}},
            static_cast<double>(d.kv_blocks_total - d.kv_blocks_used));
  }
  out.Counter("device_emulation_lag_seconds_total",
              "Time the host needed beyond the emulated device's; no part of device time.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return NsToSeconds(d.lag.value()); });
}

// One family with one series per node of the budget tree that has the figure.
template <typename Value>
void PerNode(const std::vector<scheduler::NodePowerStatus>& nodes, FamilyWriter& out, Value value) {
  for (const scheduler::NodePowerStatus& node : nodes) {
    if (const std::optional<Power> power = value(node)) {
      out.Add({{"node", node.name}, {"level", std::string(BudgetLevelName(node.level))}},
              ToWatts(*power));
    }
  }
}

void WriteBudgets(const std::vector<scheduler::NodePowerStatus>& nodes, FamilyWriter& out) {
  using Node = scheduler::NodePowerStatus;
  out.Gauge("power_budget_watts", "Budgets of emulated power, of the nodes that have one.");
  PerNode(nodes, out, [](const Node& n) { return n.budget; });
  out.Gauge("power_limit_watts",
            "Emulated power that the caps below a node may sum to now: its budget less the "
            "reserve, or more while caps still come down.");
  PerNode(nodes, out, [](const Node& n) { return n.in_force; });
  out.Gauge("power_counted_watts",
            "Emulated power that is counted below a node: caps, an old one until the new one "
            "holds; never above its limit.");
  PerNode(nodes, out, [](const Node& n) { return std::optional<Power>(n.counted); });
}

}  // namespace

void WriteDevices(const MetricsSnapshot& s, FamilyWriter& out) {
  const std::vector<DeviceStatus>& devices = s.core.pool.devices;
  WriteStates(s, out);
  out.Gauge("device_power_watts", "Emulated power of the phase the device is in.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return ToWatts(d.power); });
  out.Gauge("device_power_cap_watts", "Cap of the emulated power.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return ToWatts(d.cap); });
  WriteEnergy(devices, out);
  WriteStalls(devices, out);
  out.Gauge("device_clock_hertz", "Emulated clock.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return static_cast<double>(d.clock_hertz); });
  out.Gauge("device_temperature_celsius", "Emulated temperature.");
  PerDevice(devices, out, [](const DeviceStatus& d) { return d.temperature_celsius; });
  WriteWork(s, out);
}

void WritePool(const MetricsSnapshot& s, FamilyWriter& out) {
  const std::vector<DeviceStatus>& devices = s.core.pool.devices;
  Power caps;
  Power power;
  Energy energy;
  for (const DeviceStatus& d : devices) {
    caps += d.cap;
    power += d.power;
    energy += d.energy.total();
  }
  out.Gauge("pool_caps_watts", "Sum of the devices' caps of emulated power.");
  out.Add({}, ToWatts(caps));
  out.Gauge("pool_wall_power_watts",
            "Emulated power of all devices and of the host, network and rack share that the "
            "profile assumes per chip.");
  out.Add({}, ToWatts(power) + s.facts->overhead_watts_per_chip *
                                   static_cast<double>(s.facts->chips_per_device) *
                                   static_cast<double>(devices.size()));
  WriteBudgets(s.core.budgets, out);
  out.Gauge("pool_devices", "Devices by state.");
  for (const device::DeviceState state : kDeviceStates) {
    int64_t count = 0;
    for (const DeviceStatus& d : devices) {
      count += d.state == state ? 1 : 0;
    }
    out.Add({{"state", DeviceStateLabel(state)}}, static_cast<double>(count));
  }
  out.Gauge("energy_unattributed_joules",
            "Emulated energy that no request, idle time or waste accounts for, from exact "
            "integers; must read 0.");
  out.Add({}, ToJoules(UnattributedEnergy(s.core)));
  out.Gauge("output_tokens_per_joule",
            "Output tokens over emulated device energy, idle included, since start (tokens/s per "
            "watt over the daemon's lifetime); divide rates of the counters for a recent value.");
  const double joules = ToJoules(energy);
  out.Add({}, joules > 0 ? static_cast<double>(s.core.counters.tokens.output) / joules : 0);
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
