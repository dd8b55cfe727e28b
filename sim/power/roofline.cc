// The roofs of a chip and where its work stands below them.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "sim/charts/axis.h"
#include "sim/power/bands.h"
#include "sim/power/sweeps.h"

namespace scoville::sim::power {

namespace {

constexpr int64_t kMostBatch = 4096;

struct Work {
  std::string kind;  // decode, prefill
  int64_t size = 0;  // sequences; tokens of the chunk
  OperatingPoint point;

  double intensity() const {
    return point.price.flops_model / static_cast<double>(point.price.hbm_bytes.value());
  }
  double rate() const {  // FLOP/s of a chip
    return point.price.flops_model / point.step_s / static_cast<double>(point.chips);
  }
};

std::vector<Load> DecodeLoads(const Study& study) {
  std::vector<Load> loads;
  const int64_t most = std::min(kMostBatch, study.deployment.MostSequences(study.load.context));
  for (int64_t batch = 1; batch <= most; batch *= 4) {
    loads.push_back({.batch = batch, .context = study.load.context});
  }
  return loads;
}

std::vector<Load> PrefillLoads() {
  std::vector<Load> loads;
  for (const int64_t tokens : {128, 512, 2048, 8192}) {
    loads.push_back({.batch = 0, .context = 0, .prefill = tokens});
  }
  return loads;
}

std::vector<Work> WorkOf(const Deployment& d, const Study& study) {
  std::vector<Work> works;
  for (const Load& load : DecodeLoads(study)) {
    works.push_back({"decode", load.batch, AtTdp(d, load)});
  }
  for (const Load& load : PrefillLoads()) {
    works.push_back({"prefill", load.prefill, AtTdp(d, load)});
  }
  return works;
}

// Up the slope of the memory's bandwidth, then flat; in TFLOP/s of a chip.
charts::Series Roof(const std::string& label, int colour, bool dashed, double peak,
                    double bandwidth, double left, double right) {
  charts::Series series;
  series.labels = {"", "", label};
  series.colour = colour;
  series.mark = charts::Mark::kLine;
  series.dashed = dashed;
  const double ridge = peak / bandwidth;
  series.points = {{left, left * bandwidth * 1e-12},
                   {ridge, peak * 1e-12},
                   {std::max(right, ridge * 1.01), peak * 1e-12}};
  return series;
}

const char* RoofName(device::MathType type) {
  constexpr const char* kNames[] = {"FP4 peak", "FP8 peak", "BF16 peak"};
  return kNames[static_cast<int>(type)];
}

charts::Figure MakeFigure(const Study& study, const std::vector<Work>& works) {
  const device::Profile& profile = study.deployment.profile;
  double left = 1e300;
  double right = 0;
  for (const Work& work : works) {
    left = std::min(left, work.intensity() / 2);
    right = std::max(right, work.intensity() * 2);
  }
  charts::XyPanel panel;
  panel.x = {.label = "model FLOPs per byte of HBM traffic", .logarithmic = true};
  panel.y = {.label = "TFLOP/s per chip", .logarithmic = true};
  for (int type = 0; type < device::kMathTypes; ++type) {
    if (profile.peak[type].value > 0) {
      panel.series.push_back(Roof(RoofName(static_cast<device::MathType>(type)), 4 + type % 3,
                                  false, profile.peak[type].value, profile.hbm_bandwidth.value,
                                  left, right));
    }
  }
  const device::MathType math = study.deployment.timing.linear_math;
  panel.series.push_back(
      Roof("", charts::kGrey, true, profile.Peak(math) * profile.Efficiency(math),
           profile.hbm_bandwidth.value * profile.bandwidth_efficiency.value, left, right));
  panel.series.back().name = "reachable: the profile's efficiencies at the model's type";
  charts::Series decode{.name = "decode, sequences", .colour = 0};
  charts::Series prefill{.name = "prefill, tokens of the chunk", .colour = 1};
  for (const Work& work : works) {
    charts::Series& series = work.kind == "decode" ? decode : prefill;
    series.points.push_back({work.intensity(), work.rate() * 1e-12});
    series.labels.push_back(charts::Fixed(static_cast<double>(work.size), 0));
  }
  panel.series.push_back(std::move(decode));
  panel.series.push_back(std::move(prefill));
  charts::Figure figure;
  figure.title = "Roofline: what the chip could do and what the work asks of it";
  figure.subtitle =
      absl::StrCat(Subject(study.deployment), ", decoding over ",
                   charts::Fixed(static_cast<double>(study.load.context), 0), " tokens of context");
  figure.footer = EmulatedFrom(profile);
  figure.columns = 1;
  figure.panel_height = 460;
  figure.panels = {panel};
  return figure;
}

charts::Table MakeTable(const Study& study, const std::vector<Work>& works) {
  charts::Table table;
  table.columns = {{"phase", "phase"},
                   {"size", "seqs or tokens", 0},
                   {"flops_per_byte", "FLOP/B"},
                   {"tflops_per_chip", "TFLOP/s/chip"},
                   {"mfu_percent", "MFU %", 1},
                   {"mbu_percent", "MBU %", 1},
                   {"step_ms", "step ms"},
                   {"watts_per_chip", "W/chip"},
                   {"joules_per_token", "J/token"}};
  std::vector<Band> bands;
  if (!study.samples.empty()) {
    AddBandColumns("tflops_per_chip", "TFLOP/s", &table);
    bands = BandsOver(study.samples, [&](const Deployment& sample) {
      std::vector<double> rates;
      for (const Work& work : WorkOf(sample, study)) {
        rates.push_back(work.rate() * 1e-12);
      }
      return rates;
    });
  }
  for (size_t i = 0; i < works.size(); ++i) {
    const OperatingPoint& p = works[i].point;
    std::vector<charts::Cell> row = {works[i].kind,
                                     static_cast<double>(works[i].size),
                                     works[i].intensity(),
                                     works[i].rate() * 1e-12,
                                     100 * p.price.mfu,
                                     100 * p.price.mbu,
                                     p.step_s * 1e3,
                                     p.watts_per_chip(),
                                     p.joules / static_cast<double>(p.total_tokens)};
    if (!bands.empty()) {
      AddBandCells(bands[i], &row);
    }
    table.Add(std::move(row));
  }
  return table;
}

}  // namespace

absl::StatusOr<PowerReport> Roofline(const Study& study) {
  const std::vector<Work> works = WorkOf(study.deployment, study);
  const device::Profile& profile = study.deployment.profile;
  const device::MathType math = study.deployment.timing.linear_math;
  PowerReport report;
  report.command = "roofline";
  report.title = "Roofline";
  report.lead = absl::StrCat(
      Subject(study.deployment), ". The memory gives ",
      charts::Rounded(profile.hbm_bandwidth.value * 1e-12), " TB/s and the matrix units ",
      charts::Rounded(profile.Peak(math) * 1e-12), " TFLOP/s at the model's type (",
      device::MathTypeName(profile.RunsAt(math)), "): work below ",
      charts::Rounded(profile.Peak(math) / profile.hbm_bandwidth.value),
      " FLOP per byte waits for memory.");
  AddStudy(study, &report);
  report.figures = {{"roofline", MakeFigure(study, works)}};
  report.tables = {{"roofline", MakeTable(study, works)}};
  report.notes = {
      "Model FLOPs, not the padded ones that the tiles run; highest clock within the TDP, no cap.",
      "Points lie below the dashed roof by what fixed latency, links, host and tiles "
      "take. Attention multiplies in BF16 whatever the weights are."};
  return report;
}

}  // namespace scoville::sim::power
