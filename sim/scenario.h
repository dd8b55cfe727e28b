// What a simulation runs: pool, model, limits and traffic, read from one YAML file (keys:
// README.md).
//
// Ownership: a value. Threading: none. Errors: InvalidArgument with file:line:column.
#ifndef SCOVILLE_SIM_SCENARIO_H_
#define SCOVILLE_SIM_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "client/workload/workload.h"
#include "device/device_pool.h"
#include "model/sampling_params.h"
#include "scheduler/scheduler.h"

namespace scoville::sim {

// A request written out in the scenario, for runs whose tokens matter.
struct WrittenRequest {
  std::string id;
  TimePoint at;
  std::string chat;  // one of the two: a user's message, or plain text
  std::string text;
  int64_t max_tokens = 128;
  bool ignore_eos = false;
  std::vector<std::string> stop;
  model::SamplingParams sampling;
  Duration cancel_after;  // zero: never
  Duration deadline;      // after arrival; zero: none
};

// Service levels; zero: not asked for.
struct SloTargets {
  Duration ttft;
  Duration itl;  // mean of the request's gaps
};

struct Scenario {
  std::string name;
  uint64_t seed = 0;
  std::string model;  // empty: the synthetic model; else the path of a GGUF file
  device::PoolOptions pool;
  scheduler::SchedulerOptions scheduler;
  client::WorkloadOptions workload;
  std::string azure_trace;  // path; replaces the generated arrivals and lengths
  double cancel_share = 0;  // of the workload's requests, cancelled at a drawn moment of their life
  std::vector<WrittenRequest> requests;
  SloTargets slo;
};

absl::StatusOr<Scenario> LoadScenario(absl::string_view path);
absl::StatusOr<Scenario> ParseScenario(absl::string_view text, absl::string_view file);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_SCENARIO_H_
