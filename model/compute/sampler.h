// From a row of logits to a token, by the request's parameters.
//
// Order: the mask of allowed tokens, logit bias, repetition, presence and frequency penalties,
// suppressed tokens, then greedy, or temperature, top-k, top-p, min-p and one uniform of (seed,
// position). Equal logits are ordered by token id, so a row's answer is a function of its
// arguments. Log probabilities are of the untouched row.
//
// Threading: pure functions; `logits` is the caller's scratch and is changed. Errors: none (a row
// of NaN is a CHECK).
#ifndef SCOVILLE_MODEL_COMPUTE_SAMPLER_H_
#define SCOVILLE_MODEL_COMPUTE_SAMPLER_H_

#include <cstdint>

#include "absl/types/span.h"
#include "model/sampling_params.h"

namespace scoville::model {

struct SampleContext {
  absl::Span<const int32_t> tokens;      // prompt and output so far
  int64_t prompt_tokens = 0;             // how many of them are the prompt
  absl::Span<const int32_t> suppressed;  // may not be drawn (end tokens while min_tokens is unmet)
  // One bit a token, bit i of word i / 32; a token beyond the last word is not allowed. Empty: all
  // are. Not empty: at least one bit of the row's tokens is set, and if none but suppressed tokens
  // is allowed, they are not suppressed (a finished JSON value has nothing left but its end).
  absl::Span<const uint32_t> allowed{};
};

// Draws the token at position tokens.size().
SampledToken Sample(absl::Span<float> logits, const SamplingParams& params,
                    const SampleContext& context);

// What the row says about a token that is already known (prompt_logprobs, teacher forcing): its log
// probability and the `top` most likely.
SampledToken Score(absl::Span<const float> logits, int32_t token, int32_t top);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_SAMPLER_H_
