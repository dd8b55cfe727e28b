// How a request wants its tokens drawn. Limits are checked where the request enters (server/,
// sim/).
#ifndef SCOVILLE_MODEL_SAMPLING_PARAMS_H_
#define SCOVILLE_MODEL_SAMPLING_PARAMS_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace scoville::model {

struct SamplingParams {
  float temperature = 1.0f;         // [0, 2]; 0 is greedy
  float top_p = 1.0f;               // (0, 1]; 1 keeps all
  float min_p = 0.0f;               // [0, 1]; relative to the most likely token; 0 keeps all
  int32_t top_k = 0;                // 0 keeps all
  float repetition_penalty = 1.0f;  // (0, 2]; over prompt and output; 1 is off
  float presence_penalty = 0.0f;    // [-2, 2]; over the output
  float frequency_penalty = 0.0f;   // [-2, 2]; over the output
  uint64_t seed = 0;                // with the position, the only source of randomness
  std::vector<std::pair<int32_t, float>> logit_bias;  // (token, added to its logit)
  int32_t logprobs = -1;         // -1: none; 0: the token's own; n: also the n most likely, <= 20
  int32_t prompt_logprobs = -1;  // likewise for each prompt token after the first
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob =
      0.0f;  // natural, of the model's own distribution (before temperature, penalties and bias)
};

// One position's answer: the token, and what was asked for about its alternatives.
struct SampledToken {
  int32_t token = 0;
  float logprob = 0.0f;           // set if logprobs were asked for
  std::vector<TokenLogprob> top;  // most likely first; ties by lower id
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_SAMPLING_PARAMS_H_
