// Whose requests a workload's are, and what was served to whom.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SIM_TENANTS_H_
#define SCOVILLE_SIM_TENANTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/units.h"
#include "client/workload/workload.h"
#include "scheduler/request.h"

namespace scoville::sim {

// Service levels; zero: not asked for.
struct SloTargets {
  Duration ttft;
  Duration itl;  // mean of the request's gaps
};

// A part of a workload.
struct TenantMix {
  std::string name;
  double share = 1;  // of the requests, in proportion to the others'
  scheduler::ServiceClass service_class = scheduler::ServiceClass::kStandard;
  SloTargets slo{};     // zero: the scenario's
  Duration deadline{};  // after arrival; zero: the workload's
};

// For each request the index of its tenant, drawn from (seed, index); where prompts have shared
// blocks from (seed, second block), so that a conversation stays with its tenant: the first block
// is often one for all.
std::vector<size_t> DrawTenants(uint64_t seed, absl::Span<const TenantMix> mix,
                                absl::Span<const client::WorkloadRequest> requests);

// What one tenant got.
struct TenantFigures {
  int64_t offered = 0;
  int64_t cancelled = 0;  // by its clients
  int64_t slo_met = 0;
  double attainment = 0;  // slo_met / (offered - cancelled)
};

// Jain's index over tenants of the service each got beside its max-min fair share, mean over
// windows of ten seconds weighted by what was served in them. Service: prompt tokens at the first
// token, twice the output tokens, evenly from the first to the last. Only windows in which two or
// more tenants want something and together more than was served; 1 if there is none. Demand: what
// admitted requests still lack; a refused one wants nothing. (Jain, Chiu, Hawe, "A Quantitative
// Measure of Fairness", DEC-TR-301; costs as VTC, arXiv 2401.00588.)
double JainIndex(absl::Span<const scheduler::RequestRecord> records,
                 const std::map<std::string, double>& weights);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_TENANTS_H_
