#include "sim/power/compare.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sim/charts/axis.h"
#include "sim/power/bands.h"

namespace scoville::sim::power {

namespace {

// One chip's answer.
struct Entry {
  Deployment deployment;
  OperatingPoint point;
  double ttft_s = 0;
  std::vector<OperatingPoint> samples;

  double chips() const { return static_cast<double>(deployment.chips()); }
  double tdp_watts() const { return chips() * deployment.profile.tdp.value; }
  double overhead_watts() const { return chips() * deployment.profile.overhead_power.value; }
};

// Output tokens per second and watt, by power basis.
double PerDeviceWatt(const Entry&, const OperatingPoint& p) { return p.output_per_s() / p.watts(); }
double PerTdpWatt(const Entry& e, const OperatingPoint& p) {
  return p.output_per_s() / e.tdp_watts();
}
double PerWallWatt(const Entry& e, const OperatingPoint& p) {
  return p.output_per_s() / (p.watts() + e.overhead_watts());
}
double PerProvisionedWatt(const Entry& e, const OperatingPoint& p) {
  return p.output_per_s() / (e.tdp_watts() + e.overhead_watts());
}
double JoulesPerOutput(const Entry&, const OperatingPoint& p) { return p.joules_per_output(); }
double RatePerChip(const Entry& e, const OperatingPoint& p) { return p.output_per_s() / e.chips(); }
double ItlMs(const Entry&, const OperatingPoint& p) { return p.step_s * 1e3; }
double WattsPerChip(const Entry&, const OperatingPoint& p) { return p.watts_per_chip(); }

using Value = double (*)(const Entry&, const OperatingPoint&);

// The largest batch that fits and keeps the target; the step's time grows with the batch, up to
// ripples of whole tiles, which the doubling and halving may stop short of.
std::optional<int64_t> LargestBatch(const Deployment& d, const Traffic& traffic) {
  const auto keeps = [&](int64_t batch) {
    const Load load = LoadOf(traffic, batch);
    return batch + load.prompts <= d.MostSequences(load.context) &&
           AtTdp(d, load).step_s <= traffic.itl_s;
  };
  if (!keeps(1)) {
    return std::nullopt;
  }
  int64_t low = 1;
  while (2 * low <= traffic.batch && keeps(2 * low)) {
    low *= 2;
  }
  int64_t high = std::min(2 * low, traffic.batch + 1);
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (keeps(middle) ? low : high) = middle;
  }
  return low;
}

absl::StatusOr<std::optional<Entry>> MakeEntry(const device::Profile& profile,
                                               const CompareOptions& options) {
  const Traffic& traffic = options.traffic;
  const int64_t needed = traffic.itl_s > 0 ? 1 : traffic.batch;
  ASSIGN_OR_RETURN(Deployment d, MakeDeployment(profile, options.card, options.deployment,
                                                LoadOf(traffic, needed)));
  int64_t batch = traffic.batch;
  if (traffic.itl_s > 0) {
    const std::optional<int64_t> largest = LargestBatch(d, traffic);
    if (!largest) {
      return std::nullopt;
    }
    batch = *largest;
  }
  const Load load = LoadOf(traffic, batch);
  Entry entry;
  entry.point = AtTdp(d, load);
  const double chunks =
      load.prompts > 1
          ? 1.0
          : std::ceil(static_cast<double>(traffic.prompt) / static_cast<double>(load.prefill));
  entry.ttft_s = chunks * entry.point.step_s;
  if (options.samples > 0) {
    DeploymentOptions same = options.deployment;
    same.chips = d.chips();
    ASSIGN_OR_RETURN(const std::vector<device::Profile> drawn,
                     SampleProfiles(profile, options.samples, options.seed));
    for (const device::Profile& sample : drawn) {
      ASSIGN_OR_RETURN(const Deployment other, MakeDeployment(sample, options.card, same, load));
      entry.samples.push_back(AtTdp(other, load));
    }
  }
  entry.deployment = std::move(d);
  return std::optional<Entry>(std::move(entry));
}

Band BandOfEntry(const Entry& entry, Value value) {
  std::vector<double> values;
  for (const OperatingPoint& sample : entry.samples) {
    values.push_back(value(entry, sample));
  }
  return BandOf(std::move(values));
}

charts::BarPanel Bars(const std::vector<Entry>& entries, const std::string& label, int colour,
                      Value value) {
  charts::BarPanel panel;
  panel.axis.label = label;
  for (const Entry& entry : entries) {
    charts::Bar bar;
    bar.label = absl::StrCat(entry.deployment.profile.name, " x", entry.deployment.chips());
    const double length = value(entry, entry.point);
    bar.segments = {{"", colour, 0, length}};
    bar.value = charts::Rounded(length);
    if (!entry.samples.empty()) {
      const Band band = BandOfEntry(entry, value);
      bar.whisker = {band.low, band.high};
    }
    panel.bars.push_back(std::move(bar));
  }
  return panel;
}

charts::Table MakeTable(const std::vector<Entry>& entries) {
  charts::Table table;
  table.columns = {{"profile", "profile"},
                   {"weakest", "weakest"},
                   {"chips", "chips", 0},
                   {"batch", "batch", 0},
                   {"prompt_tokens_per_step", "prompt tok/step", 0},
                   {"itl_ms", "ITL ms"},
                   {"ttft_ms", "TTFT ms"},
                   {"output_tokens_per_s", "output tok/s"},
                   {"output_tokens_per_s_per_chip", "output tok/s/chip"},
                   {"total_tokens_per_s_per_chip", "total tok/s/chip"},
                   {"device_watts_per_chip", "device W/chip"}};
  for (const Entry& e : entries) {
    const OperatingPoint& p = e.point;
    table.Add({e.deployment.profile.name,
               std::string(device::NumberStatusName(e.deployment.profile.weakest)), e.chips(),
               static_cast<double>(p.output_tokens),
               static_cast<double>(p.total_tokens - p.output_tokens), p.step_s * 1e3,
               e.ttft_s * 1e3, p.output_per_s(), RatePerChip(e, p), p.total_per_s() / e.chips(),
               p.watts_per_chip()});
  }
  return table;
}

charts::Table MakeEnergyTable(const std::vector<Entry>& entries) {
  charts::Table table;
  table.title = "Energy, with the bases of tokens and of power named";
  table.columns = {{"profile", "profile"},
                   {"device_joules_per_output_token", "J/output tok, device"},
                   {"device_joules_per_total_token", "J/total tok, device"},
                   {"output_tokens_per_s_per_device_watt", "output tok/s/W, device"},
                   {"output_tokens_per_s_per_tdp_watt", "TDP"},
                   {"output_tokens_per_s_per_wall_watt", "wall"},
                   {"output_tokens_per_s_per_provisioned_watt", "provisioned"},
                   {"total_tokens_per_s_per_tdp_kilowatt", "total tok/s/kW, TDP"}};
  const bool bands = !entries.empty() && !entries[0].samples.empty();
  if (bands) {
    AddBandColumns("device_joules_per_output_token", "J/output tok", &table);
    AddBandColumns("output_tokens_per_s_per_chip", "output tok/s/chip", &table);
  }
  for (const Entry& e : entries) {
    const OperatingPoint& p = e.point;
    std::vector<charts::Cell> row = {e.deployment.profile.name,
                                     p.joules_per_output(),
                                     p.joules / static_cast<double>(p.total_tokens),
                                     PerDeviceWatt(e, p),
                                     PerTdpWatt(e, p),
                                     PerWallWatt(e, p),
                                     PerProvisionedWatt(e, p),
                                     1e3 * p.total_per_s() / e.tdp_watts()};
    if (bands) {
      AddBandCells(BandOfEntry(e, JoulesPerOutput), &row);
      AddBandCells(BandOfEntry(e, RatePerChip), &row);
    }
    table.Add(std::move(row));
  }
  return table;
}

std::string TrafficText(const CompareOptions& options) {
  const Traffic& t = options.traffic;
  const auto count = [](int64_t n) { return charts::Fixed(static_cast<double>(n), 0); };
  return absl::StrCat(
      options.card.name, ", ", count(t.prompt), " tokens in, ", count(t.output), " out; ",
      t.itl_s > 0 ? absl::StrCat("the largest batch with at most ", charts::Rounded(t.itl_s * 1e3),
                                 " ms between tokens")
                  : absl::StrCat(count(t.batch), " sequences decoding"));
}

charts::Figure MakeFigure(const CompareOptions& options, const std::vector<Entry>& entries) {
  charts::Figure figure;
  figure.title = "Chips side by side, same traffic";
  figure.subtitle = absl::StrCat(TrafficText(options), ". ", kColourKey);
  figure.footer =
      "Emulated: every figure follows from its chip's profile, none was measured on the chip. "
      "Whiskers: 5th to 95th percentile of the ranges.";
  if (options.samples == 0) {
    figure.footer =
        "Emulated: every figure follows from its chip's profile, none was measured on the chip.";
  }
  for (const Entry& entry : entries) {
    if (entry.deployment.profile.what_if) {
      figure.footer =
          absl::StrCat(entry.deployment.profile.name, ": what-if, not a forecast. ", figure.footer);
    }
  }
  figure.panels = {
      Bars(entries, "output tokens/s per chip", kMoreIsBetter, RatePerChip),
      Bars(entries, "between two tokens, ms", kLessIsBetter, ItlMs),
      Bars(entries, "device energy, J per output token", kLessIsBetter, JoulesPerOutput),
      Bars(entries, "device power, W per chip", kNeither, WattsPerChip),
      Bars(entries, "output tokens/s per device watt", kMoreIsBetter, PerDeviceWatt),
      Bars(entries, "output tokens/s per provisioned watt", kMoreIsBetter, PerProvisionedWatt)};
  return figure;
}

absl::Status CheckTraffic(const Traffic& t) {
  if (t.prompt < 1 || t.output < 1 || t.batch < 1 || t.prompt > 10'000'000 ||
      t.output > 10'000'000 || t.batch > 1'000'000 || !(t.itl_s >= 0)) {
    return absl::InvalidArgumentError(
        "the traffic makes no sense: prompt, output and batch are counts above zero");
  }
  return absl::OkStatus();
}

void Explain(const CompareOptions& options, PowerReport* report) {
  report->notes = {
      "The most efficient batch of each chip may be another one; what is fixed is the traffic.",
      absl::StrCat("Time to first token: the steps that one prompt of ", options.traffic.prompt,
                   " tokens takes at the prompt tokens of a step, without a queue."),
      "wall: device power and the profile's constant for host, network and rack. provisioned: TDP "
      "and the same constant. Neither is a measurement."};
}

}  // namespace

Load LoadOf(const Traffic& traffic, int64_t batch) {
  const double wanted = static_cast<double>(batch) * static_cast<double>(traffic.prompt) /
                        static_cast<double>(traffic.output);
  Load load;
  load.batch = batch;
  load.context = traffic.prompt + traffic.output / 2;
  const double prompt = static_cast<double>(traffic.prompt);
  if (wanted > prompt) {
    load.prompts = std::llround(wanted / prompt);
    load.prefill = traffic.prompt;
  } else {
    load.prefill = std::max<int64_t>(1, std::llround(wanted));
    load.prefill_cached = (traffic.prompt - load.prefill) / 2;
  }
  return load;
}

absl::StatusOr<PowerReport> Compare(const CompareOptions& options) {
  RETURN_IF_ERROR(CheckTraffic(options.traffic));
  PowerReport report;
  std::vector<Entry> entries;
  for (const device::Profile& profile : options.profiles) {
    absl::StatusOr<std::optional<Entry>> entry = MakeEntry(profile, options);
    if (entry.ok() && *entry) {
      entries.push_back(**std::move(entry));
    } else {
      report.notes.push_back(
          absl::StrCat(profile.name, " is left out: ",
                       entry.ok() ? "not even one sequence keeps the time between tokens"
                                  : std::string(entry.status().message())));
    }
  }
  if (entries.empty()) {
    return absl::InvalidArgumentError(report.notes.empty() ? "no profiles to compare"
                                                           : report.notes[0]);
  }
  std::vector<std::string> left_out = std::move(report.notes);
  report.command = "compare";
  report.title = "Chips side by side, same traffic";
  const auto best =
      std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return a.point.joules_per_output() < b.point.joules_per_output();
      });
  report.lead = absl::StrCat(
      TrafficText(options), ". Least device energy: ", best->deployment.profile.name, ", ",
      charts::Rounded(best->point.joules_per_output()), " J per output token, prompts included.");
  for (const Entry& entry : entries) {
    AddProfile(entry.deployment.profile, &report);
  }
  if (options.samples > 0) {
    report.facts.emplace_back(
        "band", absl::StrCat("5th to 95th percentile over ", options.samples,
                             " profiles each, drawn from the ranges, seed ", options.seed));
  }
  report.figures = {{"compare", MakeFigure(options, entries)}};
  report.tables = {{"compare", MakeTable(entries)}, {"energy", MakeEnergyTable(entries)}};
  Explain(options, &report);
  report.notes.insert(report.notes.begin(), left_out.begin(), left_out.end());
  return report;
}

}  // namespace scoville::sim::power
