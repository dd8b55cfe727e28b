// Any bytes as an Azure trace: an error that names a line, or requests in order of arrival with
// counts that make sense.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "client/workload/azure_trace.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/trace_checks.h"

namespace scoville::tests {

namespace {

constexpr const char* kSeeds[] = {
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109\r\n"
    "2023-11-16 18:15:51.2225670,879,55",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-02-29 23:59:60,1,100000000\n"
    "2024-03-01 00:00:00.000000001,100000000,1\n"
    "\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n",
};

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto trace = client::ParseAzureTrace(text, 0, 1);
  if (!trace.ok()) {
    CHECK(absl::StrContains(trace.status().message(), "trace line "));
    return;
  }
  CheckTrace(*trace, client::ParseAzureTrace(text, 1, 1));
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (absl::string_view seed : kSeeds) {
    seeds.emplace_back(seed.begin(), seed.end());
  }
  return seeds;
}

}  // namespace scoville::tests
