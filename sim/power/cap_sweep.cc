// What a power cap costs and saves, under three rules.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sim/charts/axis.h"
#include "sim/power/bands.h"
#include "sim/power/capped_run.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr CapRule kRules[] = {CapRule::kPerf, CapRule::kEff, CapRule::kPaced, CapRule::kStatic};
constexpr int kDefaultCaps = 24;

// From the first round number above what idling counts for, to the TDP.
std::vector<double> DefaultCaps(const Deployment& d) {
  const device::PowerModel power(d.profile, d.chips());
  const double tail = ToWatts(power.Tail()) / static_cast<double>(d.chips());
  const double tdp = d.profile.tdp.value;
  const double rough = (tdp - tail) / kDefaultCaps;
  double step = 5;
  while (step < rough) {
    step += 5;
  }
  std::vector<double> caps;
  for (double cap = (std::floor(tail / step) + 1) * step; cap < tdp; cap += step) {
    caps.push_back(cap);
  }
  caps.push_back(tdp);
  return caps;
}

using Curve = std::vector<CappedPoint>;  // by cap

Curve RunCurve(const Deployment& d, const Load& load, CapRule rule, const std::vector<double>& caps,
               Duration window) {
  const std::vector<OperatingPoint> points = AtAllClocks(d, load);
  Curve curve;
  for (const double cap : caps) {
    const Power watts = Milliwatts(std::llround(cap * 1e3 * static_cast<double>(d.chips())));
    curve.push_back(RunCapped(d, points, rule, watts, window));
  }
  return curve;
}

using Value = double (*)(const CappedPoint&, double chips);

double Rate(const CappedPoint& p, double) { return p.output_per_s; }
double PerJoule(const CappedPoint& p, double) { return 1 / p.joules_per_output; }
double PerChip(const CappedPoint& p, double chips) { return p.watts / chips; }
double TokenMs(const CappedPoint& p, double) { return (p.step_s + p.gap_s) * 1e3; }
double Clock(const CappedPoint& p, double) { return p.clock_ghz; }
double Waiting(const CappedPoint& p, double) { return 100 * p.gap_s / (p.step_s + p.gap_s); }

// One curve a rule, and for the first two a band.
struct Curves {
  std::vector<double> caps;
  double chips = 1;
  std::vector<Curve> by_rule;                 // as kRules
  std::vector<std::vector<Curve>> by_sample;  // likewise, of each sample; or empty
};

std::vector<double> Values(const Curve& curve, double chips, Value value) {
  std::vector<double> values;
  for (const CappedPoint& p : curve) {
    values.push_back(p.runs ? value(p, chips) : kNan);
  }
  return values;
}

std::vector<Band> BandsOf(const Curves& curves, size_t rule, Value value) {
  std::vector<Band> bands;
  for (size_t c = 0; c < curves.caps.size() && !curves.by_sample.empty(); ++c) {
    std::vector<double> values;
    for (const std::vector<Curve>& sample : curves.by_sample) {
      const CappedPoint& p = sample[rule][c];
      values.push_back(p.runs ? value(p, curves.chips) : kNan);
    }
    bands.push_back(BandOf(std::move(values)));
  }
  return bands;
}

charts::XyPanel Panel(const Curves& curves, const std::string& label, Value value, bool bands) {
  charts::XyPanel panel;
  panel.x = {.label = "cap, W per chip", .from_zero = false};
  panel.y = {.label = label};
  for (size_t r = 0; r < std::size(kRules); ++r) {
    charts::Series series;
    series.name = CapRuleName(kRules[r]);
    series.colour = static_cast<int>(r);
    series.dashed = kRules[r] == CapRule::kPaced;
    series.mark = series.dashed ? charts::Mark::kLine : charts::Mark::kLineAndDots;
    const std::vector<double> values = Values(curves.by_rule[r], curves.chips, value);
    for (size_t i = 0; i < values.size(); ++i) {
      series.points.push_back({curves.caps[i], values[i]});
    }
    if (bands && r == 0) {
      SetBand(BandsOf(curves, r, value), &series);
    }
    panel.series.push_back(std::move(series));
  }
  return panel;
}

charts::Table MakeTable(const Curves& curves) {
  charts::Table table;
  table.columns = {{"rule", "rule"},
                   {"cap_watts_per_chip", "cap W/chip", 0},
                   {"clock_ghz", "GHz", 2},
                   {"step_ms", "step ms"},
                   {"wait_ms", "wait ms"},
                   {"device_watts", "device W"},
                   {"watts_per_chip", "W/chip"},
                   {"output_tokens_per_s", "output tok/s"},
                   {"output_tokens_per_joule", "output tok/J"},
                   {"joules_per_output_token", "J/output tok"}};
  const bool bands = !curves.by_sample.empty();
  if (bands) {
    AddBandColumns("output_tokens_per_s", "tok/s", &table);
    AddBandColumns("output_tokens_per_joule", "tok/J", &table);
  }
  for (size_t r = 0; r < std::size(kRules); ++r) {
    const std::vector<Band> rates = BandsOf(curves, r, Rate);
    const std::vector<Band> tokens = BandsOf(curves, r, PerJoule);
    for (size_t i = 0; i < curves.caps.size(); ++i) {
      const CappedPoint& p = curves.by_rule[r][i];
      const auto shown = [&](double value) { return p.runs ? value : kNan; };
      std::vector<charts::Cell> row = {std::string(CapRuleName(kRules[r])),
                                       curves.caps[i],
                                       shown(p.clock_ghz),
                                       shown(p.step_s * 1e3),
                                       shown(p.gap_s * 1e3),
                                       shown(p.watts),
                                       shown(p.watts / curves.chips),
                                       shown(p.output_per_s),
                                       shown(1 / p.joules_per_output),
                                       shown(p.joules_per_output)};
      if (bands) {
        AddBandCells(rates[i], &row);
        AddBandCells(tokens[i], &row);
      }
      table.Add(std::move(row));
    }
  }
  return table;
}

// "eff at 120 W: 42 tokens/J against 38 without a cap ..."; the cap that gives the most.
std::string Lead(const Study& study, const Curves& curves) {
  const Curve& eff = curves.by_rule[1];
  const CappedPoint& perf = curves.by_rule[0].back();
  const auto best = std::max_element(eff.begin(), eff.end(), [](const auto& a, const auto& b) {
    return (a.runs ? 1 / a.joules_per_output : 0) < (b.runs ? 1 / b.joules_per_output : 0);
  });
  std::string lead = absl::StrCat(Subject(study.deployment), ", ", Describe(study.load), ".");
  if (perf.runs && best->runs) {
    absl::StrAppend(&lead, " Fastest: ", charts::Rounded(perf.output_per_s),
                    " output tokens/s and ", charts::Rounded(1 / perf.joules_per_output),
                    " per joule. Most per joule: ", charts::Rounded(1 / best->joules_per_output),
                    " at ", charts::Rounded(best->output_per_s), " tokens/s.");
  }
  return lead;
}

charts::Figure MakeFigure(const Study& study, const Curves& curves) {
  charts::Figure figure;
  figure.title = "Power cap: what it costs and what it saves";
  figure.subtitle = absl::StrCat(Subject(study.deployment), ", ", Describe(study.load));
  figure.footer = EmulatedFrom(study.deployment.profile);
  figure.panel_height = 200;
  charts::XyPanel watts = Panel(curves, "device power, W per chip", PerChip, false);
  watts.series.push_back({.name = "the cap",
                          .colour = charts::kGrey,
                          .mark = charts::Mark::kLine,
                          .dashed = true,
                          .points = {{curves.caps.front(), curves.caps.front()},
                                     {curves.caps.back(), curves.caps.back()}}});

  charts::XyPanel latency = Panel(curves, "time per output token, ms", TokenMs, false);
  latency.y.logarithmic = true;
  figure.panels = {Panel(curves, "output tokens/s", Rate, true),
                   Panel(curves, "output tokens per device joule", PerJoule, true),
                   watts,
                   latency,
                   Panel(curves, "clock while busy, GHz", Clock, false),
                   Panel(curves, "time spent waiting for the cap, %", Waiting, false)};
  return figure;
}

absl::Status CheckCaps(const std::vector<double>& caps) {
  for (size_t i = 0; i < caps.size(); ++i) {
    if (!(caps[i] > 0 && caps[i] <= 1e5) || (i > 0 && caps[i] <= caps[i - 1])) {
      return absl::InvalidArgumentError(
          "--caps: expected rising watts per chip above zero, like 200,300,400");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PowerReport> CapSweep(const Study& study, const CapSweepOptions& options) {
  RETURN_IF_ERROR(CheckCaps(options.caps));
  Curves curves;
  curves.caps = options.caps.empty() ? DefaultCaps(study.deployment) : options.caps;
  curves.chips = static_cast<double>(study.deployment.chips());
  const auto run = [&](const Deployment& d) {
    std::vector<Curve> by_rule;
    for (const CapRule rule : kRules) {
      by_rule.push_back(RunCurve(d, study.load, rule, curves.caps, options.window));
    }
    return by_rule;
  };
  curves.by_rule = run(study.deployment);
  for (const Deployment& sample : study.samples) {
    curves.by_sample.push_back(run(sample));
  }
  PowerReport report;
  report.command = "cap";
  report.title = "Power cap: what it costs and what it saves";
  report.lead = Lead(study, curves);
  AddStudy(study, &report);
  report.facts.emplace_back(
      "cap", absl::StrCat("mean power over every ", charts::Rounded(ToSeconds(options.window)),
                          " s; the package's short limit of ",
                          charts::Fixed(study.deployment.profile.burst_power.value, 0), " W over ",
                          charts::Rounded(study.deployment.profile.burst_window.value * 1e3),
                          " ms holds too"));
  report.figures = {{"cap", MakeFigure(study, curves)}};
  report.tables = {{"cap", MakeTable(curves)}};
  report.notes = {
      "perf and eff are the predictive governor itself, run step after step: perf takes the "
      "fastest "
      "clock that keeps every window, eff the one with the least joules per token; both wait when "
      "none fits. Idle time between steps is drawn at warm and counted at what a chip may draw at "
      "most without work, so duty-cycled rows stay a little below their cap.",
      "paced is no governor but a yardstick: the one clock that gives the most tokens under the "
      "cap "
      "with a pause after each step. perf below it: racing to the limit and waiting costs more "
      "energy a token than a lower clock would.",
      "static is the highest clock at which no step whatever could pass the cap; it has no answer "
      "where even the lowest clock's worst step is above it.",
      "eff weighs no latency here: with a target it would run faster."};
  return report;
}

}  // namespace scoville::sim::power
