#include "server/grpc/wall_clock.h"

#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/random.h"

namespace scoville::server {

WallTime WallTimeAfter(Duration wait) {
  return std::chrono::system_clock::now() + std::chrono::nanoseconds(wait.value());
}

Duration TimeLeft(WallTime deadline, Duration longest) {
  const WallTime now = std::chrono::system_clock::now();
  // The latest time of all means none, and must not overflow.
  if (deadline >= now + std::chrono::nanoseconds(longest.value())) {
    return longest;
  }
  return Duration(std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - now).count());
}

uint64_t ProcessEntropy() {
  return RandomBits(static_cast<uint64_t>(absl::GetCurrentTimeNanos()),
                    static_cast<uint64_t>(getpid()), 0);
}

bool WaitUntilZero(const std::atomic<int64_t>& count, Duration timeout) {
  const absl::Time end = absl::Now() + absl::Nanoseconds(timeout.value());
  while (count.load() != 0) {
    if (absl::Now() >= end) {
      return false;
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

}  // namespace scoville::server
