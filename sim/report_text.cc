// The report as people read it on a terminal.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/report.h"

namespace scoville::sim {

namespace {

constexpr int kWidth = 80;
constexpr int kBarCells = 24;

std::string Spaces(int n) { return std::string(static_cast<size_t>(std::max(n, 0)), ' '); }

std::string Grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

// Three significant digits, or all that stand before the point.
std::string Figure(double value) {
  const double a = value < 0 ? -value : value;
  if (a >= 1000) return Grouped(static_cast<int64_t>(value + (value < 0 ? -0.5 : 0.5)));
  return absl::StrFormat("%.*f", a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2, value);
}

// In the unit in which the figure is short.
std::string Time(double seconds) {
  if (seconds == 0) return "0 s";
  if (seconds < 999.5e-9) return Figure(seconds * 1e9) + " ns";
  if (seconds < 999.5e-6) return Figure(seconds * 1e6) + " us";
  if (seconds < 999.5e-3) return Figure(seconds * 1e3) + " ms";
  if (seconds < 600) return Figure(seconds) + " s";
  if (seconds < 7200) return Figure(seconds / 60) + " min";
  return Figure(seconds / 3600) + " h";
}

std::string Joules(double joules) {
  if (joules == 0) return "0 J";
  if (joules < 999.5e-6) return Figure(joules * 1e6) + " uJ";
  if (joules < 999.5e-3) return Figure(joules * 1e3) + " mJ";
  if (joules < 9995) return Figure(joules) + " J";
  if (joules < 9.995e6) return Figure(joules / 1e3) + " kJ";
  return Figure(joules / 1e6) + " MJ";
}

std::string Watts(double watts) {
  return watts < 9995 ? Figure(watts) + " W" : Figure(watts / 1e3) + " kW";
}

std::string Share(double share) { return absl::StrFormat("%.1f %%", share * 100); }

std::string Count(int64_t count, absl::string_view noun) {
  return absl::StrCat(Grouped(count), " ", noun, count == 1 ? "" : "s");
}

// "deadline_exceeded" to "deadline exceeded".
std::string Words(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

class Page {
 public:
  explicit Page(bool colour) : colour_(colour) {}

  void Title(const std::string& left, const std::string& right) {
    const int gap = std::max(1, kWidth - static_cast<int>(left.size() + right.size()));
    absl::StrAppend(&out_, Paint("1", left), Spaces(gap), Paint("1;33", right), "\n");
  }
  void Section(const std::string& name) {
    std::string line;
    for (int i = static_cast<int>(name.size()) + 1; i < kWidth; ++i) {
      line += "─";
    }
    absl::StrAppend(&out_, "\n", Paint("1;36", name), " ", Paint("2", line), "\n");
  }
  void Text(const std::string& text) { absl::StrAppend(&out_, "  ", text, "\n"); }
  void Row(const std::string& name, const std::string& value, const std::string& note = "") {
    absl::StrAppend(&out_, absl::StrFormat("  %-22s %12s", name, value));
    if (!note.empty()) {
      absl::StrAppend(&out_, "   ", Paint("2", note));
    }
    absl::StrAppend(&out_, "\n");
  }
  void Columns(const std::string& name, const std::vector<std::string>& values, bool heading) {
    std::string line = absl::StrFormat("  %-22s", name);
    for (const std::string& value : values) {
      absl::StrAppend(&line, absl::StrFormat(" %10s", value));
    }
    absl::StrAppend(&out_, heading ? Paint("2", line) : line, "\n");
  }
  // A share with a bar: full cells, and eighths of one at its end.
  void Bar(const std::string& name, const std::string& value, double share) {
    static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const int eighths = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarCells * 8 + 0.5);
    std::string bar;
    for (int i = 0; i < eighths / 8; ++i) {
      bar += "█";
    }
    bar += kEighths[eighths % 8];
    absl::StrAppend(&out_, absl::StrFormat("  %-22s %12s  %8s", name, value, Share(share)),
                    bar.empty() ? "" : "  ", Paint("32", bar), "\n");
  }
  std::string Finish() { return std::move(out_); }

 private:
  std::string Paint(const char* code, const std::string& s) const {
    return colour_ && !s.empty() ? absl::StrCat("\033[", code, "m", s, "\033[0m") : s;
  }

  const bool colour_;
  std::string out_;
};

std::string Targets(const SloTargets& slo) {
  std::string text;
  if (slo.ttft > Duration()) {
    text = absl::StrCat("TTFT <= ", Time(ToSeconds(slo.ttft)));
  }
  if (slo.itl > Duration()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", "mean ITL <= ", Time(ToSeconds(slo.itl)));
  }
  return text;
}

void AddRequests(const Report& r, Page& page) {
  page.Section("Requests");
  page.Row("offered", Grouped(r.offered));
  const double offered = r.offered > 0 ? static_cast<double>(r.offered) : 1;
  for (const auto& [name, count] : r.outcomes) {
    page.Bar(absl::StrCat("  ended: ", Words(name)), Grouped(count),
             static_cast<double>(count) / offered);
  }
  for (const auto& [name, count] : r.refusals) {
    page.Bar(absl::StrCat("  refused: ", Words(name)), Grouped(count),
             static_cast<double>(count) / offered);
  }
  if (r.has_slo) {
    page.Row("met the targets", Share(r.slo_attainment), Targets(r.slo));
    page.Row("goodput", Figure(r.goodput), "requests/s that met the targets");
  }
}

void AddService(const Report& r, Page& page) {
  if (r.tenants.empty()) {
    return;
  }
  page.Section("Service");
  for (const auto& [name, t] : r.tenants) {
    page.Bar(absl::StrCat("  ", name, " met"), Grouped(t.offered), t.attainment);
  }
  page.Row("Jain's index", absl::StrFormat("%.3f", r.jain_index),
           "of service beside the max-min fair share");
  page.Row("deadlines missed", Grouped(r.deadline_misses), "expired or refused");
}

void AddLatency(const Report& r, Page& page) {
  page.Section("Latency");
  page.Columns("", {"mean", "p50", "p90", "p99", "max"}, true);
  const auto row = [&](const char* name, const Percentiles& p) {
    if (p.count == 0) {
      page.Columns(name, {"-", "-", "-", "-", "-"}, false);
      return;
    }
    page.Columns(name, {Time(p.mean), Time(p.p50), Time(p.p90), Time(p.p99), Time(p.max)}, false);
  };
  row("waiting in the queue", r.queue);
  row("time to first token", r.ttft);
  row("time per output token", r.tpot);
  row("between two tokens", r.itl);
  row("end to end", r.e2e);
}

void AddEnergy(const Report& r, Page& page) {
  page.Section("Energy, emulated");
  page.Row("output tokens/s/W", Figure(r.output_tokens_per_joule),
           "output tokens per device joule");
  page.Row("", Figure(r.output_tokens_per_wall_joule),
           "output tokens per wall joule (host and rack included)");
  page.Row("total tokens/s/W", Figure(r.total_tokens_per_joule),
           "input and output tokens per device joule");
  page.Row("mean power", Watts(r.mean_watts),
           absl::StrCat("device power, ", Count(r.devices, "device"), " of ",
                        Count(r.profile.chips, "chip")));
  page.Row("per output token", Joules(r.joules_per_output_token),
           "device, idle and waste included");
  page.Row("per completed request", Joules(r.joules_per_request));
  page.Row("device energy", Joules(r.device_joules), "= what for = what by, to the picojoule");
  const double all = r.device_joules > 0 ? r.device_joules : 1;
  const auto bar = [&](const char* name, Energy energy) {
    page.Bar(name, Joules(energy.joules()), energy.joules() / all);
  };
  bar("  for: prefill", r.energy.prefill);
  bar("       decode", r.energy.decode);
  bar("       idle", r.energy.idle);
  bar("       waste", r.energy.waste);
  bar("  by:  compute", r.terms.compute);
  bar("       memory", r.terms.memory);
  bar("       links", r.terms.link);
  bar("       static", r.terms.static_);
}

void AddDevices(const Report& r, Page& page) {
  page.Section("Devices");
  page.Row("steps", Grouped(r.steps),
           absl::StrCat(Grouped(r.throttled_steps), " slowed by the cap"));
  page.Row("preemptions", Grouped(r.preemptions),
           Count(r.recomputed_tokens, "token") + " computed again");
  page.Bar("peak KV in use", "", r.peak_kv_share);
  page.Bar("busy", "", r.utilisation);
  for (const char* cause : {"compute", "memory", "comm", "fixed", "host", "throttle"}) {
    page.Bar(absl::StrCat("  of it: ", cause), "", r.stalls.at(cause));
  }
}

void AddHead(const Report& r, Page& page) {
  page.Title(r.name, "EMULATED");
  page.Text(absl::StrCat(r.model, " on ", Count(r.devices, "device"), " of ",
                         Count(r.profile.chips, "chip"), ", ", Time(r.virtual_seconds),
                         " of virtual time"));
  page.Text(absl::StrCat("profile ", r.profile.name, " (", r.profile.hash.substr(0, 12),
                         "), weakest number behind a figure: ", r.profile.weakest));
}

}  // namespace

std::string ToText(const Report& r, bool colour) {
  Page page(colour);
  AddHead(r, page);
  AddRequests(r, page);
  AddService(r, page);
  AddLatency(r, page);
  page.Section("Throughput");
  page.Row("output tokens/s", Figure(r.output_tokens_per_second), Count(r.output_tokens, "token"));
  page.Row("input tokens/s", Figure(r.input_tokens_per_second), Count(r.input_tokens, "token"));
  page.Row("total tokens/s", Figure(r.total_tokens_per_second),
           Count(r.input_tokens + r.output_tokens, "token"));
  AddEnergy(r, page);
  AddDevices(r, page);
  page.Section("Run");
  page.Row("host time", Time(r.host_seconds),
           absl::StrCat(r.host_seconds > 0 ? Figure(r.virtual_seconds / r.host_seconds) : "-",
                        " times real time, ", Count(r.events, "event")));
  page.Text(absl::StrCat("event hash             ", r.event_hash, "   seed ", r.seed));
  return page.Finish();
}

}  // namespace scoville::sim
