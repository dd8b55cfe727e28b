// Cancels the calls it was given to, from another thread.
//
// Ownership: the caller's; must outlive every call it was given to. Threading: any thread. Errors:
// none; a cancelled call ends with CANCELLED, one started after Cancel() at once.
#ifndef SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_
#define SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace grpc {
class ClientContext;
}

namespace scoville::client {

class CallCanceller {
 public:
  void Cancel();
  bool cancelled() const;

 private:
  friend class ActiveCall;
  void Add(grpc::ClientContext* context);
  void Remove(grpc::ClientContext* context);

  mutable absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<grpc::ClientContext*> active_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_
