// What waits, counted, and how much of it there may be: of all, of a class or of a tenant.
//
// Four counts, each exact at every instant:
//
//   requests  that wait
//   tokens    of their prompts, and of what they have said where they wait again
//   bytes     of the messages that clients sent (Request::bytes): what waiting makes the server
//             keep grows with them, whatever is made of them
//   time      predicted device time of their work: the prompt, nothing of it cached, and the output
//             that is expected of them. As a limit it bounds the predicted wait: this time shared
//             by the devices that take work. Counted only where some limit of time is set.
//
// Units: as named. Threading: values, pure functions. Errors: of the parser, InvalidArgument that
// quotes what was read.
#ifndef SCOVILLE_SCHEDULER_QUEUE_QUEUE_LIMITS_H_
#define SCOVILLE_SCHEDULER_QUEUE_QUEUE_LIMITS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::scheduler {

struct QueueLoad {
  int64_t requests = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;
  Duration time;

  QueueLoad& operator+=(const QueueLoad& other) {
    requests += other.requests;
    tokens += other.tokens;
    bytes += other.bytes;
    time += other.time;
    return *this;
  }
  QueueLoad& operator-=(const QueueLoad& other) {
    requests -= other.requests;
    tokens -= other.tokens;
    bytes -= other.bytes;
    time -= other.time;
    return *this;
  }
  friend bool operator==(const QueueLoad&, const QueueLoad&) = default;
};

// Zero: no limit.
struct QueueLimits {
  int64_t requests = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;
  Duration time;

  friend bool operator==(const QueueLimits&, const QueueLimits&) = default;
};

enum class QueueBound : uint8_t { kRequests, kTokens, kBytes, kTime };
const char* QueueBoundName(QueueBound bound);

// A limit that one more request would pass; kTime in nanoseconds.
struct QueueExcess {
  QueueBound bound = QueueBound::kRequests;
  int64_t waiting = 0;
  int64_t more = 0;
  int64_t limit = 0;
  int64_t to_leave = 0;  // of the requests that wait, until there is room, as they are on average
};

// The first limit, in the order above, that `more` beside `waiting` would pass. Where nothing
// waits, one request is taken whatever its size: it could never come in otherwise. `devices` share
// the time. Preconditions: more.requests > 0, devices > 0.
std::optional<QueueExcess> FindExcess(const QueueLoad& waiting, const QueueLoad& more,
                                      const QueueLimits& limits, int64_t devices);

// By name: "acme requests=100 tokens=2000000 bytes=64MiB time=30s", each limit optional but one. A
// text without a name stands under "". A name or a limit that comes twice is an error.
absl::StatusOr<std::map<std::string, QueueLimits>> ParseQueueLimits(
    absl::Span<const std::string> texts);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_QUEUE_LIMITS_H_
