#include "sim/traffic.h"

#include <fstream>
#include <ios>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/workload/azure_trace.h"
#include "client/workload/mooncake_trace.h"
#include "client/workload/request_trace.h"

namespace scoville::sim {

namespace {

// The trace files in use are below 4 MB; a gigabyte would be a mistake.
constexpr std::streamoff kLargestTrace = std::streamoff{1} << 30;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  }
  if (in.tellg() > kLargestTrace) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is larger than 1 GiB"));
  }
  in.seekg(0);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

absl::StatusOr<std::vector<client::WorkloadRequest>> LoadWorkload(const Scenario& scenario) {
  std::vector<client::WorkloadRequest> workload;
  if (!scenario.azure_trace.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(scenario.azure_trace));
    ASSIGN_OR_RETURN(workload,
                     client::ParseAzureTrace(text, scenario.workload.requests, scenario.seed));
    client::ChangeSpeed(scenario.trace_speed, &workload);
  } else if (!scenario.request_trace.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(scenario.request_trace));
    ASSIGN_OR_RETURN(workload,
                     client::ParseRequestTrace(text, scenario.request_trace,
                                               scenario.workload.requests, scenario.seed));
    client::ChangeSpeed(scenario.trace_speed, &workload);
  } else if (!scenario.mooncake_trace.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(scenario.mooncake_trace));
    const client::MooncakeOptions mooncake = {scenario.workload.requests, scenario.seed,
                                              scenario.trace_spread};
    ASSIGN_OR_RETURN(workload, client::ParseMooncakeTrace(text, scenario.mooncake_trace, mooncake));
    client::ChangeSpeed(scenario.trace_speed, &workload);
  } else {
    ASSIGN_OR_RETURN(workload, client::GenerateWorkload(scenario.workload));
  }
  if (scenario.cancel_share > 0) {
    client::DrawCancels(scenario.seed, scenario.cancel_share, scenario.cancel_within, &workload);
  }
  return workload;
}

}  // namespace scoville::sim
