// Reads the pool on the engine thread, and writes it as the wire has it.
//
// Ownership: snapshots are plain values. Threading: QueryPool from a queue's thread, the rest
// anywhere. Errors: QueryPool returns false once the engine has stopped; `done` is then dropped.
#ifndef SCOVILLE_SERVER_GRPC_POOL_STATE_H_
#define SCOVILLE_SERVER_GRPC_POOL_STATE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "scheduler/scheduler.h"
#include "server/grpc/call_context.h"

namespace scoville::v1 {
class Device;
class LiveRequest;
class PoolState;
}  // namespace scoville::v1

namespace scoville::server {

// Of one deployment.
struct DeploymentView {
  DeploymentFacts facts;
  scheduler::PoolStatus status;
  std::vector<std::pair<int64_t, int64_t>> device_tokens;  // input, output; may be empty
  std::vector<scheduler::RequestStatus> requests;
};

struct PoolSnapshot {
  std::vector<DeploymentView> deployments;  // by number
  TimePoint now;
};

inline constexpr int64_t kMaxListedRequests = 1000;

// On the engine thread. Precondition: deployment.open(). At most `requests` are listed.
DeploymentView ViewOf(const Deployment& deployment, int64_t requests);

// Calls `done` on `thread`.
bool QueryPool(CallContext* shared, QueueThread* thread, bool include_requests,
               absl::AnyInvocable<void(PoolSnapshot)> done);

void FillPoolState(const PoolSnapshot& snapshot, CallContext* shared, v1::PoolState* out);
// Its i-th device.
void FillDevice(const DeploymentView& view, size_t i, v1::Device* out);
void FillLiveRequest(const scheduler::RequestStatus& status, TimePoint now, absl::string_view model,
                     v1::LiveRequest* out);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_POOL_STATE_H_
