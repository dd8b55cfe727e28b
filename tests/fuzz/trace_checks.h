// What holds of any trace that was read, whatever its format.
#ifndef SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_
#define SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "client/workload/workload.h"

namespace scoville::tests {

// `first`: the same text, read with a bound of one request.
inline void CheckTrace(const std::vector<client::WorkloadRequest>& trace,
                       const absl::StatusOr<std::vector<client::WorkloadRequest>>& first) {
  CHECK(!trace.empty());
  CHECK_EQ(trace.front().arrival, TimePoint());
  TimePoint last;
  for (const client::WorkloadRequest& request : trace) {
    CHECK_GE(request.arrival, last);
    CHECK_GE(request.prompt_tokens, 1);
    CHECK_GE(request.output_tokens, 1);
    last = request.arrival;
  }
  // A bound takes the front of the same requests.
  CHECK(first.ok());
  CHECK_EQ(first->size(), size_t{1});
  CHECK_EQ(first->front().seed, trace.front().seed);
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_
