// Any bytes as a scenario: an error that says where, or a scenario within its limits whose traffic
// can be drawn.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "client/workload/workload.h"
#include "sim/scenario.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {

namespace {

constexpr const char* kSeeds[] = {
    "name: all\n"
    "seed: 12\n"
    "model: /models/m.gguf\n"
    "pool: {profile: p, devices: 3, chips_per_device: 2, cap_per_device: 450W, kv_blocks: 77,\n"
    "       kv_block_size: 32, executor: functional}\n"
    "scheduler: {max_queued_requests: 5, max_queued_tokens: 6000, max_running: 7,\n"
    "  max_queued_bytes: 3MiB, max_queued_time: 4s, promised_prefixes: false,\n"
    "  max_queued_by_class: [batch requests=1 time=2s],\n"
    "  max_queued_by_tenant: [requests=3 tokens=4, a bytes=5KiB]}\n"
    "requests:\n"
    "  - {id: a, at: 2ms, chat: hello, max_tokens: 11, stop: [\"END\"], temperature: 0.5,\n"
    "     top_p: 0.75, top_k: 8, seed: 99, logprobs: 4, cancel_after: 3us, deadline: 4s}\n"
    "  - {text: plain, ignore_eos: true}\n",
    "name: quick\n"
    "workload:\n"
    "  requests: 20\n"
    "  cancel_share: 0.25\n"
    "  arrivals: {kind: poisson, rate: 60}\n"
    "  prompt: {kind: lognormal, median: 400, sigma: 0.8, low: 16, high: 4000}\n"
    "  output: {kind: uniform, low: 1, high: 1000}\n"
    "slo: {ttft: 50ms, itl: 5ms}\n",
    "name: fixed\n"
    "scheduler: {max_step_tokens: 64}\n"
    "workload:\n"
    "  azure_trace: trace.csv\n"
    "  arrivals: {kind: burst}\n"
    "  output: {value: 3}\n",
};

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  auto scenario = sim::ParseScenario(text, "fuzz.yaml");
  if (!scenario.ok()) {
    CHECK(absl::StartsWith(scenario.status().message(), "fuzz.yaml"));
    return;
  }
  CHECK_GE(scenario->pool.devices, 1);
  CHECK_GE(scenario->pool.kv_block_size, 1);
  CHECK_GE(scenario->scheduler.max_running, 1);
  CHECK_EQ(scenario->scheduler.max_step_tokens, scenario->pool.max_step_tokens);
  CHECK(scenario->cancel_share >= 0 && scenario->cancel_share <= 1);
  for (const sim::WrittenRequest& request : scenario->requests) {
    CHECK_GE(request.max_tokens, 1);
    CHECK(request.chat.empty() || request.text.empty());
  }
  client::WorkloadOptions workload = scenario->workload;
  workload.requests = std::min<int64_t>(workload.requests, 30);
  const auto drawn = client::GenerateWorkload(workload);
  if (drawn.ok()) {
    CHECK_EQ(static_cast<int64_t>(drawn->size()), workload.requests);
    for (const client::WorkloadRequest& request : *drawn) {
      CHECK_GE(request.prompt_tokens, 1);
      CHECK_GE(request.output_tokens, 1);
    }
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
