// What every call of one server shares.
//
// Ownership: owned by the server, outlives its calls; borrows the rest. Threading: any
// thread. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_CALL_CONTEXT_H_
#define SCOVILLE_SERVER_GRPC_CALL_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "server/grpc/call_stats.h"
#include "server/grpc/grpc_server.h"
#include "server/grpc/queue_thread.h"
#include "server/grpc/wall_clock.h"
#include "server/runtime/mutex.h"

namespace scoville::server {

struct CallContext {
  GrpcServerOptions options;
  Engine* engine = nullptr;
  StreamHub* hub = nullptr;
  BackgroundWorkers* workers = nullptr;
  std::string version;  // of the daemon
  ModelAdmin models;
  std::vector<std::shared_ptr<QueueThread>> threads;

  CallStats stats;
  std::atomic<int64_t> open_streams{0};  // completions
  std::atomic<int64_t> live_calls{0};    // of any kind, from arrival to the last event
  std::atomic<bool> serving{false};
  std::atomic<bool> draining{false};
  std::atomic<uint64_t> generation{0};  // of pool states
  std::atomic<uint64_t> draws{0};
  uint64_t entropy = 0;  // of this process

  Mutex arming_mutex;
  bool arming ABSL_GUARDED_BY(arming_mutex) = true;

  // Arms the successor of a call that arrived, unless the server is going down: a queue that is
  // shut down must not be handed to gRPC again.
  void Rearm(absl::FunctionRef<void()> arm) ABSL_LOCKS_EXCLUDED(arming_mutex) {
    MutexLock lock(&arming_mutex);
    if (arming) {
      arm();
    }
  }
  void StopArming() ABSL_LOCKS_EXCLUDED(arming_mutex) {
    MutexLock lock(&arming_mutex);
    arming = false;
  }

  // A number no other call gets.
  uint64_t Draw();
  std::string FreshId();
  // When a call ends at the latest: its own deadline, or the longest duration a request may have.
  TimePoint DeadlineOf(WallTime deadline) const;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_CALL_CONTEXT_H_
