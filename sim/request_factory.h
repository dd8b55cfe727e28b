// Makes the scheduler's requests out of a scenario's: text becomes tokens as it does in the daemon,
// a workload's shapes become tokens by seed.
//
// Ownership: borrows the model. Threading: pure. Errors: a prompt without tokens, a model without a
// chat template, with the request's id.
#ifndef SCOVILLE_SIM_REQUEST_FACTORY_H_
#define SCOVILLE_SIM_REQUEST_FACTORY_H_

#include "absl/status/statusor.h"
#include "client/workload/workload.h"
#include "model/loaded_model.h"
#include "scheduler/request.h"
#include "sim/scenario.h"

namespace scoville::sim {

// Both without a sink; a deadline is set as seen from `arrival`.
absl::StatusOr<scheduler::Request> MakeRequest(const WrittenRequest& written,
                                               const model::LoadedModel& model);
scheduler::Request MakeRequest(const client::WorkloadRequest& shape, TimePoint arrival,
                               const model::LoadedModel& model);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_REQUEST_FACTORY_H_
