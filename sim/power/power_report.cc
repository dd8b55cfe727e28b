#include "sim/power/power_report.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sim/charts/axis.h"
#include "sim/charts/drawing.h"
#include "sim/charts/page.h"

namespace scoville::sim::power {

namespace {

constexpr const char* kEmulated =
    "Emulated: every time, watt and joule follows from the numbers of the profile. None was "
    "measured on the chip.";
constexpr size_t kHashDigits = 12;

std::string Count(double value) { return charts::Fixed(value, 0); }

std::string Billions(int64_t parameters) {
  return absl::StrCat(charts::Rounded(static_cast<double>(parameters) * 1e-9), "B");
}

std::string ShortHash(const device::Profile& profile) {
  return profile.content_hash.ToString().substr(0, kHashDigits);
}

std::string Sources(const device::Profile& profile) {
  int64_t counts[4] = {0, 0, 0, 0};
  for (const device::NamedNumber& named : device::ProfileNumbers(profile)) {
    ++counts[static_cast<int>(named.number.status)];
  }
  return absl::StrCat(counts[0], " published, ", counts[1], " measured, ", counts[2], " derived, ",
                      counts[3],
                      " assumed numbers; weakest: ", device::NumberStatusName(profile.weakest));
}

std::string Precisions(const model::ModelCard& card) {
  bool experts = false;
  for (const model::LayerGroup& group : card.groups) {
    experts = experts || group.experts > 0;
  }
  std::string text = absl::StrCat("weights ", model::PrecisionName(card.weights));
  if (experts && card.expert_weights != card.weights) {
    absl::StrAppend(&text, " (experts ", model::PrecisionName(card.expert_weights), ")");
  }
  return absl::StrCat(text, ", activations ", model::PrecisionName(card.activations), ", KV ",
                      model::PrecisionName(card.kv));
}

absl::Status WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  return out ? absl::OkStatus()
             : absl::InternalError(absl::StrCat(path.string(), ": cannot be written"));
}

}  // namespace

std::string Subject(const Deployment& d) {
  return absl::StrCat(d.card.name, " on ", d.chips(), d.chips() == 1 ? " chip of " : " chips of ",
                      d.profile.name);
}

std::string Describe(const Load& load) {
  std::string text;
  if (load.batch > 0) {
    text = absl::StrCat(Count(static_cast<double>(load.batch)),
                        load.batch == 1 ? " sequence decoding, " : " sequences decoding, ",
                        Count(static_cast<double>(load.context)), " tokens of context each");
  }
  if (load.prefill > 0) {
    absl::StrAppend(&text, text.empty() ? "" : "; ",
                    Count(static_cast<double>(load.prefill_tokens())), " prompt tokens a step");
  }
  return text;
}

std::string EmulatedFrom(const device::Profile& profile) {
  return absl::StrCat(profile.what_if ? "What-if, not a forecast. " : "", "Emulated from profile ",
                      profile.name, " (", ShortHash(profile),
                      "), weakest number: ", device::NumberStatusName(profile.weakest));
}

void AddProfile(const device::Profile& profile, PowerReport* report) {
  if (report->banners.empty()) {
    report->banners.push_back(kEmulated);
  }
  if (profile.what_if) {
    report->banners.push_back(
        absl::StrCat("what-if, not a forecast: ", profile.name,
                     " is no chip that anyone has "
                     "announced; its numbers are multiples chosen to see what they would do."));
  }
  report->facts.emplace_back(
      "profile", absl::StrCat(profile.name, " (", ShortHash(profile), "): ", profile.description));
  report->facts.emplace_back("its numbers", Sources(profile));
}

void AddStudy(const Study& study, PowerReport* report) {
  const Deployment& d = study.deployment;
  AddProfile(d.profile, report);
  report->facts.emplace_back(
      "model", absl::StrCat(d.card.name, ": ", Billions(d.card.total_parameters()), " parameters, ",
                            Billions(d.card.active_parameters()), " active; ", Precisions(d.card)));
  report->facts.emplace_back(
      "device",
      absl::StrCat(d.chips(), d.chips() == 1 ? " chip" : " chips, tensor parallel",
                   d.timing.parallelism.expert_parallel ? ", experts spread" : "",
                   d.timing.parallelism.data_parallel_attention ? ", attention data parallel" : "",
                   "; room for ", Count(static_cast<double>(d.MostSequences(study.load.context))),
                   " sequences of ", Count(static_cast<double>(study.load.context)), " tokens"));
  if (!study.samples.empty()) {
    report->facts.emplace_back(
        "band", absl::StrCat("5th to 95th percentile over ", study.samples.size(),
                             " profiles drawn from the ranges of the numbers, seed ", study.seed));
  }
}

std::string ToText(const PowerReport& report) {
  std::string out = absl::StrCat(report.title, "\n", report.lead, "\n");
  for (const std::string& banner : report.banners) {
    absl::StrAppend(&out, banner, "\n");
  }
  for (const auto& [name, value] : report.facts) {
    absl::StrAppend(&out, name, ": ", value, "\n");
  }
  for (const NamedTable& named : report.tables) {
    absl::StrAppend(&out, "\n", charts::ToText(named.table));
  }
  for (const std::string& note : report.notes) {
    absl::StrAppend(&out, &note == &report.notes.front() ? "\n" : "", "- ", note, "\n");
  }
  return out;
}

std::string ToCsv(const PowerReport& report) {
  return report.tables.empty() ? "" : charts::ToCsv(report.tables[0].table);
}

std::string ToJson(const PowerReport& report) {
  nlohmann::ordered_json json;
  json["command"] = report.command;
  json["title"] = report.title;
  json["lead"] = report.lead;
  json["power_source"] = "emulated";
  json["banners"] = report.banners;
  nlohmann::ordered_json facts = nlohmann::ordered_json::array();
  for (const auto& [name, value] : report.facts) {
    facts.push_back({{"name", name}, {"value", value}});
  }
  json["facts"] = facts;
  for (const NamedTable& named : report.tables) {
    json["tables"][named.name] = nlohmann::ordered_json::parse(charts::ToJson(named.table));
  }
  json["notes"] = report.notes;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string ToHtml(const PowerReport& report) {
  charts::Page page;
  page.title = report.title;
  page.lead = report.lead;
  page.banners = report.banners;
  page.facts = report.facts;
  for (const NamedFigure& named : report.figures) {
    page.figures.push_back(named.figure);
  }
  for (const NamedTable& named : report.tables) {
    page.tables.push_back(named.table);
  }
  page.notes = report.notes;
  return charts::ToHtml(page);
}

absl::Status WriteReport(const PowerReport& report, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat(folder, ": the folder cannot be made: ", error.message()));
  }
  const std::filesystem::path path(folder);
  RETURN_IF_ERROR(WriteFile(path / "report.html", ToHtml(report)));
  for (const NamedFigure& named : report.figures) {
    ASSIGN_OR_RETURN(const std::string png, charts::ToPng(charts::Draw(named.figure)));
    RETURN_IF_ERROR(WriteFile(path / (named.name + ".png"), png));
  }
  return absl::OkStatus();
}

}  // namespace scoville::sim::power
