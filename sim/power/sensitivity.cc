// Each number of the profile at the ends of its range: which of them the figures hang on.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/charts/axis.h"
#include "sim/power/profile_samples.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kShown = 16;      // bars of the picture
constexpr double kVisible = 0.05;  // %, below it a number has no bar

// Changes in percent; not finite where the profile does not hold together.
struct Effect {
  double rate = kNan;
  double joules = kNan;
};

struct Row {
  device::NamedNumber named;
  Effect low, high;

  double reach() const {
    double most = 0;
    for (const double change : {low.rate, high.rate, low.joules, high.joules}) {
      most = std::isfinite(change) ? std::max(most, std::abs(change)) : most;
    }
    return most;
  }
};

Effect EffectOf(const Study& study, const OperatingPoint& base, const std::string& key,
                double value) {
  const absl::StatusOr<device::Profile> profile = device::WithNumbers(
      study.deployment.profile, std::vector<std::pair<std::string, double>>{{key, value}});
  if (!profile.ok()) {
    return {};
  }
  const device::Parallelism& how = study.deployment.timing.parallelism;
  DeploymentOptions options;
  options.chips = how.chips;
  options.expert_parallel = how.expert_parallel;
  options.data_parallel_attention = how.data_parallel_attention;
  const absl::StatusOr<Deployment> changed =
      MakeDeployment(*profile, study.deployment.card, options, study.load);
  if (!changed.ok()) {
    return {};
  }
  const OperatingPoint point = AtTdp(*changed, study.load);
  return {100 * (point.output_per_s() / base.output_per_s() - 1),
          100 * (point.joules_per_output() / base.joules_per_output() - 1)};
}

// Three digits without the zeros at the end.
std::string Short(double value) {
  if (std::isinf(value)) {
    return "inf";
  }
  std::string text = charts::Rounded(value);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') {
      text.pop_back();
    }
  }
  return text;
}

std::string WithUnit(const device::NamedNumber& named, std::string text) {
  return named.unit.empty() ? text : absl::StrCat(text, " ", named.unit);
}

std::string InUnit(const device::NamedNumber& named, double value) {
  return WithUnit(named, Short(value / named.scale));
}

std::string RangeOf(const device::NamedNumber& named) {
  return WithUnit(named, absl::StrCat(Short(*named.number.low / named.scale), " to ",
                                      Short(*named.number.high / named.scale)));
}

// One scale for both panels.
void SetScale(const std::vector<Row>& rows, charts::AxisOptions* axis) {
  constexpr double kStep = 10;
  double low = 0;
  double high = 0;
  for (const Row& row : rows) {
    for (const double change : {row.low.rate, row.high.rate, row.low.joules, row.high.joules}) {
      low = std::isfinite(change) ? std::min(low, change) : low;
      high = std::isfinite(change) ? std::max(high, change) : high;
    }
  }
  axis->low = std::floor(low / kStep) * kStep;
  axis->high = std::ceil(std::max(high, 1.0) / kStep) * kStep;
}

charts::BarPanel Tornado(const std::vector<Row>& rows, const std::string& label,
                         double Effect::*change, bool named) {
  charts::BarPanel panel;
  panel.axis.label = label;
  SetScale(rows, &panel.axis);
  for (size_t i = 0; i < std::min(rows.size(), kShown); ++i) {
    const Row& row = rows[i];
    if (row.reach() < kVisible) {
      break;
    }
    charts::Bar bar;
    bar.label = named ? absl::StrCat(row.named.key, ", ", RangeOf(row.named)) : "";
    bar.segments = {{"at the low end of its range", 0, 0, row.low.*change},
                    {"at the high end", 1, 0, row.high.*change}};
    panel.bars.push_back(std::move(bar));
  }
  return panel;
}

charts::Table MakeTable(const std::vector<Row>& rows) {
  charts::Table table;
  table.columns = {{"number", "number"},
                   {"status", "status"},
                   {"value", "value"},
                   {"low", "low end"},
                   {"high", "high end"},
                   {"rate_at_low_percent", "tok/s at low %", 1},
                   {"rate_at_high_percent", "tok/s at high %", 1},
                   {"joules_at_low_percent", "J/tok at low %", 1},
                   {"joules_at_high_percent", "J/tok at high %", 1}};
  for (const Row& row : rows) {
    table.Add({row.named.key, std::string(device::NumberStatusName(row.named.number.status)),
               InUnit(row.named, row.named.number.value), InUnit(row.named, *row.named.number.low),
               InUnit(row.named, *row.named.number.high), row.low.rate, row.high.rate,
               row.low.joules, row.high.joules});
  }
  return table;
}

void AddSpread(const Study& study, const OperatingPoint& base, PowerReport* report) {
  if (study.samples.empty()) {
    return;
  }
  std::vector<double> rates;
  std::vector<double> joules;
  for (const Deployment& sample : study.samples) {
    const OperatingPoint p = AtTdp(sample, study.load);
    rates.push_back(p.output_per_s());
    joules.push_back(p.joules_per_output());
  }
  charts::Table table;
  table.columns = {
      {"figure", "all numbers at once"}, {"value", "value"}, {"p5", "p5"}, {"p95", "p95"}};
  const Band rate = BandOf(rates);
  const Band joule = BandOf(joules);
  table.Add({std::string("output tokens/s"), base.output_per_s(), rate.low, rate.high});
  table.Add({std::string("J per output token"), base.joules_per_output(), joule.low, joule.high});
  report->tables.push_back({"spread", table});
  const auto outside = [](const Band& band, double value) {
    return value < band.low || value > band.high;
  };
  if (outside(rate, base.output_per_s()) || outside(joule, base.joules_per_output())) {
    report->notes.push_back(
        "A value outside its own band: many of the profile's values stand at the favourable ends "
        "of "
        "their ranges, and draws move them all to the other side.");
  }
}

}  // namespace

absl::StatusOr<PowerReport> Sensitivity(const Study& study) {
  const OperatingPoint base = AtTdp(study.deployment, study.load);
  std::vector<Row> rows;
  for (device::NamedNumber& named : UncertainNumbers(study.deployment.profile)) {
    Row row;
    row.low = EffectOf(study, base, named.key, *named.number.low);
    row.high = EffectOf(study, base, named.key, *named.number.high);
    row.named = std::move(named);
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.reach() > b.reach(); });
  PowerReport report;
  report.command = "sensitivity";
  report.title = "Sensitivity: which numbers the figures hang on";
  report.lead =
      absl::StrCat(Subject(study.deployment), ", ", Describe(study.load),
                   ", highest clock within the TDP: ", charts::Rounded(base.output_per_s()),
                   " output tokens/s at ", charts::Rounded(base.joules_per_output()), " J each. ",
                   rows.empty() ? "No number of the profile has a range."
                                : absl::StrCat("Most hangs on ", rows[0].named.key, ": up to ",
                                               charts::Rounded(rows[0].reach()), " %."));
  AddStudy(study, &report);
  charts::Figure figure;
  figure.title = report.title;
  figure.subtitle = absl::StrCat(Subject(study.deployment), ", ", Describe(study.load),
                                 ", highest clock within the TDP");
  figure.footer = EmulatedFrom(study.deployment.profile);
  figure.panels = {Tornado(rows, "change of J per output token, %", &Effect::joules, true),
                   Tornado(rows, "change of output tokens/s, %", &Effect::rate, false)};
  report.figures = {{"sensitivity", figure}};
  report.tables = {{"sensitivity", MakeTable(rows)}};
  report.notes = {
      "One number at a time, the others at their value; - where the profile would contradict "
      "itself.",
      "The choice between matrix rates of mixed widths (rate_w4a8, rate_w4a16) is not varied."};
  AddSpread(study, base, &report);
  return report;
}

}  // namespace scoville::sim::power
