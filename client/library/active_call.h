// The context of one call, from its options to its status. For the library's own files.
//
// Ownership: on the stack of the call. Threading: the calling thread; the canceller reaches in from
// any. Errors: ToStatus keeps the daemon's details.
#ifndef SCOVILLE_CLIENT_LIBRARY_ACTIVE_CALL_H_
#define SCOVILLE_CLIENT_LIBRARY_ACTIVE_CALL_H_

#include <grpcpp/client_context.h>

#include "absl/status/status.h"
#include "client/library/client.h"

namespace scoville::client {

class ActiveCall {
 public:
  explicit ActiveCall(const CallOptions& options);
  ~ActiveCall();
  ActiveCall(const ActiveCall&) = delete;
  ActiveCall& operator=(const ActiveCall&) = delete;

  grpc::ClientContext& context() { return context_; }
  // After the call has ended.
  absl::Status ToStatus(const grpc::Status& status) const;

 private:
  grpc::ClientContext context_;
  CallCanceller* const canceller_;
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_ACTIVE_CALL_H_
