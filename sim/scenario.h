// What a simulation runs: pool, model, limits and traffic, read from one YAML file (keys:
// README.md).
//
// Ownership: a value. Threading: none. Errors: InvalidArgument with file:line:column; NotFound for
// a missing file.
#ifndef SCOVILLE_SIM_SCENARIO_H_
#define SCOVILLE_SIM_SCENARIO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"
#include "client/workload/workload.h"
#include "device/device_pool.h"
#include "model/grammar/constraint.h"
#include "model/sampling_params.h"
#include "model/text/chat_template.h"
#include "scheduler/scheduler.h"
#include "sim/tenants.h"

namespace scoville::sim {

// A request written out in the scenario, for runs whose tokens matter. Its prompt is one of `chat`,
// `messages` and `text`.
struct WrittenRequest {
  std::string id;
  TimePoint at;
  std::string chat;                          // a user's message
  std::vector<model::ChatMessage> messages;  // a conversation
  std::string text;
  int64_t max_tokens = 128;
  int64_t min_tokens = 0;
  bool ignore_eos = false;
  std::vector<std::string> stop;
  model::SamplingParams sampling;
  model::ConstraintSpec constraint{};  // what the answer has to match
  Duration cancel_after;               // zero: never
  Duration deadline;                   // after arrival; zero: none
};

// Something that happens to the run from outside.
enum class EventKind : uint8_t {
  kCancel,       // the client of one request goes away
  kDrain,        // new requests are refused from now on
  kEndAll,       // the drain's deadline: what is left ends
  kPowerBudget,  // the pool's devices may draw so much together
  kScale,        // the pool has so many devices
  // Of one device.
  kKillDevice,    // dies silently
  kHangDevice,    // its step, or the next one, never ends
  kSlowDevice,    // its steps take `percent` / 100 of their time
  kLosePages,     // what is in `pages` is gone
  kFenceDevice,   // an operator gives it up
  kDrainDevice,   // it takes nothing new; with `migrate`, what runs moves on
  kReturnDevice,  // it works again
};

struct ScenarioEvent {
  TimePoint at;
  EventKind kind = EventKind::kCancel;
  std::string request{};             // of a cancel: the id of a written request
  scheduler::PowerRequest budget{};  // of a power budget
  uint32_t device = 0;
  int64_t percent = 100;
  std::vector<uint32_t> pages{};
  bool migrate = false;
  int64_t devices = 0;    // of a scale
  std::string node = {};  // of a scale: where new ones hang in the power budget
};

struct Scenario {
  std::string name;
  uint64_t seed = 0;
  std::string model;  // the path of a GGUF file; empty with no card either: the synthetic model
  std::string card;   // of a model that is only timed: a built-in name, or a config.json's path
  device::PoolOptions pool;
  scheduler::SchedulerOptions scheduler;
  client::WorkloadOptions workload;
  client::WorkloadSampling sampling;  // of the workload
  // Paths; one of them replaces the generated arrivals and lengths.
  std::string azure_trace;
  std::string request_trace;
  std::string mooncake_trace;
  bool trace_spread = false;  // Mooncake's: within the 3 s after each instant
  double trace_speed = 1;     // 2: twice the rate
  double cancel_share = 0;  // of the workload's requests, cancelled at a drawn moment of their life
  Duration cancel_within = Seconds(1);  // after arrival
  Duration deadline;                    // of the workload's requests, after arrival; zero: none
  // What clients ask for; the outputs end by themselves where they would anyway. Zero: exactly the
  // output's length, which the scheduler then knows beforehand.
  int64_t max_tokens = 0;
  std::vector<TenantMix> tenants;  // of the workload; empty: one, anonymous
  bool classes = true;             // false: the scheduler is not told of service classes
  std::vector<WrittenRequest> requests;
  std::vector<ScenarioEvent> events;
  SloTargets slo;
};

// What the command line says instead of the file.
struct ScenarioOverrides {
  std::string model;  // a GGUF file; empty: what the scenario says
  std::optional<uint64_t> seed;
  std::string card = std::string();  // of a model that is only timed; at most one of model and card
};

// Paths in a loaded file are relative to the file's folder.
absl::StatusOr<Scenario> LoadScenario(absl::string_view path,
                                      const ScenarioOverrides& overrides = {});
absl::StatusOr<Scenario> ParseScenario(absl::string_view text, absl::string_view file,
                                       const ScenarioOverrides& overrides = {});

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_SCENARIO_H_
