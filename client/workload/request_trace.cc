#include "client/workload/request_trace.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "client/workload/json_lines.h"

namespace scoville::client {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kSeedStream = 4;
constexpr int64_t kLargestBlock = 1 << 20;
constexpr double kLatestSecond = 9e9;  // year 2255, and what a TimePoint holds

// An arrival as both formats give it. Seconds since 1970 with fractions are kept apart from the
// first line's, since their nanoseconds would not be exact in a double.
struct Arrival {
  bool seconds = false;
  int64_t ns = 0;
  double s = 0;
};

bool ReadArrival(const Json& object, Arrival* arrival) {
  const auto field = object.find("arrival_time");
  if (field == object.end()) {
    return ReadCount(object, "arrival_time_ns", 0, INT64_MAX, &arrival->ns);
  }
  if (!field->is_number()) {
    return false;
  }
  arrival->seconds = true;
  arrival->s = field->get<double>();
  return std::isfinite(arrival->s) && arrival->s >= 0 && arrival->s <= kLatestSecond;
}

int64_t NanosecondsBetween(const Arrival& from, const Arrival& to) {
  return to.seconds ? std::llround((to.s - from.s) * 1e9) : to.ns - from.ns;
}

// `block_size` and `input_hash_ids`, of whole blocks only; nothing if there are no ids.
absl::Status ReadBlocks(const Json& object, uint64_t seed, int64_t* ids_left,
                        WorkloadRequest* request) {
  if (object.find("input_hash_ids") == object.end()) {
    return absl::OkStatus();
  }
  int64_t size = 0;
  if (!ReadCount(object, "block_size", 1, kLargestBlock, &size)) {
    return absl::InvalidArgumentError("input_hash_ids need block_size, a count from 1 to 1048576");
  }
  request->blocks = {size, BlockSalt(seed), {}};
  return ReadBlockIds(object, "input_hash_ids", request->prompt_tokens / size, ids_left,
                      &request->blocks.ids);
}

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> ParseRequestTrace(absl::string_view text,
                                                               absl::string_view file,
                                                               int64_t max_requests,
                                                               uint64_t seed) {
  std::vector<WorkloadRequest> out;
  Arrival origin;
  int64_t ids_left = kMostTraceBlocks;
  const auto row = [&](int64_t line, const Json& object) {
    Arrival arrival;
    if (!ReadArrival(object, &arrival)) {
      return AtLine(file, line,
                    "needs arrival_time_ns, a whole number from 0, or arrival_time, seconds from 0 "
                    "to 9e9");
    }
    WorkloadRequest request;
    if (!ReadCount(object, "input_toks", 1, kMostTraceTokens, &request.prompt_tokens)) {
      return AtLine(file, line, "input_toks must be a count from 1 to 100000000");
    }
    if (!ReadCount(object, "output_toks", 1, kMostTraceTokens, &request.output_tokens)) {
      return AtLine(file, line, "output_toks must be a count from 1 to 100000000");
    }
    if (const absl::Status blocks = ReadBlocks(object, seed, &ids_left, &request); !blocks.ok()) {
      return AtLine(file, line, blocks.message());
    }
    if (out.empty()) {
      origin = arrival;
    }
    if (arrival.seconds != origin.seconds) {
      return AtLine(file, line, "gives its arrival in another unit than the first line");
    }
    request.arrival = TimePoint(NanosecondsBetween(origin, arrival));
    if (request.arrival < TimePoint() || (!out.empty() && request.arrival < out.back().arrival)) {
      return AtLine(file, line, "comes before the line above it");
    }
    request.seed = RandomBits(seed, kSeedStream, static_cast<uint64_t>(out.size()));
    out.push_back(std::move(request));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachObject(text, file, max_requests, row));
  return out;
}

}  // namespace scoville::client
