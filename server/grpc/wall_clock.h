// Real time, where gRPC asks for it: deadlines, alarms, waiting for the end.
//
// Units: Duration; wall time as gRPC has it. Threading: any. Errors: none.
#ifndef SCOVILLE_SERVER_GRPC_WALL_CLOCK_H_
#define SCOVILLE_SERVER_GRPC_WALL_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/units.h"

namespace scoville::server {

using WallTime = std::chrono::system_clock::time_point;

WallTime WallTimeAfter(Duration wait);
// What is left until `deadline`, at most `longest`; zero or less once it has passed.
Duration TimeLeft(WallTime deadline, Duration longest);

// A number that another start of the daemon is most unlikely to get: for ids, and for the seeds of
// requests that bring none.
uint64_t ProcessEntropy();

// False if `count` was not zero within `timeout`.
bool WaitUntilZero(const std::atomic<int64_t>& count, Duration timeout);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_WALL_CLOCK_H_
