// The simulator's own runs of one scenario, a profile each.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sim/charts/axis.h"
#include "sim/power/compare.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/simulation.h"

namespace scoville::sim::power {

namespace {

struct Run {
  device::Profile profile;
  Report report;

  double chips() const {
    return static_cast<double>(report.devices) * static_cast<double>(report.profile.chips);
  }
  double nameplate_watts() const { return chips() * profile.tdp.value; }
  double per_tdp_watt() const { return report.output_tokens_per_second / nameplate_watts(); }
  double per_provisioned_watt() const {
    return report.output_tokens_per_second /
           (nameplate_watts() + chips() * profile.overhead_power.value);
  }
};

charts::BarPanel Bars(const std::vector<Run>& runs, const std::string& label, int colour,
                      double (*value)(const Run&)) {
  charts::BarPanel panel;
  panel.axis.label = label;
  for (const Run& run : runs) {
    charts::Bar bar;
    bar.label = run.profile.name;
    bar.segments = {{"", colour, 0, value(run)}};
    bar.value = charts::Rounded(value(run));
    panel.bars.push_back(std::move(bar));
  }
  return panel;
}

charts::Table MakeTable(const std::vector<Run>& runs) {
  charts::Table table;
  table.columns = {{"profile", "profile"},
                   {"weakest", "weakest"},
                   {"completed", "done", 0},
                   {"virtual_seconds", "seconds"},
                   {"output_tokens_per_s", "output tok/s"},
                   {"ttft_p50_ms", "TTFT p50 ms"},
                   {"ttft_p99_ms", "TTFT p99 ms"},
                   {"itl_p50_ms", "ITL p50 ms"},
                   {"itl_p99_ms", "ITL p99 ms"},
                   {"mean_device_watts", "device W, all"}};
  for (const Run& run : runs) {
    const Report& r = run.report;
    table.Add({run.profile.name, r.profile.weakest, static_cast<double>(r.completed),
               r.virtual_seconds, r.output_tokens_per_second, r.ttft.p50 * 1e3, r.ttft.p99 * 1e3,
               r.itl.p50 * 1e3, r.itl.p99 * 1e3, r.mean_watts});
  }
  return table;
}

charts::Table MakeEnergyTable(const std::vector<Run>& runs) {
  charts::Table table;
  table.title = "Energy, with the bases of tokens and of power named; idle and waste included";
  table.columns = {{"profile", "profile"},
                   {"device_joules_per_output_token", "J/output tok, device"},
                   {"output_tokens_per_device_joule", "output tok/s/W, device"},
                   {"output_tokens_per_s_per_tdp_watt", "TDP"},
                   {"output_tokens_per_wall_joule", "wall"},
                   {"output_tokens_per_s_per_provisioned_watt", "provisioned"},
                   {"total_tokens_per_device_joule", "total tok/s/W, device"}};
  for (const Run& run : runs) {
    const Report& r = run.report;
    table.Add({run.profile.name, r.joules_per_output_token, r.output_tokens_per_joule,
               run.per_tdp_watt(), r.output_tokens_per_wall_joule, run.per_provisioned_watt(),
               r.total_tokens_per_joule});
  }
  return table;
}

charts::Figure MakeFigure(const Scenario& scenario, const std::vector<Run>& runs) {
  charts::Figure figure;
  figure.title = "Chips side by side, same requests";
  figure.subtitle =
      absl::StrCat("scenario ", scenario.name, ", ", runs[0].report.model, ", ",
                   charts::Fixed(static_cast<double>(runs[0].report.offered), 0), " requests, ",
                   runs[0].report.devices, " devices of ", runs[0].report.profile.chips,
                   " chips, seed ", scenario.seed, ". ", kColourKey);
  figure.footer =
      "Emulated: every figure follows from its chip's profile, none was measured on the chip.";
  for (const Run& run : runs) {
    if (run.profile.what_if) {
      figure.footer = absl::StrCat(run.profile.name, ": what-if, not a forecast. ", figure.footer);
    }
  }
  figure.panels = {Bars(runs, "time to first token, p99, ms", kLessIsBetter,
                        [](const Run& r) { return r.report.ttft.p99 * 1e3; }),
                   Bars(runs, "between two tokens, p99, ms", kLessIsBetter,
                        [](const Run& r) { return r.report.itl.p99 * 1e3; }),
                   Bars(runs, "device energy, J per output token", kLessIsBetter,
                        [](const Run& r) { return r.report.joules_per_output_token; }),
                   Bars(runs, "output tokens/s", kMoreIsBetter,
                        [](const Run& r) { return r.report.output_tokens_per_second; }),
                   Bars(runs, "output tokens/s per device watt", kMoreIsBetter,
                        [](const Run& r) { return r.report.output_tokens_per_joule; }),
                   Bars(runs, "output tokens/s per provisioned watt", kMoreIsBetter,
                        [](const Run& r) { return r.per_provisioned_watt(); })};
  return figure;
}

absl::StatusOr<Run> RunOn(Scenario scenario, const std::string& name,
                          const model::LoadedModel& model) {
  Run run;
  ASSIGN_OR_RETURN(run.profile, device::FindProfile(name));
  scenario.pool.profile = name;
  absl::StatusOr<SimulationResult> result = RunScenario(scenario, model);
  if (!result.ok()) {
    return absl::Status(result.status().code(),
                        absl::StrCat("on ", name, ": ", result.status().message()));
  }
  run.report = MakeReport(*result, 0);
  return run;
}

}  // namespace

absl::StatusOr<PowerReport> CompareScenario(const std::string& scenario_path,
                                            const std::vector<std::string>& profiles) {
  ASSIGN_OR_RETURN(const Scenario scenario, LoadScenario(scenario_path));
  ASSIGN_OR_RETURN(const std::unique_ptr<model::LoadedModel> model, LoadScenarioModel(scenario));
  std::vector<Run> runs;
  for (const std::string& name : profiles) {
    ASSIGN_OR_RETURN(Run run, RunOn(scenario, name, *model));
    runs.push_back(std::move(run));
  }
  if (runs.empty()) {
    return absl::InvalidArgumentError("no profiles to compare");
  }
  PowerReport report;
  report.command = "compare";
  report.title = "Chips side by side, same requests";
  report.lead = absl::StrCat("Scenario ", scenario.name, " run by the simulator on each profile: ",
                             "the same requests, arrivals and seed.");
  for (const Run& run : runs) {
    AddProfile(run.profile, &report);
  }
  report.facts.emplace_back("model", runs[0].report.model);
  report.facts.emplace_back("scenario", absl::StrCat(scenario_path, ", seed ", scenario.seed));
  report.figures = {{"compare", MakeFigure(scenario, runs)}};
  report.tables = {{"compare", MakeTable(runs)}, {"energy", MakeEnergyTable(runs)}};
  report.notes = {"All devices of the pool; a pool that is hardly loaded pays mostly for idling.",
                  "wall: device energy and the profile's constant power of host, network and rack. "
                  "provisioned: "
                  "TDP and the same constant. Neither is a measurement."};
  return report;
}

}  // namespace scoville::sim::power
