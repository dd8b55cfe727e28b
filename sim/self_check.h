// Holds the simulator against queueing theory: devices that serve one request at a time are queues
// whose waits are known, exactly and on average.
//
// Exact, in integer nanoseconds: the start of every request follows from arrivals and service times
// by the recursion of Lindley (one server) or Kiefer and Wolfowitz (several). On average: the mean
// wait of M/D/1 and M/G/1 lies within 1 % of the Pollaczek-Khinchine formula. (Little's law is
// checked in every run, see conservation.h.)
//
// Threading: one thread. Errors: those of running a scenario; a check that fails is a line that
// says so.
#ifndef SCOVILLE_SIM_SELF_CHECK_H_
#define SCOVILLE_SIM_SELF_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace scoville::sim {

struct SelfCheckOptions {
  uint64_t seed = 1;          // the first of `seeds`
  int64_t seeds = 25;         // runs that the averages are taken over
  int64_t requests = 40'000;  // of one run
};

struct SelfCheckLine {
  std::string name;
  bool passed = false;
  std::string detail;  // both sides, the deviation
};

absl::StatusOr<std::vector<SelfCheckLine>> RunSelfCheck(const SelfCheckOptions& options);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_SELF_CHECK_H_
