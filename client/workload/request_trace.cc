#include "client/workload/request_trace.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::client {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kSeedStream = 4;
constexpr int64_t kMostTokens = 100'000'000;
constexpr size_t kLongestLine = size_t{16} << 20;
constexpr double kLatestSecond = 9e9;  // year 2255, and what a TimePoint holds

absl::Status AtLine(absl::string_view file, int64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", line, ": ", what));
}

// A whole number from `low` on; false if the field is missing, of another kind or beyond `high`.
bool ReadCount(const Json& object, const char* key, int64_t low, int64_t high, int64_t* out) {
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number_integer()) {
    return false;
  }
  if (field->is_number_unsigned() && field->get<uint64_t>() > static_cast<uint64_t>(high)) {
    return false;
  }
  *out = field->get<int64_t>();
  return *out >= low && *out <= high;
}

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

}  // namespace

absl::StatusOr<std::vector<WorkloadRequest>> ParseRequestTrace(absl::string_view text,
                                                               absl::string_view file,
                                                               int64_t max_requests,
                                                               uint64_t seed) {
  std::vector<WorkloadRequest> out;
  Arrival origin;
  int64_t line = 0;
  for (absl::string_view row : absl::StrSplit(text, '\n')) {
    ++line;
    row = absl::StripSuffix(row, "\r");
    if (row.empty()) {
      continue;
    }
    if (max_requests > 0 && static_cast<int64_t>(out.size()) == max_requests) {
      break;
    }
    if (row.size() > kLongestLine) {
      return AtLine(file, line, "is longer than 16 MiB");
    }
    const Json object = Json::parse(row.begin(), row.end(), nullptr, false);
    if (!object.is_object()) {
      return AtLine(file, line, "is not one JSON object");
    }
    Arrival arrival;
    if (!ReadArrival(object, &arrival)) {
      return AtLine(file, line,
                    "needs arrival_time_ns, a whole number from 0, or arrival_time, seconds from 0 "
                    "to 9e9");
    }
    WorkloadRequest request;
    if (!ReadCount(object, "input_toks", 1, kMostTokens, &request.prompt_tokens)) {
      return AtLine(file, line, "input_toks must be a count from 1 to 100000000");
    }
    if (!ReadCount(object, "output_toks", 1, kMostTokens, &request.output_tokens)) {
      return AtLine(file, line, "output_toks must be a count from 1 to 100000000");
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
    out.push_back(request);
  }
  if (out.empty()) {
    return AtLine(file, 1, "the trace has no requests");
  }
  return out;
}

}  // namespace scoville::client
