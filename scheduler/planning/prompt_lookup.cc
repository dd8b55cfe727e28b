#include "scheduler/planning/prompt_lookup.h"

#include <algorithm>

#include "base/stable_hash.h"

namespace scoville::scheduler {

namespace {

// After so many steps without guesses one is tried again.
constexpr int64_t kTryAgain = 32;

uint64_t KeyOf(absl::Span<const int32_t> group) {
  StableHasher hasher;
  for (int32_t token : group) {
    hasher.Add(static_cast<uint64_t>(token));
  }
  return hasher.hash().low;
}

}  // namespace

std::vector<int32_t> PromptLookup::Propose(absl::Span<const int32_t> tokens, int64_t most) {
  const int64_t known = static_cast<int64_t>(tokens.size());
  // Every group but the last, which has no successor yet.
  for (int64_t next = std::max(indexed_, kMatch); next < known; ++next) {
    const size_t first = static_cast<size_t>(next - kMatch);
    follows_[KeyOf(tokens.subspan(first, kMatch))] = static_cast<int32_t>(next);
  }
  indexed_ = std::max(indexed_, known);
  most = (most * accepted_ + 128) / 256;
  if (most == 0 && ++skipped_ >= kTryAgain) {
    skipped_ = 0;
    most = 1;
  }
  if (most <= 0 || known < kMatch) {
    return {};
  }
  const auto found = follows_.find(KeyOf(tokens.subspan(static_cast<size_t>(known - kMatch))));
  if (found == follows_.end()) {
    return {};
  }
  const absl::Span<const int32_t> guess =
      tokens.subspan(static_cast<size_t>(found->second), static_cast<size_t>(most));
  return std::vector<int32_t>(guess.begin(), guess.end());
}

void PromptLookup::Learn(int64_t proposed, int64_t accepted) {
  if (proposed > 0) {
    accepted_ = (accepted_ * 7 + accepted * 256 / proposed) / 8;
  }
}

}  // namespace scoville::scheduler
