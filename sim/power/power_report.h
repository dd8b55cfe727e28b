// What a power sweep found: figures, tables and what a reader must know, for terminal, programs and
// page.
//
// Ownership: a value. Threading: pure but for WriteReport. Errors: Internal for a folder or file
// that cannot be written, with its path.
#ifndef SCOVILLE_SIM_POWER_POWER_REPORT_H_
#define SCOVILLE_SIM_POWER_POWER_REPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "sim/charts/figure.h"
#include "sim/charts/table.h"
#include "sim/power/deployment.h"

namespace scoville::sim::power {

struct NamedFigure {
  std::string name;  // of its PNG
  charts::Figure figure;
};

struct NamedTable {
  std::string name;  // key in JSON
  charts::Table table;
};

struct PowerReport {
  std::string command;  // "cap"
  std::string title;
  std::string lead;
  std::vector<std::string> banners;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<NamedFigure> figures;
  std::vector<NamedTable> tables;
  std::vector<std::string> notes;
};

// What was looked at: with sampled profiles where a band is wanted.
struct Study {
  Deployment deployment;
  Load load;
  std::vector<Deployment> samples;  // of the same model on as many chips
  uint64_t seed = 0;
};

// "llama-3.1-70b on 8 chips of jalapeno-gen1".
std::string Subject(const Deployment& deployment);
// "64 sequences, 2,048 tokens of context each".
std::string Describe(const Load& load);
// "Emulated from profile jalapeno-gen1 (b64a6adeee5c), weakest number: assumed".
std::string EmulatedFrom(const device::Profile& profile);
// Banner and facts of one profile; the same for the study's model.
void AddProfile(const device::Profile& profile, PowerReport* report);
void AddStudy(const Study& study, PowerReport* report);

std::string ToText(const PowerReport& report);
std::string ToCsv(const PowerReport& report);  // the first table
std::string ToJson(const PowerReport& report);
std::string ToHtml(const PowerReport& report);

// report.html and NAME.png of each figure, in `folder`, which is made if it is not there.
absl::Status WriteReport(const PowerReport& report, const std::string& folder);

}  // namespace scoville::sim::power

#endif  // SCOVILLE_SIM_POWER_POWER_REPORT_H_
