// Guesses a sequence's next tokens from what it has said before: where its last tokens stood
// earlier, what followed them then is likely to follow again (prompt lookup).
//
// Answers that quote their prompt, code and tables gain; others lose nothing but the rows that are
// computed in vain, so the number of guesses follows how many were right lately.
//
// Units: tokens. Ownership: a value of the sequence; borrows its tokens for each call. Threading:
// engine thread only. Errors: none.
#ifndef SCOVILLE_SCHEDULER_PLANNING_PROMPT_LOOKUP_H_
#define SCOVILLE_SCHEDULER_PLANNING_PROMPT_LOOKUP_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

namespace scoville::scheduler {

class PromptLookup {
 public:
  // As many tokens as have to agree.
  static constexpr int64_t kMatch = 3;

  // At most `most` guesses of what follows `tokens`; none where nothing alike was said. `tokens`
  // only grows from call to call.
  std::vector<int32_t> Propose(absl::Span<const int32_t> tokens, int64_t most);
  // What became of the last ones.
  void Learn(int64_t proposed, int64_t accepted);
  // Of guesses lately, smoothed, in 1/256.
  int64_t accepted_share_256() const { return accepted_; }

 private:
  // Share of guesses that were right, in 1/256, smoothed.
  int64_t accepted_ = 192;
  int64_t skipped_ = 0;
  int64_t indexed_ = 0;  // tokens whose groups are in `follows_`
  // Where the group of tokens stood last: the index of what followed it. Only ever asked by key.
  absl::flat_hash_map<uint64_t, int32_t> follows_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_PLANNING_PROMPT_LOOKUP_H_
