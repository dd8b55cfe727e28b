// Any bytes as a Mooncake trace: an error that names file and line, or requests in order of arrival
// with counts that make sense.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "client/workload/mooncake_trace.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/trace_checks.h"

namespace scoville::tests {

namespace {

constexpr const char* kSeeds[] = {
    "{\"timestamp\": 0, \"input_length\": 1025, \"output_length\": 500, \"hash_ids\": [0, 1, 2]}\n"
    "{\"timestamp\": 3000, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [0, 3]}\r\n",
    "{\"hash_ids\": [4294967295], \"timestamp\": 9000000000000, \"input_length\": 1, "
    "\"output_length\": 100000000}",
};

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto trace = client::ParseMooncakeTrace(text, "trace", {0, 1, false});
  const auto spread = client::ParseMooncakeTrace(text, "trace", {0, 1, true});
  CHECK_EQ(trace.ok(), spread.ok());
  if (!trace.ok()) {
    CHECK(absl::StartsWith(trace.status().message(), "trace:"));
    return;
  }
  CheckTrace(*trace, client::ParseMooncakeTrace(text, "trace", {1, 1, false}));
  CHECK_EQ(trace->size(), spread->size());
  for (size_t i = 1; i < spread->size(); ++i) {
    CHECK_GE((*spread)[i].arrival, (*spread)[i - 1].arrival);
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (absl::string_view seed : kSeeds) {
    seeds.emplace_back(seed.begin(), seed.end());
  }
  return seeds;
}

}  // namespace scoville::tests
