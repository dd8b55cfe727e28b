// Cancels the calls it was given to, from another thread.
//
// Ownership: the caller's; must outlive every call it was given to. Threading: any thread. Errors:
// none; a cancelled call ends with CANCELLED, one started after Cancel() at once.
#ifndef SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_
#define SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_

#include <mutex>
#include <vector>

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

  // Not Abseil's: the thread sanitizer does not see into the distribution's build of that.
  mutable std::mutex mutex_;
  bool cancelled_ = false;                    // guarded by mutex_
  std::vector<grpc::ClientContext*> active_;  // guarded by mutex_
};

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_CALL_CANCELLER_H_
