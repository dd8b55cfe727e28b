#include "model/compute/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "model/compute/row_kernels.h"

namespace scoville::model {

namespace {

// The stream of RandomUniform that sampling draws from.
constexpr uint64_t kSamplingStream = 0x73616d706c65;

constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Candidate {
  int32_t token;
  float logit;
};

// More likely first; equal logits by token id.
bool Before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

int64_t Size(absl::Span<const float> s) { return static_cast<int64_t>(s.size()); }

// log(sum of exp) of the row.
float LogNormalizer(absl::Span<const float> logits) {
  const float largest = MaxValue(logits.data(), Size(logits));
  return largest + std::log(SumExp(logits.data(), Size(logits), largest, 1.0f));
}

// The `count` most likely tokens, most likely first: one pass with a heap of that size.
std::vector<Candidate> TopOf(absl::Span<const float> logits, int64_t count) {
  count = std::min(count, Size(logits));
  std::vector<Candidate> heap;  // its front is the least likely that is kept
  if (count <= 0) return heap;
  heap.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < Size(logits); ++i) {
    const Candidate c{static_cast<int32_t>(i), logits[static_cast<size_t>(i)]};
    if (static_cast<int64_t>(heap.size()) < count) {
      heap.push_back(c);
      std::push_heap(heap.begin(), heap.end(), Before);
    } else if (c.logit > heap.front().logit) {  // an equal one has the higher id
      std::pop_heap(heap.begin(), heap.end(), Before);
      heap.back() = c;
      std::push_heap(heap.begin(), heap.end(), Before);
    }
  }
  std::sort(heap.begin(), heap.end(), Before);
  return heap;
}

void ApplyPenalties(absl::Span<float> logits, const SamplingParams& params,
                    const SampleContext& context) {
  const bool repetition = params.repetition_penalty != 1.0f;
  const bool counts = params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f;
  if (!repetition && !counts) return;
  const auto prompt = static_cast<size_t>(context.prompt_tokens);
  std::vector<int32_t> seen(context.tokens.begin(), context.tokens.end());
  if (!repetition) {
    seen.erase(seen.begin(), seen.begin() + static_cast<int64_t>(std::min(prompt, seen.size())));
  }
  std::vector<int32_t> output(
      context.tokens.begin() + static_cast<int64_t>(std::min(prompt, context.tokens.size())),
      context.tokens.end());
  std::sort(seen.begin(), seen.end());
  std::sort(output.begin(), output.end());
  if (repetition) {
    for (size_t i = 0; i < seen.size(); ++i) {
      if (i > 0 && seen[i] == seen[i - 1]) continue;
      float& logit = logits[static_cast<size_t>(seen[i])];
      logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    }
  }
  for (size_t i = 0; i < output.size();) {
    size_t end = i;
    while (end < output.size() && output[end] == output[i]) ++end;
    logits[static_cast<size_t>(output[i])] -=
        params.presence_penalty + params.frequency_penalty * static_cast<float>(end - i);
    i = end;
  }
}

bool IsAllowed(absl::Span<const uint32_t> allowed, size_t token) {
  return token / 32 < allowed.size() && ((allowed[token / 32] >> (token % 32)) & 1) != 0;
}

void ApplyMask(absl::Span<float> logits, absl::Span<const uint32_t> allowed) {
  constexpr uint32_t kAll = ~uint32_t{0};
  for (size_t begin = 0; begin < logits.size(); begin += 32) {
    const uint32_t word = begin / 32 < allowed.size() ? allowed[begin / 32] : 0;
    if (word == kAll) continue;
    const size_t end = std::min(begin + 32, logits.size());
    for (size_t i = begin; i < end; ++i) {
      if (((word >> (i - begin)) & 1) == 0) logits[i] = kNever;
    }
  }
}

// Whether the mask allows a token of the row that is not suppressed.
bool LeavesOne(absl::Span<const float> logits, const SampleContext& context) {
  std::vector<int32_t> suppressed(context.suppressed.begin(), context.suppressed.end());
  std::sort(suppressed.begin(), suppressed.end());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (IsAllowed(context.allowed, i) &&
        !std::binary_search(suppressed.begin(), suppressed.end(), static_cast<int32_t>(i))) {
      return true;
    }
  }
  return false;
}

void Suppress(absl::Span<float> logits, const SampleContext& context) {
  if (context.suppressed.empty()) return;
  if (!context.allowed.empty() && !LeavesOne(logits, context)) return;
  for (const int32_t token : context.suppressed) {
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) {
      logits[static_cast<size_t>(token)] = kNever;
    }
  }
}

// The shortest run of most likely tokens whose probabilities reach `top_p` of the mass of all. The
// run is found by halving the candidates around a pivot, so the cost stays linear.
void KeepTopP(std::vector<Candidate>& kept, float temperature, float largest, float top_p) {
  const auto weight = [&](const Candidate& c) {
    return std::exp(static_cast<double>(c.logit - largest) / temperature);
  };
  const auto mass = [&](size_t from, size_t to) {
    double sum = 0.0;
    for (size_t i = from; i < to; ++i) sum += weight(kept[i]);
    return sum;
  };
  const double wanted = static_cast<double>(top_p) * mass(0, kept.size());
  // [0, low) is in the run with mass `before`; [high, ...) is not.
  size_t low = 0;
  size_t high = kept.size();
  double before = 0.0;
  while (high - low > 32) {
    const size_t middle = low + (high - low) / 2;
    std::nth_element(kept.begin() + static_cast<int64_t>(low),
                     kept.begin() + static_cast<int64_t>(middle),
                     kept.begin() + static_cast<int64_t>(high), Before);
    const double front = mass(low, middle);
    if (before + front >= wanted) {
      high = middle;
    } else {
      before += front;
      low = middle;
    }
  }
  std::sort(kept.begin() + static_cast<int64_t>(low), kept.begin() + static_cast<int64_t>(high),
            Before);
  while (low < high) {
    before += weight(kept[low++]);
    if (before >= wanted) break;
  }
  kept.resize(std::max<size_t>(low, 1));
}

int32_t DrawFrom(std::vector<Candidate>& kept, float temperature, float largest, double uniform) {
  // By id: what was kept, not the order in which it was found, decides.
  std::sort(kept.begin(), kept.end(),
            [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  std::vector<double> weights;
  weights.reserve(kept.size());
  double sum = 0.0;
  for (const Candidate& c : kept) {
    sum += std::exp(static_cast<double>(c.logit - largest) / temperature);
    weights.push_back(sum);
  }
  const auto it = std::upper_bound(weights.begin(), weights.end(), uniform * sum);
  const auto index = static_cast<size_t>(
      std::min<int64_t>(it - weights.begin(), static_cast<int64_t>(kept.size()) - 1));
  return kept[index].token;
}

// Nothing but the temperature: no candidate list, one pass of exponentials over the row.
int32_t DrawFromAll(absl::Span<float> logits, float temperature, float largest, double uniform) {
  const float scale = 1.0f / temperature;
  ExpRow(logits.data(), Size(logits), largest, scale, logits.data());
  double total = 0.0;
  for (const float w : logits) total += static_cast<double>(w);
  const double target = uniform * total;
  double sum = 0.0;
  int32_t last = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == 0.0f) continue;
    sum += static_cast<double>(logits[i]);
    last = static_cast<int32_t>(i);
    if (sum > target) break;
  }
  return last;
}

int32_t Draw(absl::Span<float> logits, const SamplingParams& params, float largest,
             double uniform) {
  const bool top_k = params.top_k > 0 && params.top_k < Size(logits);
  if (!top_k && params.top_p >= 1.0f && params.min_p <= 0.0f) {
    return DrawFromAll(logits, params.temperature, largest, uniform);
  }
  // min-p, and what is too unlikely to be drawn at all, as one threshold on the logits: relative to
  // the most likely token, which neither top-k nor top-p ever removes.
  const float relative = std::max(params.min_p, 1e-30f);
  const float threshold = largest + params.temperature * std::log(relative);
  std::vector<Candidate> kept;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] >= threshold) kept.push_back({static_cast<int32_t>(i), logits[i]});
  }
  if (top_k && static_cast<size_t>(params.top_k) < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + params.top_k - 1, kept.end(), Before);
    kept.resize(static_cast<size_t>(params.top_k));
  }
  if (params.top_p < 1.0f) KeepTopP(kept, params.temperature, largest, params.top_p);
  return DrawFrom(kept, params.temperature, largest, uniform);
}

}  // namespace

SampledToken Score(absl::Span<const float> logits, int32_t token, int32_t top) {
  CHECK_GE(token, 0);
  CHECK_LT(static_cast<size_t>(token), logits.size());
  const float normalizer = LogNormalizer(logits);
  SampledToken result;
  result.token = token;
  result.logprob = logits[static_cast<size_t>(token)] - normalizer;
  for (const Candidate& c : TopOf(logits, top)) {
    result.top.push_back({c.token, c.logit - normalizer});
  }
  return result;
}

SampledToken Sample(absl::Span<float> logits, const SamplingParams& params,
                    const SampleContext& context) {
  SampledToken result;
  float normalizer = 0.0f;
  std::vector<float> untouched_logit;
  std::vector<Candidate> top;
  const bool wants_logprobs = params.logprobs >= 0;
  const bool changes = !params.logit_bias.empty() || params.repetition_penalty != 1.0f ||
                       params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f ||
                       !context.suppressed.empty() || !context.allowed.empty() ||
                       params.temperature > 0.0f;
  if (wants_logprobs) {
    normalizer = LogNormalizer(logits);
    top = TopOf(logits, params.logprobs);
    if (changes) untouched_logit.assign(logits.begin(), logits.end());
  }
  if (!context.allowed.empty()) ApplyMask(logits, context.allowed);
  for (const auto& [token, bias] : params.logit_bias) {
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) {
      logits[static_cast<size_t>(token)] += bias;
    }
  }
  ApplyPenalties(logits, params, context);
  Suppress(logits, context);

  const int64_t best = ArgMax(logits.data(), Size(logits));
  CHECK_GE(best, int64_t{0});
  // A mask without a token of the row, or a row without a number where it has one.
  CHECK(context.allowed.empty() || IsAllowed(context.allowed, static_cast<size_t>(best)));
  result.token = static_cast<int32_t>(best);
  const float largest = logits[static_cast<size_t>(best)];
  if (params.temperature > 0.0f && largest != kNever) {
    const double uniform = RandomUniform(params.seed, kSamplingStream, context.tokens.size());
    result.token = Draw(logits, params, largest, uniform);
  }
  if (wants_logprobs) {
    const absl::Span<const float> row = changes ? absl::MakeConstSpan(untouched_logit) : logits;
    result.logprob = row[static_cast<size_t>(result.token)] - normalizer;
    for (const Candidate& c : top) result.top.push_back({c.token, c.logit - normalizer});
  }
  return result;
}

}  // namespace scoville::model
