#include "client/library/connect_errno.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace scoville::client {
namespace {

// In a process of its own, as the test runner starts each: what is kept from happening happens
// once in a process.
TEST(ConnectErrno, WhoQueuesForAMutexFindsErrnoAsItWas) {
  KeepConnectErrno();
  absl::Mutex mutex;
  std::vector<int> found(4, -1);
  std::vector<std::thread> threads;
  mutex.Lock();
  for (int& its : found) {
    threads.emplace_back([&mutex, &its] {
      errno = 0;
      const absl::MutexLock lock(&mutex);
      its = errno;
    });
  }
  // Long enough for all to give up spinning and queue.
  absl::SleepFor(absl::Milliseconds(100));
  mutex.Unlock();
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const int its : found) {
    EXPECT_NE(its, ENOENT);
  }
}

}  // namespace
}  // namespace scoville::client
