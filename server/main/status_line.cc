#include "server/main/status_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace scoville::server {

namespace {

// Over device time: while a device waits for the host (emulation lag) neither its time nor its
// energy moves.
double MeanWatts(const device::DeviceStatus& before, const device::DeviceStatus& now) {
  const Duration time = now.busy_time + now.idle_time - before.busy_time - before.idle_time;
  const Energy energy = now.energy.total() - before.energy.total();
  return time > Duration() ? energy.joules() / ToSeconds(time) : ToWatts(now.power);
}

}  // namespace

CoreSnapshot SumOf(const std::vector<DeploymentSnapshot>& deployments, TimePoint now) {
  CoreSnapshot sum;
  sum.pool.now = now;
  for (const DeploymentSnapshot& d : deployments) {
    sum.counters.tokens.input += d.core.counters.tokens.input;
    sum.counters.tokens.output += d.core.counters.tokens.output;
    const scheduler::PoolStatus& pool = d.core.pool;
    sum.pool.devices.insert(sum.pool.devices.end(), pool.devices.begin(), pool.devices.end());
    sum.pool.running.insert(sum.pool.running.end(), pool.running.begin(), pool.running.end());
    sum.pool.waiting += pool.waiting;
    sum.pool.paused += pool.paused;
  }
  return sum;
}

std::string StatusLine(const CoreSnapshot& before, const CoreSnapshot& now) {
  const double seconds = ToSeconds(now.pool.now - before.pool.now);
  const int64_t output = now.counters.tokens.output - before.counters.tokens.output;
  const int64_t input = now.counters.tokens.input - before.counters.tokens.input;
  int64_t running = 0;
  Power caps;
  Energy energy;
  int64_t used = 0;
  int64_t total = 0;
  double watts = 0;
  for (size_t i = 0; i < now.pool.devices.size(); ++i) {
    const device::DeviceStatus& d = now.pool.devices[i];
    running += now.pool.running[i];
    caps += d.cap;
    energy += d.energy.total();
    watts += MeanWatts(
        i < before.pool.devices.size() ? before.pool.devices[i] : device::DeviceStatus(), d);
    used += d.kv_blocks_used;
    total += d.kv_blocks_total;
  }
  for (const device::DeviceStatus& d : before.pool.devices) {
    energy -= d.energy.total();
  }
  const bool others = before.pool.devices.size() != now.pool.devices.size() &&
                      !before.pool.devices.empty();  // a model came or went
  if (others || seconds <= 0 ||
      (output == 0 && input == 0 && running == 0 && now.pool.waiting == 0)) {
    return "";
  }
  const double joules = energy.joules();
  return absl::StrFormat(
      "%.1f tokens/s out, %.1f in; %d running, %d waiting; KV %.0f %%; %.0f W of %.0f W, "
      "%.3f tokens/s/W (emulated)",
      static_cast<double>(output) / seconds, static_cast<double>(input) / seconds, running,
      now.pool.waiting,
      total > 0 ? 100.0 * static_cast<double>(used) / static_cast<double>(total) : 0.0, watts,
      ToWatts(caps), joules > 0 ? static_cast<double>(output) / joules : 0.0);
}

std::string Banner(const BannerFacts& f) {
  const std::string url = absl::StrCat("http://", f.http);
  std::string models;
  for (const BannerFacts::Model& model : f.models) {
    absl::StrAppend(&models, "  model   ", model.id,
                    model.executor == "functional" ? "  (functional: real tokens)"
                                                   : "  (synthetic: made-up tokens)",
                    "\n", "  pool    ", model.devices, " x ", model.profile,
                    absl::StrFormat(", caps %.0f W in all, %d KV blocks each\n", ToWatts(model.cap),
                                    model.kv_blocks_per_device));
  }
  return absl::StrCat(
      "\nScoville ", f.version, absl::StrFormat(", ready in %.2f s\n", f.start_seconds),
      "EMULATED: power, energy and device time follow from a profile, not from hardware.\n\n",
      "  gRPC    ", f.grpc, "\n", "  HTTP    ", url, "  (OpenAI API, /metrics, /healthz)\n", models,
      "\n", "  try     scoville run \"Why is the sky blue?\"\n", "          scoville pool\n",
      "          curl -N ", url,
      "/v1/chat/completions -d '{\"stream\": true, \"messages\": [{\"role\": \"user\", "
      "\"content\": \"Why is the sky blue?\"}]}'\n",
      "          curl -s ", url, "/metrics | grep tokens_per_joule\n", "  stop    Ctrl-C\n\n");
}

}  // namespace scoville::server
