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

// How a workload's tokens are drawn; the fields mean what they mean on the wire.
struct WorkloadSampling {
  double temperature = 1.0;  // 0: greedy
  double top_p = 1.0;
  double min_p = 0.0;
  int64_t top_k = 0;  // 0: all
};

// The front of a prompt, in blocks that other prompts may share: a token is a function of (salt, id
// of its block, place in the block), so equal ids are equal tokens and a prefix cache can hit.
struct PromptBlocks {
  int64_t tokens = 0;  // of a block, the prompt's end may cut the last; 0: there are no blocks
  uint64_t salt = 0;   // of the trace
  std::vector<uint32_t> ids;
};

// The salt of a trace that is replayed with this seed.
uint64_t BlockSalt(uint64_t seed);

// One request of a workload, before it has tokens.
struct WorkloadRequest {
  TimePoint arrival;  // open loop
  int64_t prompt_tokens = 0;
  int64_t output_tokens = 0;  // generated, end tokens ignored
  uint64_t seed = 0;          // of its prompt and of its sampling

  // Closed loop: it arrives `think` after the request of this index has ended. -1: open loop.
  int64_t after = -1;
  Duration think;
  Duration cancel_after;  // after arrival; zero: never
  Duration deadline;      // after arrival; zero: none
  WorkloadSampling sampling;
  PromptBlocks blocks{};
};

enum class ArrivalKind : uint8_t { kPoisson, kFixed, kBurst, kGamma, kClosedLoop };

struct ArrivalOptions {
  ArrivalKind kind = ArrivalKind::kPoisson;
  double requests_per_second = 1.0;  // Poisson, fixed, gamma; a burst comes all at once
  double cv = 1.0;                   // gamma: coefficient of variation of the gaps; 1 is Poisson
  // Closed loop: so many users, each with one request at a time. User u makes the requests u,
  // u + users, u + 2 users, …, whatever the others do.
  int64_t users = 1;
  Duration think;  // closed loop: between an answer's end and the same user's next request
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

// In order of arrival; those of a closed loop in order of index.
absl::StatusOr<std::vector<WorkloadRequest>> GenerateWorkload(const WorkloadOptions& options);

// Divides every arrival by `speed` (> 0): 2 replays a trace at twice its rate.
void ChangeSpeed(double speed, std::vector<WorkloadRequest>* requests);

// Gives a share of the requests a moment within `within` of their arrival at which their client
// goes away; which and when is drawn from (seed, index).
void DrawCancels(uint64_t seed, double share, Duration within,
                 std::vector<WorkloadRequest>* requests);

// The tokens of a synthetic prompt: drawn by seed from [0, vocabulary).
std::vector<int32_t> SyntheticPrompt(uint64_t seed, int64_t tokens, int64_t vocabulary);

// A request's prompt: its blocks by their ids, what is beyond them as a synthetic prompt has it
// there.
std::vector<int32_t> PromptOf(const WorkloadRequest& request, int64_t vocabulary);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_WORKLOAD_H_
