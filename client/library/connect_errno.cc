#include "client/library/connect_errno.h"

#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace scoville::client {
namespace {

// Two that wait for one mutex at once, so that the second queues behind the first.
bool QueueForAMutex() {
  absl::Mutex mutex;
  bool first_waits = false;
  bool done = false;
  std::thread first([&] {
    const absl::MutexLock lock(&mutex);
    first_waits = true;
    mutex.Await(absl::Condition(&done));
  });
  {
    const absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(&first_waits));
    // Nobody makes this true: what counts is to have stood in the queue.
    const bool never = false;
    mutex.AwaitWithTimeout(absl::Condition(&never), absl::Milliseconds(1));
    done = true;
  }
  first.join();
  return true;
}

}  // namespace

void KeepConnectErrno() {
  static const bool queued = QueueForAMutex();
  (void)queued;
}

}  // namespace scoville::client
