// Sections of a scenario file; private to scenario.cc.
//
// Threading: pure functions. Errors: InvalidArgument with file:line:column.
#ifndef SCOVILLE_SIM_SCENARIO_SECTIONS_H_
#define SCOVILLE_SIM_SCENARIO_SECTIONS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/yaml_reader.h"
#include "sim/scenario.h"

namespace scoville::sim {

// A time from 0 to 1e9 seconds: sums of a few stay far from the end of time.
absl::Status ReadDuration(const YamlMap& map, absl::string_view key, Duration* out);

// `scheduler`: limits, service levels and policies.
absl::Status ReadScheduler(const YamlMap& map, Scenario* scenario);

// `workload.tenants`.
absl::Status ReadTenants(const YamlMap& workload, Scenario* scenario);

// `events`. The pool and the written requests have been read.
absl::Status ReadEvents(const YamlMap& root, Scenario* scenario);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_SCENARIO_SECTIONS_H_
