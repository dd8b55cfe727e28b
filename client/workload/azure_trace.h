// Reads the Azure LLM inference traces (2023): one line a request, arrival, prompt and output
// lengths.
//
// CSV with the header `TIMESTAMP,ContextTokens,GeneratedTokens`; timestamps `2023-11-16
// 18:17:03.9799600` with up to seven digits of a second, taken as UTC; CRLF or LF.
//
// Units: arrivals count from the first line. Ownership: values. Threading: pure.
// Errors: InvalidArgument with the line's number; lines out of order, negative or absurd counts are
// refused.
#ifndef SCOVILLE_CLIENT_WORKLOAD_AZURE_TRACE_H_
#define SCOVILLE_CLIENT_WORKLOAD_AZURE_TRACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/workload/workload.h"

namespace scoville::client {

// Takes at most `max_requests` lines (0: all); seeds are drawn from `seed`.
absl::StatusOr<std::vector<WorkloadRequest>> ParseAzureTrace(absl::string_view text,
                                                             int64_t max_requests, uint64_t seed);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_AZURE_TRACE_H_
