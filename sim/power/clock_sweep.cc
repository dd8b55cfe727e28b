// Every clock state: time by cause, watts, joules per token. The joules are a U where the clock's
// own power falls faster than the time grows, and then no more.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sim/charts/axis.h"
#include "sim/power/bands.h"
#include "sim/power/causes.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

std::vector<std::string> Labels(const std::vector<OperatingPoint>& points) {
  std::vector<std::string> labels;
  for (const OperatingPoint& p : points) {
    // Every tenth of a gigahertz has room; finer steps are named every so often.
    const size_t stride = 1 + points.size() / 17;
    labels.push_back(labels.size() % stride == 0 ? charts::Fixed(p.clock_ghz, 1) : "");
  }
  return labels;
}

charts::XyPanel Line(const Study& study, const std::vector<OperatingPoint>& points,
                     const std::string& label, double (*value)(const OperatingPoint&)) {
  charts::XyPanel panel;
  panel.x = {.label = "clock, GHz", .from_zero = false};
  panel.y = {.label = label};
  charts::Series series;
  series.colour = 6;
  for (const OperatingPoint& p : points) {
    series.points.push_back({p.clock_ghz, value(p)});
  }
  if (!study.samples.empty()) {
    SetBand(BandsOver(study.samples,
                      [&](const Deployment& sample) {
                        std::vector<double> values;
                        for (const OperatingPoint& p : AtAllClocks(sample, study.load)) {
                          values.push_back(value(p));
                        }
                        return values;
                      }),
            &series);
  }
  panel.series.push_back(std::move(series));
  return panel;
}

double PerChip(const OperatingPoint& p) { return p.watts_per_chip(); }
double Millijoules(const OperatingPoint& p) { return p.joules_per_output() * 1e3; }

charts::Table MakeTable(const std::vector<OperatingPoint>& points) {
  charts::Table table;
  table.columns = {{"clock_ghz", "GHz", 2},
                   {"step_ms", "step ms"},
                   {"output_tokens_per_s", "output tok/s"},
                   {"device_watts", "device W"},
                   {"watts_per_chip", "W/chip"},
                   {"joules_per_output_token", "J/output tok"},
                   {"output_tokens_per_joule", "output tok/J"}};
  AddCauseColumns(&table);
  for (const OperatingPoint& p : points) {
    std::vector<charts::Cell> row = {
        p.clock_ghz,        p.step_s * 1e3,        p.output_per_s(),         p.watts(),
        p.watts_per_chip(), p.joules_per_output(), 1 / p.joules_per_output()};
    AddCauseCells(p, &row);
    table.Add(std::move(row));
  }
  return table;
}

}  // namespace

absl::StatusOr<PowerReport> ClockSweep(const Study& study) {
  const std::vector<OperatingPoint> points = AtAllClocks(study.deployment, study.load);
  const OperatingPoint& best = *std::min_element(
      points.begin(), points.end(),
      [](const auto& a, const auto& b) { return a.joules_per_output() < b.joules_per_output(); });
  const OperatingPoint& top = points.back();
  PowerReport report;
  report.command = "clock";
  report.title = "Clock: time, watts and joules per token";
  report.lead = absl::StrCat(
      Subject(study.deployment), ", ", Describe(study.load), ". Least energy at ",
      charts::Fixed(best.clock_ghz, 2), " GHz: ", charts::Rounded(best.joules_per_output() * 1e3),
      " mJ per output token against ", charts::Rounded(top.joules_per_output() * 1e3), " at ",
      charts::Fixed(top.clock_ghz, 2), " GHz, a step of ", charts::Rounded(best.step_s * 1e3),
      " ms against ", charts::Rounded(top.step_s * 1e3), ".");
  AddStudy(study, &report);
  charts::Figure figure;
  figure.title = report.title;
  figure.subtitle = absl::StrCat(Subject(study.deployment), ", ", Describe(study.load));
  figure.footer = EmulatedFrom(study.deployment.profile);
  charts::XyPanel joules = Line(study, points, "device energy, mJ per output token", Millijoules);
  joules.y.from_zero = false;
  joules.rules.push_back(
      {true, best.clock_ghz, absl::StrCat("least at ", charts::Fixed(best.clock_ghz, 1), " GHz")});
  charts::XyPanel watts = Line(study, points, "device power, W per chip", PerChip);
  watts.rules.push_back(
      {false, study.deployment.profile.tdp.value,
       absl::StrCat("TDP ", charts::Fixed(study.deployment.profile.tdp.value, 0), " W")});
  charts::BarPanel energy = EnergyByCause(points, Labels(points));
  charts::BarPanel time = TimeByCause(points, Labels(points));
  energy.category_axis = time.category_axis = "clock, GHz";
  figure.panels = {joules, watts, energy, time};
  report.figures = {{"clock", figure}};
  report.tables = {{"clock", MakeTable(points)}};
  return report;
}

}  // namespace scoville::sim::power
