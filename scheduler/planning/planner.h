// What a device's next step computes: a pure function from a view of its rows to a plan.
//
// Decode rows come first, then prompts, each by rank, until the step's token budget is used. A
// decode row that needs a block takes it from the free ones. If there are none it waits a few steps
// where another row is sure to end by then; else it takes from rows of lower rank, which are
// preempted as a whole: those whose readers are behind first, then the cheapest to compute again,
// and none that the others make unnecessary.
// A row that finds nobody waits and keeps what it has. The highest-ranked row is never a victim,
// the highest-ranked of those that can be computed is never held, and rows that are pinned have
// their blocks kept for them, so some row always advances.
//
// Units: tokens and KV blocks. Ownership: values. Threading: pure. Errors: none.
#ifndef SCOVILLE_SCHEDULER_PLANNING_PLANNER_H_
#define SCOVILLE_SCHEDULER_PLANNING_PLANNER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace scoville::scheduler {

// Whose work is thrown away when blocks run out.
enum class VictimPolicy : uint8_t {
  kLeastCost,  // the least to compute again, among those that free enough
  // For comparison with other engines. Both may name the row that needs the blocks itself.
  kNewest,       // the lowest rank (as vLLM)
  kLeastOutput,  // the fewest output tokens, then the longest prompt; so many that the others have
                 // room for a few steps (as SGLang)
};

// One running sequence of the device, as planning sees it.
struct RowView {
  int64_t known = 0;     // prompt and output tokens
  int64_t computed = 0;  // of those, in the KV cache; < known
  int64_t blocks_owned = 0;
  int64_t blocks_exclusive = 0;  // of those, what nobody shares: freed if it goes
  int64_t left = INT64_MAX;      // tokens after which it certainly ends
  int64_t output = 0;            // output tokens so far
  int64_t drafts = 0;            // guesses that a decode row would like to check
  int64_t reserve = 0;           // pinned: blocks that it may still come to need
  int32_t held = 0;              // steps that it has been held already
  bool paused = false;           // its reader is behind: holds its blocks, computes nothing
  bool waits = false;            // likewise, but for a moment: it goes no sooner than others
  bool pinned = false;           // never a victim

  bool wants_one() const { return known - computed == 1; }
};

struct PlanLimits {
  int64_t max_tokens = 0;
  int64_t free_blocks = 0;  // with what is kept for pinned rows
  int64_t block_size = 16;
  // Smaller steps, where power or latency asks for them. Decodes beyond max_decodes wait for the
  // next step; first_decode is the row that decodes are taken from, then round, so that all have
  // their turn.
  int64_t max_prompt_tokens = INT64_MAX;
  int64_t max_decodes = INT64_MAX;
  int32_t first_decode = 0;
  int32_t max_held = 8;  // steps
  bool drafts = true;
  VictimPolicy victims = VictimPolicy::kLeastCost;
};

struct PlannedRow {
  int32_t row = 0;     // index into the view
  int64_t count = 0;   // tokens to compute
  int64_t drafts = 0;  // of those, guesses
};

struct StepPlan {
  std::vector<PlannedRow> rows;    // decodes first, each part in rank order
  std::vector<int32_t> preempted;  // indices into the view, in the order of preemption
  std::vector<int32_t> held;       // rows that wait for blocks
  int64_t decodes = 0;             // of `rows`, the first so many
  int64_t drafts = 0;              // guesses beside them
  int64_t prompt_tokens = 0;       // in the rest
  int32_t next_decode = 0;         // first decode row that max_decodes left out; else 0
};

// `rows` in rank order, highest first.
StepPlan PlanStep(absl::Span<const RowView> rows, const PlanLimits& limits);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_PLANNING_PLANNER_H_
