#include "device/executor/synthetic_executor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::device {

namespace {

// Separates these draws from the sampler's, which are keyed by the same seed.
constexpr uint64_t kSyntheticStream = 0x73796E7468;

bool Suppressed(absl::Span<const int32_t> suppressed, int32_t token) {
  return std::find(suppressed.begin(), suppressed.end(), token) != suppressed.end();
}

bool Allowed(absl::Span<const uint32_t> allowed, int32_t token) {
  const size_t word = static_cast<size_t>(token) / 32;
  return allowed.empty() || ((allowed[word] >> (token % 32)) & 1) != 0;
}

// Of a mask: any of its tokens by the draw, from there on in circles.
int32_t DrawAllowed(absl::Span<const uint32_t> allowed, absl::Span<const int32_t> suppressed,
                    uint64_t seed, uint64_t position) {
  const uint64_t words = allowed.size();
  const uint64_t first = RandomBelow(seed, kSyntheticStream, position, words * 32);
  int32_t any = -1;
  for (uint64_t i = 0; i < words * 32; ++i) {
    const int32_t token = static_cast<int32_t>((first + i) % (words * 32));
    if (!Allowed(allowed, token)) {
      continue;
    }
    any = any < 0 ? token : any;
    if (!Suppressed(suppressed, token)) {
      return token;
    }
  }
  CHECK_GE(any, 0);  // a mask always leaves a token
  return any;
}

}  // namespace

int32_t SyntheticExecutor::Draw(const SequenceStep& step, int64_t draw) const {
  const uint64_t position = static_cast<uint64_t>(step.known() + draw);
  const absl::Span<const uint32_t> allowed = step.AllowedAt(draw);
  if (!allowed.empty()) {
    return DrawAllowed(allowed, step.suppressed, step.sampling->seed, position);
  }
  const uint64_t n = drawable_->size();
  uint64_t pick = RandomBelow(step.sampling->seed, kSyntheticStream, position, n);
  for (uint64_t tries = 0; tries < n && Suppressed(step.suppressed, (*drawable_)[pick]); ++tries) {
    pick = (pick + 1) % n;
  }
  return (*drawable_)[pick];
}

int32_t SyntheticExecutor::TokenAt(const std::vector<int32_t>& drawable, uint64_t seed,
                                   int64_t position) {
  return drawable[RandomBelow(seed, kSyntheticStream, static_cast<uint64_t>(position),
                              drawable.size())];
}

void SyntheticExecutor::Execute(absl::Span<const SequenceStep> work, Done done) {
  std::vector<SequenceResult> results(work.size());
  const float uniform_logprob = -std::log(static_cast<float>(drawable_->size()));
  for (size_t i = 0; i < work.size(); ++i) {
    const SequenceStep& step = work[i];
    SequenceResult& result = results[i];
    for (int64_t p = std::max(step.cached + 1, step.score_from);
         p < std::min(step.cached + step.count + 1, step.prompt_tokens); ++p) {
      result.prompt_scores.push_back({step.tokens[p], uniform_logprob, {}});
    }
    if (!step.samples()) {
      continue;
    }
    bool agreed = true;
    for (int64_t draw = 0; draw <= step.drafts && agreed; ++draw) {
      const size_t position = static_cast<size_t>(step.known() + draw);
      result.tokens.push_back({Draw(step, draw), uniform_logprob, {}});
      agreed = draw < step.drafts && step.tokens[position] == result.tokens.back().token;
    }
  }
  done(std::move(results));
}

}  // namespace scoville::device
