// Any bytes as a request trace: an error that names file and line, or requests in order of arrival
// with counts that make sense.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "client/workload/request_trace.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/trace_checks.h"

namespace scoville::tests {

namespace {

constexpr const char* kSeeds[] = {
    "{\"arrival_time_ns\": 46926808, \"input_toks\": 2361, \"output_toks\": 532}\n"
    "{\"arrival_time_ns\": 334029102, \"input_toks\": 1128, \"output_toks\": 772, \"ids\": [0, "
    "1]}\n",
    "{\"request_id\": \"a\", \"arrival_time\": 1777142838.338653, \"input_toks\": 1, "
    "\"output_toks\": 100000000}\r\n"
    "{\"output_toks\": 1, \"input_toks\": 100000000, \"arrival_time\": 1.8e9}",
    "{\"arrival_time_ns\": 1, \"input_toks\": 33, \"output_toks\": 2, \"block_size\": 16, "
    "\"input_hash_ids\": [7, 4294967295]}\n"
    "{\"arrival_time_ns\": 2, \"input_toks\": 5, \"output_toks\": 2, \"block_size\": 16, "
    "\"input_hash_ids\": []}\n",
    "{\"arrival_time_ns\": 9223372036854775807, \"input_toks\": 1, \"output_toks\": 1}\n",
};

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto trace = client::ParseRequestTrace(text, "trace", 0, 1);
  if (!trace.ok()) {
    CHECK(absl::StartsWith(trace.status().message(), "trace:"));
    return;
  }
  CheckTrace(*trace, client::ParseRequestTrace(text, "trace", 1, 1));
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (absl::string_view seed : kSeeds) {
    seeds.emplace_back(seed.begin(), seed.end());
  }
  return seeds;
}

}  // namespace scoville::tests
