// What a run is summed up in: a table for people, JSON with stable keys for programs. Both from one
// set of figures.
//
// TTFT = first token - arrival; TPOT = (last - first) / (tokens - 1); ITL = every gap; E2E = last -
// arrival; percentiles by nearest rank (ITL within 1.6 %). Tokens per joule is tokens/s/W; its
// bases are named in each key.
//
// Threading: pure. Errors: none.
#ifndef SCOVILLE_SIM_REPORT_H_
#define SCOVILLE_SIM_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/simulation.h"

namespace scoville::sim {

// Seconds.
struct Percentiles {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
  int64_t count = 0;
};

struct Report {
  std::string name;
  std::string model;
  ProfileFacts profile;
  uint64_t seed = 0;
  double virtual_seconds = 0;
  double host_seconds = 0;
  int64_t events = 0;
  std::string event_hash;

  int64_t devices = 0;
  int64_t offered = 0;
  std::map<std::string, int64_t> outcomes;  // how requests ended
  std::map<std::string, int64_t> refusals;
  int64_t completed = 0;
  SloTargets slo;
  int64_t slo_met = 0;
  bool has_slo = false;
  // slo_met / (offered - cancelled by clients): refused, failed and expired are misses.
  double slo_attainment = 0;
  std::map<std::string, TenantFigures> tenants;
  double jain_index = 1;        // over tenants (tenants.h)
  int64_t deadline_misses = 0;  // expired, and refused because they would
  // Prompt tokens that the prefix cache gave, of those that began to be computed.
  double prefix_hit_share = 0;
  double waste_share = 0;  // of the devices' energy: recomputed, lost and rejected work

  Percentiles ttft, tpot, itl, e2e, queue;

  int64_t input_tokens = 0;  // computed prompt tokens
  int64_t output_tokens = 0;
  int64_t recomputed_tokens = 0;
  double input_tokens_per_second = 0;
  double output_tokens_per_second = 0;
  double total_tokens_per_second = 0;
  double goodput = 0;  // requests/s that met every target

  double device_joules = 0;
  device::EnergyBuckets energy;
  device::EnergyTerms terms;
  double mean_watts = 0;  // of all devices
  double output_tokens_per_joule = 0;
  double total_tokens_per_joule = 0;
  double joules_per_output_token = 0;
  double joules_per_request = 0;
  // Host, network and rack at their constant power on top of the devices.
  double wall_joules = 0;
  double output_tokens_per_wall_joule = 0;

  int64_t steps = 0;
  int64_t throttled_steps = 0;
  int64_t preemptions = 0;
  double utilisation = 0;                // busy share of device time
  std::map<std::string, double> stalls;  // shares of busy time
  double peak_kv_share = 0;
  double emulation_lag_seconds = 0;
};

Report MakeReport(const SimulationResult& result, double host_seconds);

std::string ToText(const Report& report, bool colour);
std::string ToJson(const Report& report);
// One line of JSON per request that ended.
std::string RequestsToJsonLines(const SimulationResult& result);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_REPORT_H_
