#include "device/executor/synthetic_executor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/random.h"

namespace scoville::device {

namespace {

// Separates these draws from the sampler's, which are keyed by the same seed.
constexpr uint64_t kSyntheticStream = 0x73796E7468;

bool Suppressed(absl::Span<const int32_t> suppressed, int32_t token) {
  return std::find(suppressed.begin(), suppressed.end(), token) != suppressed.end();
}

}  // namespace

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
    const uint64_t n = drawable_->size();
    uint64_t pick = RandomBelow(step.sampling->seed, kSyntheticStream, step.tokens.size(), n);
    for (uint64_t tries = 0; tries < n && Suppressed(step.suppressed, (*drawable_)[pick]);
         ++tries) {
      pick = (pick + 1) % n;
    }
    result.sampled = true;
    result.token.token = (*drawable_)[pick];
    result.token.logprob = uniform_logprob;
  }
  done(std::move(results));
}

}  // namespace scoville::device
