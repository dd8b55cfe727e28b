// The report as people read it on a terminal.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/report.h"

namespace scoville::sim {

namespace {

constexpr int kWidth = 78;

std::string Grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

// Seconds in the unit in which they have one to three digits before the point.
std::string Time(double seconds) {
  if (seconds == 0) return "0";
  if (seconds < 1e-3) return absl::StrFormat("%.1f us", seconds * 1e6);
  if (seconds < 1) return absl::StrFormat("%.2f ms", seconds * 1e3);
  if (seconds < 600) return absl::StrFormat("%.2f s", seconds);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

std::string Joules(double joules) {
  if (joules == 0) return "0";
  if (joules < 1e-3) return absl::StrFormat("%.1f uJ", joules * 1e6);
  if (joules < 1) return absl::StrFormat("%.2f mJ", joules * 1e3);
  if (joules < 1e4) return absl::StrFormat("%.2f J", joules);
  if (joules < 1e7) return absl::StrFormat("%.2f kJ", joules / 1e3);
  return absl::StrFormat("%.2f MJ", joules / 1e6);
}

std::string Share(double share) { return absl::StrFormat("%.1f %%", share * 100); }

class Page {
 public:
  explicit Page(bool colour) : colour_(colour) {}

  void Title(const std::string& left, const std::string& right) {
    const int gap = std::max(1, kWidth - static_cast<int>(left.size() + right.size()));
    absl::StrAppend(&out_, Bold(left), std::string(static_cast<size_t>(gap), ' '), Dim(right),
                    "\n");
  }
  void Section(const std::string& name) { absl::StrAppend(&out_, "\n", Bold(name), "\n"); }
  void Row(const std::string& name, const std::string& value, const std::string& note = "") {
    absl::StrAppend(&out_, absl::StrFormat("  %-24s %16s", name, value));
    if (!note.empty()) {
      absl::StrAppend(&out_, "  ", Dim(note));
    }
    absl::StrAppend(&out_, "\n");
  }
  void Columns(const std::string& name, const std::vector<std::string>& values) {
    absl::StrAppend(&out_, absl::StrFormat("  %-24s", name));
    for (const std::string& value : values) {
      absl::StrAppend(&out_, absl::StrFormat(" %10s", value));
    }
    absl::StrAppend(&out_, "\n");
  }
  // A share as a bar of at most 30 cells.
  void Bar(const std::string& name, double share) {
    const int cells = static_cast<int>(share * 30 + 0.5);
    std::string bar;
    for (int i = 0; i < cells; ++i) {
      bar += "█";
    }
    absl::StrAppend(&out_, absl::StrFormat("  %-24s %8s  ", name, Share(share)), bar, "\n");
  }
  std::string Finish() { return std::move(out_); }

 private:
  std::string Bold(const std::string& s) const { return colour_ ? "\033[1m" + s + "\033[0m" : s; }
  std::string Dim(const std::string& s) const { return colour_ ? "\033[2m" + s + "\033[0m" : s; }

  const bool colour_;
  std::string out_;
};

void AddRequests(const Report& r, Page& page) {
  page.Section("Requests");
  page.Row("offered", Grouped(r.offered));
  for (const auto& [name, count] : r.outcomes) {
    page.Row(absl::StrCat("ended: ", name), Grouped(count));
  }
  for (const auto& [name, count] : r.refusals) {
    page.Row(absl::StrCat("refused: ", name), Grouped(count));
  }
  if (r.has_slo && r.offered > 0) {
    page.Row("met every target",
             Share(static_cast<double>(r.slo_met) / static_cast<double>(r.offered)),
             absl::StrFormat("goodput %.2f requests/s", r.goodput));
  }
  page.Section("Latency");
  page.Columns("", {"mean", "p50", "p90", "p99", "max"});
  const auto row = [&](const char* name, const Percentiles& p) {
    page.Columns(name, {Time(p.mean), Time(p.p50), Time(p.p90), Time(p.p99), Time(p.max)});
  };
  row("queue", r.queue);
  row("time to first token", r.ttft);
  row("time per output token", r.tpot);
  row("between tokens", r.itl);
  row("end to end", r.e2e);
}

void AddEnergy(const Report& r, Page& page) {
  page.Section("Energy (emulated, device power)");
  page.Row("mean power, all devices", absl::StrFormat("%.1f W", r.mean_watts),
           absl::StrFormat("%d device(s) x %d chip(s)", r.devices, r.profile.chips));
  page.Row("output tokens/s/W", absl::StrFormat("%.3f", r.output_tokens_per_joule),
           "output tokens per device joule");
  page.Row("total tokens/s/W", absl::StrFormat("%.3f", r.total_tokens_per_joule),
           "input + output tokens per device joule");
  page.Row("per output token", Joules(r.joules_per_output_token), "idle and waste included");
  page.Row("per completed request", Joules(r.joules_per_request), "idle and waste included");
  page.Row("all", Joules(r.device_joules));
  const double all = r.device_joules > 0 ? r.device_joules : 1;
  page.Bar("  prefill", r.energy.prefill.joules() / all);
  page.Bar("  decode", r.energy.decode.joules() / all);
  page.Bar("  idle", r.energy.idle.joules() / all);
  page.Bar("  waste", r.energy.waste.joules() / all);
}

void AddDevices(const Report& r, Page& page) {
  page.Section("Devices");
  page.Row("steps", Grouped(r.steps),
           absl::StrCat(Grouped(r.throttled_steps), " held down by the cap"));
  page.Row("busy", Share(r.utilisation));
  page.Row("peak KV in use", Share(r.peak_kv_share), "of the fullest device");
  page.Row("preemptions", Grouped(r.preemptions),
           absl::StrCat(Grouped(r.recomputed_tokens), " tokens computed again"));
  page.Row("busy time by cause", "");
  for (const char* cause : {"compute", "memory", "comm", "fixed", "host", "throttle"}) {
    page.Bar(absl::StrCat("  ", cause), r.stalls.at(cause));
  }
}

}  // namespace

std::string ToText(const Report& r, bool colour) {
  Page page(colour);
  page.Title(r.name, "EMULATED");
  page.Row("model", r.model);
  page.Row(
      "profile", r.profile.name,
      absl::StrCat("weakest number: ", r.profile.weakest, ", hash ", r.profile.hash.substr(0, 12)));
  page.Row("virtual time", Time(r.virtual_seconds),
           absl::StrFormat("in %s on the host, %.0f times real time", Time(r.host_seconds),
                           r.host_seconds > 0 ? r.virtual_seconds / r.host_seconds : 0.0));
  AddRequests(r, page);
  page.Section("Throughput");
  page.Row("output tokens/s", absl::StrFormat("%.1f", r.output_tokens_per_second),
           Grouped(r.output_tokens) + " tokens");
  page.Row("total tokens/s", absl::StrFormat("%.1f", r.total_tokens_per_second),
           Grouped(r.input_tokens + r.output_tokens) + " tokens, prompts included");
  AddEnergy(r, page);
  AddDevices(r, page);
  page.Section("Run");
  page.Row("events", Grouped(r.events));
  page.Row("seed", std::to_string(r.seed));
  page.Row("event hash", "", r.event_hash);
  return page.Finish();
}

}  // namespace scoville::sim
