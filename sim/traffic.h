// The shapes of a scenario's workload: from its trace, or drawn.
//
// Threading: reads a file. Errors: those of the trace, NotFound for a missing one.
#ifndef SCOVILLE_SIM_TRAFFIC_H_
#define SCOVILLE_SIM_TRAFFIC_H_

#include <vector>

#include "absl/status/statusor.h"
#include "client/workload/workload.h"
#include "sim/scenario.h"

namespace scoville::sim {

// With the clients that go away; deadlines and tenants are not set.
absl::StatusOr<std::vector<client::WorkloadRequest>> LoadWorkload(const Scenario& scenario);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_TRAFFIC_H_
