#include "client/views/pool_view.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"
#include "client/views/message_json.h"
#include "nlohmann/json.hpp"

namespace scoville::client {
namespace {

using Json = nlohmann::ordered_json;

// What one device, or all of them, did.
struct Work {
  double output_tokens = 0;
  double joules = 0;
};

double ToJoules(const v1::Energy& energy) {
  return static_cast<double>(energy.microjoules()) * 1e-6 + energy.picojoules() * 1e-12;
}

Work WorkOf(const v1::Device& device) {
  const v1::EnergyByBucket& energy = device.energy();
  return {static_cast<double>(device.output_tokens()),
          ToJoules(energy.prefill()) + ToJoules(energy.decode()) + ToJoules(energy.idle()) +
              ToJoules(energy.waste())};
}

Work WorkOf(const v1::PoolState& pool) {
  Work sum;
  for (const v1::Device& device : pool.devices()) {
    const Work work = WorkOf(device);
    sum.output_tokens += work.output_tokens;
    sum.joules += work.joules;
  }
  return sum;
}

Work Difference(const Work& before, const Work& now) {
  return {now.output_tokens - before.output_tokens, now.joules - before.joules};
}

Work WorkSince(const v1::PoolState& before, const v1::Device& device) {
  for (const v1::Device& old : before.devices()) {
    if (old.id() == device.id() && old.model() == device.model()) {
      return Difference(WorkOf(old), WorkOf(device));
    }
  }
  return {};
}

// Of the devices that were there at both looks.
Work WorkSince(const v1::PoolState& before, const v1::PoolState& now) {
  Work sum;
  for (const v1::Device& device : now.devices()) {
    const Work work = WorkSince(before, device);
    sum.output_tokens += work.output_tokens;
    sum.joules += work.joules;
  }
  return sum;
}

double SecondsBetween(const v1::PoolState& before, const v1::PoolState& now) {
  return static_cast<double>(now.uptime_ns() - before.uptime_ns()) * 1e-9;
}

Style StateStyle(v1::DeviceState state) {
  switch (state) {
    case v1::DEVICE_STATE_READY:
      return Style::kGreen;
    case v1::DEVICE_STATE_FAULTED:
    case v1::DEVICE_STATE_LOST:
      return Style::kRed;
    default:
      return Style::kYellow;
  }
}

std::string WattsOfCap(int64_t power_milliwatts, int64_t cap_milliwatts) {
  return absl::StrFormat("%.0f / %.0f W", static_cast<double>(power_milliwatts) * 1e-3,
                         static_cast<double>(cap_milliwatts) * 1e-3);
}

TableCell PaceCell(const v1::Device& device) {
  return {absl::StrCat(device.pace_percent(), " %"),
          device.pace_percent() > 150 ? Style::kYellow : Style::kPlain};
}

// The share of prompt tokens that prefixes cached before gave.
std::string HitText(const v1::Device& device) {
  return device.prefix_query_tokens() == 0
             ? "-"
             : absl::StrFormat("%.0f %%", 100.0 * static_cast<double>(device.prefix_hit_tokens()) /
                                              static_cast<double>(device.prefix_query_tokens()));
}

std::string CountOf(uint64_t count) { return CompactText(static_cast<int64_t>(count)); }

// What waiting comes to.
std::string WaitText(const v1::LiveRequest& request) {
  if (request.wait() <= v1::WAIT_REASON_NONE) {
    return "";
  }
  std::string text = EnumText(*v1::WaitReason_descriptor(), request.wait());
  if (request.has_wait_bound_ns()) {
    absl::StrAppend(&text, ", at most ",
                    SecondsText(static_cast<double>(request.wait_bound_ns()) * 1e-9));
  } else if (!request.unbounded().empty()) {
    absl::StrAppend(&text, ", ", request.unbounded());
  }
  return text;
}

bool IsThere(const v1::Device& device) { return device.state() != v1::DEVICE_STATE_REMOVED; }

std::vector<TableCell> DeviceRow(const v1::Device& device, const Work& work, double seconds) {
  const std::string state = EnumText(*v1::DeviceState_descriptor(), device.state());
  const double per_token = work.joules / work.output_tokens;
  return {{absl::StrCat(device.id())},
          {device.chips() > 1 ? absl::StrCat(device.chips(), "x ", device.profile())
                              : device.profile()},
          {state, StateStyle(device.state())},
          {device.model()},
          {WattsOfCap(device.power_milliwatts(), device.cap_milliwatts())},
          {HertzText(static_cast<double>(device.clock_hertz()))},
          {absl::StrFormat("%.0f C", device.temperature_celsius())},
          {absl::StrCat(CompactText(static_cast<int64_t>(device.kv_blocks_used())), " / ",
                        CompactText(static_cast<int64_t>(device.kv_blocks_total())))},
          {absl::StrCat(device.running())},
          PaceCell(device),
          {QuotientText(work.output_tokens, seconds)},
          {work.output_tokens > 0 ? JoulesText(per_token) : "-"}};
}

std::vector<std::string> Title(const v1::PoolState& before, const v1::PoolState& now) {
  int64_t power = 0;
  uint64_t running = 0;
  for (const v1::Device& device : now.devices()) {
    power += device.power_milliwatts();
    running += device.running();
  }
  const Work work = WorkSince(before, now);
  std::vector<std::string> title = {
      absl::StrCat("scoville ", now.version(), now.emulated() ? " EMULATED" : "",
                   now.draining() ? " DRAINING" : ""),
      WattsOfCap(power, now.budget_milliwatts()),
      absl::StrCat(QuotientText(work.output_tokens, SecondsBetween(before, now)), " tokens/s"),
      absl::StrCat(QuotientText(work.output_tokens, work.joules), " tokens/s/W"),
      absl::StrCat("running ", running),
      absl::StrCat("waiting ", now.waiting())};
  if (now.migrations() > 0) {
    title.push_back(absl::StrCat("migrations ", now.migrations()));
  }
  const auto removed =
      now.devices_size() - std::count_if(now.devices().begin(), now.devices().end(), IsThere);
  if (removed > 0) {
    title.push_back(absl::StrCat("removed so far ", removed));
  }
  if (now.devices_lost() > 0) {
    title.push_back(absl::StrCat("lost so far ", now.devices_lost()));
  }
  return title;
}

// Says why tokens/s and watts do not divide to tokens/s/W where the host cannot keep up: devices
// stand still meanwhile, in no device time and at no cost. Empty where there is nothing to say.
std::string LagText(const v1::PoolState& before, const v1::PoolState& now) {
  int64_t lag_ns = 0;
  for (const v1::Device& device : now.devices()) lag_ns += device.lag_ns();
  for (const v1::Device& device : before.devices()) lag_ns -= device.lag_ns();
  const double device_seconds =
      SecondsBetween(before, now) *
      static_cast<double>(std::count_if(now.devices().begin(), now.devices().end(), IsThere));
  const double share = device_seconds > 0 ? static_cast<double>(lag_ns) * 1e-9 / device_seconds : 0;
  if (share < 0.01) return "";
  return absl::StrFormat(
      "The host lags behind the emulated devices: they stood still for %.0f %% of that time, which "
      "counts as no device time and draws nothing.\n",
      std::min(share, 1.0) * 100);
}

}  // namespace

std::string PoolText(const v1::PoolState& before, const v1::PoolState& now,
                     const Terminal& terminal) {
  Table table({{.heading = "ID", .right = true},
               {.heading = "Profile", .flexible = true},
               {.heading = "State"},
               {.heading = "Model", .flexible = true, .optional = true},
               {.heading = "Power / cap", .right = true},
               {.heading = "Clock", .right = true, .optional = true},
               {.heading = "Temp", .right = true, .optional = true},
               {.heading = "KV blocks", .right = true},
               {.heading = "Running", .right = true},
               {.heading = "Pace", .right = true, .optional = true},
               {.heading = "Tokens/s", .right = true},
               {.heading = "J/token", .right = true, .optional = true}});
  table.SetTitle(Title(before, now));
  const double seconds = SecondsBetween(before, now);
  for (const v1::Device& device : now.devices()) {
    if (IsThere(device)) {
      table.AddRow(DeviceRow(device, WorkSince(before, device), seconds));
    }
  }
  const Work total = WorkOf(now);
  return absl::StrCat(
      table.Render(terminal), "Rates: output tokens over the last ", SecondsText(seconds),
      ", idle energy included. Since start (", SecondsText(now.uptime_ns() * 1e-9),
      "): ", CountText(static_cast<int64_t>(total.output_tokens)), " output tokens, ",
      JoulesText(total.joules), ", ", QuotientText(total.output_tokens, total.joules),
      " tokens/s/W.\n", LagText(before, now));
}

std::string DevicesText(const v1::PoolState& pool, const Terminal& terminal) {
  Table table({{.heading = "ID", .right = true},
               {.heading = "Profile", .flexible = true},
               {.heading = "State"},
               {.heading = "Model", .flexible = true, .optional = true},
               {.heading = "Running", .right = true},
               {.heading = "Pace", .right = true},
               {.heading = "KV used", .right = true},
               {.heading = "Cached", .right = true},
               {.heading = "Pinned", .right = true, .optional = true},
               {.heading = "Bad", .right = true},
               {.heading = "Total", .right = true},
               {.heading = "Prefix hits", .right = true, .optional = true}});
  for (const v1::Device& device : pool.devices()) {
    if (!IsThere(device)) {
      continue;
    }
    table.AddRow(
        {{absl::StrCat(device.id())},
         {device.chips() > 1 ? absl::StrCat(device.chips(), "x ", device.profile())
                             : device.profile()},
         {EnumText(*v1::DeviceState_descriptor(), device.state()), StateStyle(device.state())},
         {device.model()},
         {absl::StrCat(device.running())},
         PaceCell(device),
         {CountOf(device.kv_blocks_used())},
         {CountOf(device.kv_blocks_cached())},
         {CountOf(device.kv_blocks_pinned())},
         {CountOf(device.kv_blocks_bad()),
          device.kv_blocks_bad() > 0 ? Style::kYellow : Style::kPlain},
         {CountOf(device.kv_blocks_total())},
         {HitText(device)}});
  }
  return table.Render(terminal);
}

std::string RequestsText(const v1::PoolState& pool, const Terminal& terminal) {
  if (pool.requests().empty()) {
    return "";
  }
  Table table({{.heading = "Request", .flexible = true},
               {.heading = "Phase"},
               {.heading = "On", .right = true},
               {.heading = "Ahead", .right = true, .optional = true},
               {.heading = "Age", .right = true},
               {.heading = "Prompt", .right = true},
               {.heading = "Output", .right = true},
               {.heading = "Shared", .right = true, .optional = true},
               {.heading = "Pinned", .optional = true},
               {.heading = "Preempted", .right = true, .optional = true},
               {.heading = "Moved", .right = true, .optional = true},
               {.heading = "Waits for", .flexible = true}});
  for (const v1::LiveRequest& r : pool.requests()) {
    table.AddRow({{r.request_id()},
                  {EnumText(*v1::RequestPhase_descriptor(), r.phase())},
                  {r.has_device() ? absl::StrCat(r.device()) : "-"},
                  {absl::StrCat(r.rank())},
                  {SecondsText(static_cast<double>(r.age_ns()) * 1e-9)},
                  {CountOf(r.prompt_tokens())},
                  {CountOf(r.output_tokens())},
                  {CountOf(r.shared_blocks())},
                  {r.pinned() ? "yes" : ""},
                  {absl::StrCat(r.preemptions())},
                  {absl::StrCat(r.migrations())},
                  {WaitText(r)}});
  }
  return table.Render(terminal);
}

Json PoolJson(const v1::PoolState& before, const v1::PoolState& now) {
  const double seconds = SecondsBetween(before, now);
  const auto add_rates = [seconds](Json& json, const Work& work) {
    const bool timed = seconds > 0;
    json["output_tokens_per_second"] = timed ? Json(work.output_tokens / seconds) : Json();
    json["output_tokens_per_joule"] =
        work.joules > 0 ? Json(work.output_tokens / work.joules) : Json();
    json["joules_per_output_token"] =
        work.output_tokens > 0 ? Json(work.joules / work.output_tokens) : Json();
  };
  Json json = MessageToJson(now);
  json["rates_seconds"] = seconds;
  add_rates(json, WorkSince(before, now));
  for (int i = 0; i < now.devices_size(); ++i) {
    add_rates(json["devices"][i], WorkSince(before, now.devices(i)));
  }
  return json;
}

}  // namespace scoville::client
