// The calls of this server, each kind in a source of its own: completion_call.cc (Generate, Chat),
// unary_methods.cc (Tokenize, Detokenize, ListModels, GetPool, Explain), watch_call.cc (WatchPool),
// power_calls.cc (SetPowerBudget, GetPowerBudget, SetDevicePowerCap), device_calls.cc (DrainDevice,
// ReturnDevice, FenceDevice, InjectFault), model_calls.cc (LoadModel, UnloadModel,
// ScaleModel).
//
// Each function waits for `count` calls of each method on each queue; a call that arrives arms its
// successor. Queues alternate, so that the calls of one connection spread over all threads, whose
// writes then leave together.
//
// Ownership: calls own themselves. Threading: before the queues' threads start. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_CALLS_H_
#define SCOVILLE_SERVER_GRPC_CALLS_H_

#include "server/grpc/call_context.h"

namespace scoville::server {

struct Services;

void ArmCompletionCalls(Services* services, CallContext* shared, int count);
void ArmUnaryCalls(Services* services, CallContext* shared, int count);
void ArmWatchCalls(Services* services, CallContext* shared, int count);
void ArmPowerCalls(Services* services, CallContext* shared, int count);
void ArmModelCalls(Services* services, CallContext* shared, int count);
void ArmDeviceCalls(Services* services, CallContext* shared, int count);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_CALLS_H_
