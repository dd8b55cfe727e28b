// The counts, joules and times of a request as the wire has them.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_USAGE_H_
#define SCOVILLE_SERVER_GRPC_USAGE_H_

#include "base/units.h"
#include "scheduler/request.h"

namespace scoville::v1 {
class Energy;
class RequestEnergy;
class Timings;
class Usage;
}  // namespace scoville::v1

namespace scoville::server {

void FillEnergy(Energy energy, v1::Energy* out);
void FillUsage(const scheduler::RequestRecord& record, v1::Usage* out);
void FillRequestEnergy(const scheduler::RequestRecord& record, v1::RequestEnergy* out);
void FillTimings(const scheduler::RequestRecord& record, v1::Timings* out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_USAGE_H_
