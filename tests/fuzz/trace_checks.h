// What holds of any trace that was read, whatever its format.
#ifndef SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_
#define SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "client/workload/workload.h"

namespace scoville::tests {

// Longer prompts are not drawn: a trace may ask for many of 100 million tokens.
inline constexpr int64_t kLongestDrawn = 2000;

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
    const int64_t blocks = static_cast<int64_t>(request.blocks.ids.size());
    CHECK_GE(request.blocks.tokens, 0);
    CHECK(blocks == 0 || (blocks - 1) * request.blocks.tokens < request.prompt_tokens);
    if (request.prompt_tokens <= kLongestDrawn) {
      const std::vector<int32_t> prompt = client::PromptOf(request, 1000);
      CHECK_EQ(static_cast<int64_t>(prompt.size()), request.prompt_tokens);
    }
  }
  // A bound takes the front of the same requests.
  CHECK(first.ok());
  CHECK_EQ(first->size(), size_t{1});
  CHECK_EQ(first->front().seed, trace.front().seed);
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_FUZZ_TRACE_CHECKS_H_
