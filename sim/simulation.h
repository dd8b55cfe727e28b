// Runs a scenario in virtual time: the daemon's scheduler and devices on a clock that jumps from
// event to event.
//
// Ownership: borrows the model for the length of a run. Threading: one thread; the functional
// executor computes inline. Errors: what the scenario's parts refuse. A broken invariant (energy
// that does not add up, a block or a request that stays behind) is an Internal error that names it.
#ifndef SCOVILLE_SIM_SIMULATION_H_
#define SCOVILLE_SIM_SIMULATION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/stable_hash.h"
#include "device/records.h"
#include "model/loaded_model.h"
#include "sim/run_observer.h"
#include "sim/scenario.h"

namespace scoville::sim {

// The tokens of a written request, and what they say.
struct Answer {
  std::string id;
  std::vector<model::SampledToken> tokens;
  std::string text;
  scheduler::RequestRecord record;  // meaningful unless refused
  std::optional<scheduler::Refusal> refusal;
};

struct ProfileFacts {
  std::string name;
  std::string hash;
  std::string weakest;  // the weakest status of a number behind the figures
  int32_t chips = 1;
  Power overhead;  // of host, network and rack per device, always on; never in device power
};

struct SimulationResult {
  std::string name;
  uint64_t seed = 0;
  std::string model;
  ProfileFacts profile;
  SloTargets slo;
  int64_t offered = 0;
  // Of the workload's tenants, by name; slo_met and attainment are the report's.
  std::map<std::string, TenantFigures> tenants;
  std::map<std::string, double> weights;  // of tenants, if not 1
  // What each of records.requests was to meet, in the same order; those beyond: `slo`.
  std::vector<SloTargets> targets;
  RunObserver records;
  std::vector<device::DeviceStatus> devices;
  std::vector<int64_t> peak_kv_blocks;  // per device
  std::vector<Answer> answers;          // of written requests, in the scenario's order
  TimePoint end;                        // virtual time
  int64_t events = 0;
  // Live requests x ns, by the loop's clock: the sum of the requests' times in the system.
  __int128 request_ns = 0;
  Hash128 event_hash;
};

struct SimulationOptions {
  bool check_every_event = false;  // all invariants after every event: slow
};

// The scenario's model: its file, or the synthetic one.
absl::StatusOr<std::unique_ptr<model::LoadedModel>> LoadScenarioModel(const Scenario& scenario);

absl::StatusOr<SimulationResult> RunScenario(const Scenario& scenario,
                                             const model::LoadedModel& model,
                                             const SimulationOptions& options = {});

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_SIMULATION_H_
