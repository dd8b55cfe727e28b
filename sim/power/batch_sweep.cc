// Powers of two of sequences, up to what the chips hold.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "sim/charts/axis.h"
#include "sim/power/bands.h"
#include "sim/power/causes.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

constexpr int64_t kMostBatch = 8192;

std::vector<Load> Loads(const Study& study) {
  const int64_t most = std::min(kMostBatch, study.deployment.MostSequences(study.load.context) -
                                                (study.load.prefill > 0 ? study.load.prompts : 0));
  std::vector<Load> loads;
  for (int64_t batch = 1; batch <= most; batch *= 2) {
    loads.push_back(study.load);
    loads.back().batch = batch;
  }
  if (!loads.empty() && loads.back().batch < most && most < kMostBatch) {
    loads.push_back(study.load);
    loads.back().batch = most;
  }
  return loads;
}

std::vector<OperatingPoint> Points(const Deployment& deployment, const std::vector<Load>& loads) {
  std::vector<OperatingPoint> points;
  for (const Load& load : loads) {
    points.push_back(AtTdp(deployment, load));
  }
  return points;
}

using Value = double (*)(const OperatingPoint&);

double Rate(const OperatingPoint& p) { return p.output_per_s(); }
double PerChip(const OperatingPoint& p) { return p.watts_per_chip(); }
double Joules(const OperatingPoint& p) { return p.joules_per_output(); }
double Each(const OperatingPoint& p) { return 1 / p.step_s; }

charts::Series Line(const std::vector<OperatingPoint>& points, Value value) {
  charts::Series series;
  series.colour = 6;
  for (const OperatingPoint& p : points) {
    series.points.push_back({static_cast<double>(p.output_tokens), value(p)});
  }
  return series;
}

charts::AxisOptions XAxis(const std::vector<OperatingPoint>& points) {
  charts::AxisOptions axis{.label = "batch, sequences", .logarithmic = true};
  for (const OperatingPoint& p : points) {
    axis.at.push_back(static_cast<double>(p.output_tokens));
  }
  return axis;
}

charts::XyPanel Panel(const std::string& label, bool logarithmic,
                      const std::vector<OperatingPoint>& points,
                      const std::vector<std::vector<OperatingPoint>>& samples, Value value) {
  charts::XyPanel panel;
  panel.x = XAxis(points);
  panel.y = {.label = label, .logarithmic = logarithmic};
  charts::Series series = Line(points, value);
  if (!samples.empty()) {
    std::vector<Band> bands;
    for (size_t i = 0; i < series.points.size(); ++i) {
      std::vector<double> values;
      for (const std::vector<OperatingPoint>& sample : samples) {
        values.push_back(value(sample[i]));
      }
      bands.push_back(BandOf(std::move(values)));
    }
    SetBand(bands, &series);
  }
  panel.series.push_back(std::move(series));
  return panel;
}

charts::XyPanel Utilisation(const std::vector<OperatingPoint>& points) {
  charts::XyPanel panel;
  panel.x = XAxis(points);
  panel.y = {.label = "share of the chips' peaks, %"};
  charts::Series mfu{.name = "", .colour = 6};
  charts::Series mbu{.name = "", .colour = 6, .dashed = true};
  for (const OperatingPoint& p : points) {
    const double batch = static_cast<double>(p.output_tokens);
    mfu.points.push_back({batch, 100 * p.price.mfu});
    mbu.points.push_back({batch, 100 * p.price.mbu});
  }
  mfu.labels.resize(points.size());
  mbu.labels.resize(points.size());
  mfu.labels[points.size() / 2] = "FLOPs (MFU)";
  mbu.labels[points.size() / 2] = "bandwidth (MBU)";
  panel.series = {mfu, mbu};
  return panel;
}

charts::Table MakeTable(const std::vector<OperatingPoint>& points,
                        const std::vector<std::vector<OperatingPoint>>& samples) {
  charts::Table table;
  table.columns = {{"batch", "batch", 0},
                   {"step_ms", "step ms"},
                   {"output_tokens_per_s", "output tok/s"},
                   {"output_tokens_per_s_per_sequence", "tok/s each"},
                   {"device_watts", "device W"},
                   {"watts_per_chip", "W/chip"},
                   {"joules_per_output_token", "J/output tok"},
                   {"output_tokens_per_joule", "output tok/J"},
                   {"mfu_percent", "MFU %", 1},
                   {"mbu_percent", "MBU %", 1}};
  if (!samples.empty()) {
    AddBandColumns("output_tokens_per_s", "tok/s", &table);
    AddBandColumns("joules_per_output_token", "J/tok", &table);
  }
  for (size_t i = 0; i < points.size(); ++i) {
    const OperatingPoint& p = points[i];
    std::vector<charts::Cell> row = {static_cast<double>(p.output_tokens),
                                     p.step_s * 1e3,
                                     p.output_per_s(),
                                     1 / p.step_s,
                                     p.watts(),
                                     p.watts_per_chip(),
                                     p.joules_per_output(),
                                     1 / p.joules_per_output(),
                                     100 * p.price.mfu,
                                     100 * p.price.mbu};
    if (!samples.empty()) {
      std::vector<double> rates;
      std::vector<double> joules;
      for (const std::vector<OperatingPoint>& sample : samples) {
        rates.push_back(Rate(sample[i]));
        joules.push_back(Joules(sample[i]));
      }
      AddBandCells(BandOf(rates), &row);
      AddBandCells(BandOf(joules), &row);
    }
    table.Add(std::move(row));
  }
  return table;
}

}  // namespace

absl::StatusOr<PowerReport> BatchSweep(const Study& study) {
  const std::vector<Load> loads = Loads(study);
  if (loads.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(Subject(study.deployment),
                                                   ": not one sequence of ", study.load.context,
                                                   " tokens fits beside the weights"));
  }
  const std::vector<OperatingPoint> points = Points(study.deployment, loads);
  std::vector<std::vector<OperatingPoint>> samples;
  for (const Deployment& sample : study.samples) {
    samples.push_back(Points(sample, loads));
  }
  PowerReport report;
  report.command = "batch";
  report.title = "Batch: rate, watts and joules per token";
  report.lead = absl::StrCat(
      Subject(study.deployment), ", ", charts::Fixed(static_cast<double>(study.load.context), 0),
      " tokens of context, highest clock within the TDP. From 1 to ",
      charts::Fixed(static_cast<double>(points.back().output_tokens), 0),
      " sequences: ", charts::Rounded(points.front().joules_per_output()), " to ",
      charts::Rounded(points.back().joules_per_output()), " J per output token, ",
      charts::Rounded(points.front().output_per_s()), " to ",
      charts::Rounded(points.back().output_per_s()), " output tokens/s.");
  AddStudy(study, &report);
  charts::Figure figure;
  figure.title = report.title;
  figure.subtitle = absl::StrCat(Subject(study.deployment), ", ",
                                 charts::Fixed(static_cast<double>(study.load.context), 0),
                                 " tokens of context, highest clock within the TDP");
  figure.footer = EmulatedFrom(study.deployment.profile);
  charts::XyPanel watts = Panel("device power, W per chip", false, points, samples, PerChip);
  watts.rules.push_back(
      {false, study.deployment.profile.tdp.value,
       absl::StrCat("TDP ", charts::Fixed(study.deployment.profile.tdp.value, 0), " W")});
  std::vector<std::string> labels;
  for (const OperatingPoint& p : points) {
    labels.push_back(charts::Fixed(static_cast<double>(p.output_tokens), 0));
  }
  charts::BarPanel time = TimeShares(points, labels);
  time.category_axis = "batch, sequences";
  figure.panel_height = 200;
  figure.panels = {Panel("output tokens/s", true, points, samples, Rate),
                   Panel("device energy, J per output token", true, points, samples, Joules),
                   Panel("output tokens/s of each sequence", false, points, samples, Each),
                   watts,
                   Utilisation(points),
                   time};
  report.figures = {{"batch", figure}};
  report.tables = {{"batch", MakeTable(points, samples)}};
  return report;
}

}  // namespace scoville::sim::power
