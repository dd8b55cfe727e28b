// What yields a step's tokens. Time, KV, power and scheduling are the same for every executor.
//
// Ownership: one executor belongs to one device; spans and pointers in SequenceStep are the
// scheduler's and stay unchanged until `done` has run. Threading: Execute on the engine thread,
// `done` on the engine thread, within Execute or later. Errors: none; a step that a device cannot
// run is refused by the planner, not here.
#ifndef SCOVILLE_DEVICE_EXECUTOR_EXECUTOR_H_
#define SCOVILLE_DEVICE_EXECUTOR_EXECUTOR_H_

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "model/sampling_params.h"

namespace scoville::device {

// One sequence's share of a step: tokens[cached, cached + count) are computed.
struct SequenceStep {
  RequestId request;
  absl::Span<const int32_t> tokens;  // prompt and output so far
  int64_t prompt_tokens = 0;
  int64_t cached = 0;
  int64_t count = 0;
  // Of `count`, how many were computed before and lost (after a preemption): their energy is waste.
  int64_t recomputed = 0;
  absl::Span<const uint32_t> blocks;  // pages of the device, covering cached + count
  const model::SamplingParams* sampling = nullptr;
  absl::Span<const int32_t> suppressed;  // tokens that may not be drawn
  // First prompt index whose log probability is still owed (>= 1); prompt_tokens if none is.
  int64_t score_from = 0;

  // The last row draws the next token: nothing known is left to compute.
  bool samples() const { return cached + count == static_cast<int64_t>(tokens.size()); }
  // Past the prompt: one row that continues an output.
  bool decodes() const { return cached >= prompt_tokens && count == 1 && recomputed == 0; }
};

struct SequenceResult {
  int64_t computed = 0;    // the step's count
  int64_t recomputed = 0;  // the step's recomputed
  bool sampled = false;
  model::SampledToken token;  // if sampled
  std::vector<model::SampledToken>
      prompt_scores;  // for prompt indices score_from, score_from + 1, … of this chunk
};

class Executor {
 public:
  // Results in the order of the work.
  using Done = absl::AnyInvocable<void(std::vector<SequenceResult>)>;

  virtual ~Executor() = default;
  virtual void Execute(absl::Span<const SequenceStep> work, Done done) = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_EXECUTOR_EXECUTOR_H_
