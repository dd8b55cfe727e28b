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

#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "device/kv/block_table.h"
#include "model/sampling_params.h"

namespace scoville::device {

// One sequence's share of a step: tokens[cached, cached + count) are computed.
struct SequenceStep {
  RequestId request;
  absl::Span<const int32_t> tokens;  // prompt and output so far, then the drafts
  int64_t prompt_tokens = 0;
  int64_t cached = 0;
  int64_t count = 0;
  // Of `count`, how many were computed before and lost (after a preemption): their energy is waste.
  int64_t recomputed = 0;
  // Guessed tokens at the end of `tokens`, all computed in this step: each row from the last known
  // token on draws, and guesses count as long as the draws agree with them.
  int64_t drafts = 0;
  // If not empty: for each row that draws, the tokens that may be drawn, a bit a token.
  absl::Span<const absl::Span<const uint32_t>> allowed;
  absl::Span<const uint32_t> blocks;  // pages of the device, covering cached + count
  const model::SamplingParams* sampling = nullptr;
  absl::Span<const int32_t> suppressed;  // tokens that may not be drawn
  // First prompt index whose log probability is still owed (>= 1); prompt_tokens if none is.
  int64_t score_from = 0;

  // The last row draws the next token: nothing known is left to compute.
  bool samples() const { return cached + count == static_cast<int64_t>(tokens.size()); }
  // Prompt and output that are certain.
  int64_t known() const { return static_cast<int64_t>(tokens.size()) - drafts; }
  // Past the prompt: one row that continues an output, and its drafts.
  bool decodes() const { return cached >= prompt_tokens && count == 1 + drafts && recomputed == 0; }
  absl::Span<const uint32_t> AllowedAt(int64_t draw) const {
    return allowed.empty() ? absl::Span<const uint32_t>() : allowed[static_cast<size_t>(draw)];
  }
};

struct SequenceResult {
  int64_t computed = 0;    // tokens whose KV is there now: the step's count without the rejected
  int64_t recomputed = 0;  // the step's recomputed
  int64_t rejected = 0;    // drafts that were wrong
  // What was drawn, in order: none in a chunk amid a prompt; else one, and one more for each draft
  // that was right.
  absl::InlinedVector<model::SampledToken, 1> tokens;
  std::vector<model::SampledToken>
      prompt_scores;  // for prompt indices score_from, score_from + 1, … of this chunk
};

class Executor {
 public:
  // Results in the order of the work.
  using Done = absl::AnyInvocable<void(std::vector<SequenceResult>)>;

  virtual ~Executor() = default;
  virtual void Execute(absl::Span<const SequenceStep> work, Done done) = 0;

  // The bytes of a page to another, to and from host memory, at once: what is moved later could by
  // then have other owners. No page may be written by a step under way. For executors without bytes
  // there is nothing to do.
  virtual void CopyPage(const PageCopy& /*copy*/) {}
  virtual void CopyToHost(uint32_t /*page*/, uint32_t /*host_page*/) {}
  virtual void CopyFromHost(uint32_t /*host_page*/, uint32_t /*page*/) {}
  // From another device's executor of the same kind and model.
  virtual void CopyFromPeer(const Executor& /*peer*/, uint32_t /*peer_page*/, uint32_t /*page*/) {}
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_EXECUTOR_EXECUTOR_H_
