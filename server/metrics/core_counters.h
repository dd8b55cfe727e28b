// Everything the core's records add up to, as plain integers.
//
// Units: tokens, nanoseconds, microjoules as named; energy exact. Ownership: owned by the
// MetricsObserver, copied whole for a scrape (about 10 KB). Threading: engine thread; a copy
// anywhere. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_CORE_COUNTERS_H_
#define SCOVILLE_SERVER_METRICS_CORE_COUNTERS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/units.h"
#include "scheduler/request.h"
#include "server/metrics/buckets.h"
#include "server/metrics/edge_histogram.h"

namespace scoville::server {

using scheduler::kOutcomes;
using scheduler::kRefusalReasons;
using scheduler::kServiceClasses;

struct TokenCounts {
  int64_t input = 0;       // prompt tokens computed for the first time
  int64_t output = 0;      // sampled
  int64_t recomputed = 0;  // computed again after a preemption
};

struct CoreCounters {
  explicit CoreCounters(size_t devices) : device_tokens(devices) {}

  TokenCounts tokens;
  int64_t cached_tokens = 0;  // prompt tokens a prefix cache gave, of ended requests
  std::vector<TokenCounts> device_tokens;
  int64_t admitted = 0;
  int64_t preempted = 0;
  int64_t migrated = 0;
  int64_t devices_lost = 0;
  int64_t draft_tokens = 0;  // guessed ahead and computed
  int64_t accepted_draft_tokens = 0;
  Energy lost_step_energy;  // of steps that were void, part of waste
  std::array<int64_t, kOutcomes> ended{};
  std::array<int64_t, kRefusalReasons> refused{};

  // By steps and by ended requests: two sums that must agree when nothing is running.
  Energy step_energy;  // prefill + decode + waste of all steps
  Energy request_energy;
  Energy attributed_prefill;  // of ended requests
  Energy attributed_decode;

  std::array<EdgeHistogram, kServiceClasses> first_token{EdgeHistogram(kFirstTokenEdges),
                                                         EdgeHistogram(kFirstTokenEdges),
                                                         EdgeHistogram(kFirstTokenEdges)};
  EdgeHistogram inter_token{kTokenEdges};
  EdgeHistogram time_per_output_token{kTokenEdges};  // mean of a request after its first
  EdgeHistogram duration{kPhaseEdges};               // arrival to end
  EdgeHistogram queue{kPhaseEdges};                  // arrival to first step
  EdgeHistogram prefill{kPhaseEdges};                // first step to first token
  EdgeHistogram decode{kPhaseEdges};                 // first to last token
  EdgeHistogram inference{kPhaseEdges};              // first step to last token
  EdgeHistogram prompt_tokens{kCountEdges};
  EdgeHistogram output_tokens{kCountEdges};
  EdgeHistogram request_microjoules{kRequestEnergyEdges};
  EdgeHistogram microjoules_per_output_token{kTokenEnergyEdges};
  EdgeHistogram step_duration{kStepEdges};
  EdgeHistogram step_tokens{kBatchEdges};
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_CORE_COUNTERS_H_
