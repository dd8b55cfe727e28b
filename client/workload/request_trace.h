// Reads a request trace: one JSON object a line, arrival, prompt and output lengths.
//
//   {"arrival_time_ns": 46926808, "input_toks": 2361, "output_toks": 532}
//   {"arrival_time": 1777142838.338653, "input_toks": 2358, "output_toks": 531}
//
// The arrival is in ns, or in seconds as floating point; the first line says which. With
// `input_hash_ids` and `block_size` a prompt's whole blocks have ids, and equal ids are equal
// tokens (workload.h): the traces of LLMServingSim (casys-kaist/LLMServingSim, workloads/) have
// them. Other fields are ignored, so the logs of serving benchmarks that name the first three can
// be replayed as they are.
//
// Units: arrivals count from the first line. Ownership: values. Threading: pure.
// Errors: InvalidArgument "file:line: what"; lines out of order, negative or absurd counts are
// refused.
#ifndef SCOVILLE_CLIENT_WORKLOAD_REQUEST_TRACE_H_
#define SCOVILLE_CLIENT_WORKLOAD_REQUEST_TRACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/workload/workload.h"

namespace scoville::client {

// Takes at most `max_requests` lines (0: all); seeds are drawn from `seed`. `file` stands in
// errors.
absl::StatusOr<std::vector<WorkloadRequest>> ParseRequestTrace(absl::string_view text,
                                                               absl::string_view file,
                                                               int64_t max_requests, uint64_t seed);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_REQUEST_TRACE_H_
