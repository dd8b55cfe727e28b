// A mutex and a condition variable that both thread checkers understand.
//
// The standard library's are seen by ThreadSanitizer but carry no annotations for clang's analysis;
// those of the distribution's Abseil carry them, but ThreadSanitizer does not see into that library
// and reports every correct use. These are the former with the annotations of the latter.
//
// Ownership: by value. Threading: any. Errors: none.
#ifndef SCOVILLE_SERVER_RUNTIME_MUTEX_H_
#define SCOVILLE_SERVER_RUNTIME_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "base/units.h"

namespace scoville::server {

class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// May wake without a reason: wait in a loop that looks at the condition.
class CondVar {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    variable_.wait(lock);
    lock.release();
  }
  void WaitFor(Mutex* mutex, Duration longest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    variable_.wait_for(lock, std::chrono::nanoseconds(longest.value()));
    lock.release();
  }
  void NotifyAll() { variable_.notify_all(); }

 private:
  std::condition_variable variable_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_RUNTIME_MUTEX_H_
