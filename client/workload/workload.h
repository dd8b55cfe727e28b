// Traffic as data: when requests come, how long they are, and what they are drawn with.
//
// Every draw is a function of (seed, stream, index), so one request's shape does not depend on how
// many others there are.
//
// Units: engine time, tokens. Ownership: plain values. Threading: pure functions. Errors:
// InvalidArgument for a distribution whose parameters make no sense.
#ifndef SCOVILLE_CLIENT_WORKLOAD_WORKLOAD_H_
#define SCOVILLE_CLIENT_WORKLOAD_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/units.h"

namespace scoville::client {

// One request of a workload, before it has tokens.
struct WorkloadRequest {
  TimePoint arrival;
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;
  uint64_t seed = 0;  // of its prompt and of its sampling
};

enum class ArrivalKind : uint8_t { kPoisson, kFixed, kBurst };

struct ArrivalOptions {
  ArrivalKind kind = ArrivalKind::kPoisson;
  double requests_per_second = 1.0;  // Poisson, fixed; a burst comes all at once
};

enum class LengthKind : uint8_t { kFixed, kUniform, kLogNormal };

struct LengthOptions {
  LengthKind kind = LengthKind::kFixed;
  int64_t value = 128;  // fixed
  int64_t low = 1;      // uniform, both ends included; also clamps the log-normal
  int64_t high = 4096;
  double median = 128;  // log-normal
  double sigma = 1.0;   // of the logarithm
};

struct WorkloadOptions {
  int64_t requests = 0;
  uint64_t seed = 0;
  ArrivalOptions arrivals;
  LengthOptions prompt;
  LengthOptions output;
};

// In order of arrival.
absl::StatusOr<std::vector<WorkloadRequest>> GenerateWorkload(const WorkloadOptions& options);

// The tokens of a synthetic prompt: drawn by seed from [0, vocabulary).
std::vector<int32_t> SyntheticPrompt(uint64_t seed, int64_t tokens, int64_t vocabulary);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_WORKLOAD_H_
