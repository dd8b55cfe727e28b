#include "client/workload/mooncake_trace.h"

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "client/workload/json_lines.h"

namespace scoville::client {

namespace {

constexpr uint64_t kSeedStream = 4;
constexpr uint64_t kSpreadStream = 0x737072656164;
constexpr int64_t kBlockTokens = 512;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kLatestMs = 9'000'000'000'000;  // 285 years: what a TimePoint holds
constexpr uint64_t kInstant = 3'000'000'000;      // ns between the instants of the published traces

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> ParseMooncakeTrace(absl::string_view text,
                                                                absl::string_view file,
                                                                const MooncakeOptions& options) {
  std::vector<WorkloadRequest> out;
  int64_t origin = 0;
  int64_t last = 0;
  int64_t ids_left = kMostTraceBlocks;
  const auto row = [&](int64_t line, const nlohmann::json& object) {
    WorkloadRequest request;
    int64_t ms = 0;
    if (!ReadCount(object, "timestamp", 0, kLatestMs, &ms)) {
      return AtLine(file, line, "timestamp must be whole milliseconds from 0 to 9e12");
    }
    if (!ReadCount(object, "input_length", 1, kMostTraceTokens, &request.prompt_tokens)) {
      return AtLine(file, line, "input_length must be a count from 1 to 100000000");
    }
    if (!ReadCount(object, "output_length", 1, kMostTraceTokens, &request.output_tokens)) {
      return AtLine(file, line, "output_length must be a count from 1 to 100000000");
    }
    const int64_t blocks = (request.prompt_tokens + kBlockTokens - 1) / kBlockTokens;
    request.blocks = {kBlockTokens, BlockSalt(options.seed), {}};
    if (const absl::Status ids =
            ReadBlockIds(object, "hash_ids", blocks, &ids_left, &request.blocks.ids);
        !ids.ok()) {
      return AtLine(file, line, ids.message());
    }
    if (out.empty()) {
      origin = ms;
    } else if (ms < last) {
      return AtLine(file, line, "comes before the line above it");
    }
    last = ms;
    request.arrival = TimePoint((ms - origin) * kNsPerMs);
    request.seed = RandomBits(options.seed, kSeedStream, static_cast<uint64_t>(out.size()));
    out.push_back(std::move(request));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachObject(text, file, options.max_requests, row));
  if (options.spread) {
    for (uint64_t i = 0; i < out.size(); ++i) {
      out[i].arrival +=
          Nanoseconds(static_cast<int64_t>(RandomBelow(options.seed, kSpreadStream, i, kInstant)));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.arrival < b.arrival; });
  }
  return out;
}

}  // namespace scoville::client
