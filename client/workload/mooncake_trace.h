// Reads the request traces of Mooncake (kvcache-ai/Mooncake, FAST '25, arXiv 2407.00079): JSON
// lines of arrival, lengths, and the prompt's blocks by id.
//
//   {"timestamp": 3000, "input_length": 2290, "output_length": 316, "hash_ids": [0, 42, 43, 44,
//   45]}
//
// An id stands for 512 tokens and for all that came before them: equal ids are equal prefixes, so
// the tokens of a block are drawn from its id (workload.h) and prompts share what they shared when
// they were recorded. The last block may be partial.
//
// Published times lie about 3 s apart, many requests at one instant. They are replayed so unless
// `spread`: then each request comes at a moment drawn from the 3 s after its instant, which is an
// assumption about what was recorded.
//
// Units: timestamps in milliseconds from the start of the trace; arrivals count from the first
// line's instant. Ownership: values. Threading: pure. Errors: InvalidArgument "file:line: what":
// lines out of order, counts that make no sense, ids that are not as many as the blocks.
#ifndef SCOVILLE_CLIENT_WORKLOAD_MOONCAKE_TRACE_H_
#define SCOVILLE_CLIENT_WORKLOAD_MOONCAKE_TRACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/workload/workload.h"

namespace scoville::client {

struct MooncakeOptions {
  int64_t max_requests = 0;  // lines taken; 0: all
  uint64_t seed = 0;         // of sampling, of the blocks' tokens and of spreading
  bool spread = false;
};

// In order of arrival. `file` stands in errors.
absl::StatusOr<std::vector<WorkloadRequest>> ParseMooncakeTrace(absl::string_view text,
                                                                absl::string_view file,
                                                                const MooncakeOptions& options);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_MOONCAKE_TRACE_H_
