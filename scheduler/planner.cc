#include "scheduler/planner.h"

#include <algorithm>

namespace scoville::scheduler {

namespace {

int64_t BlocksFor(int64_t tokens, int64_t block_size) {
  return (tokens + block_size - 1) / block_size;
}

// Frees blocks for `row` from the lowest ranks up. False if `row` itself had to go.
bool FreeBlocksFor(int32_t row, int64_t needed, absl::Span<const RowView> rows,
                   int64_t& free_blocks, std::vector<uint8_t>& gone, StepPlan& plan) {
  for (int32_t victim = static_cast<int32_t>(rows.size()) - 1; needed > free_blocks; --victim) {
    if (gone[victim]) {
      continue;
    }
    gone[victim] = 1;
    free_blocks += rows[victim].blocks_owned;
    plan.preempted.push_back(victim);
    if (victim == row) {
      return false;
    }
  }
  return true;
}

}  // namespace

StepPlan PlanStep(absl::Span<const RowView> rows, const PlanLimits& limits) {
  StepPlan plan;
  std::vector<uint8_t> gone(rows.size(), 0);
  int64_t free_blocks = limits.free_blocks;
  int64_t budget = limits.max_tokens;
  const int32_t n = static_cast<int32_t>(rows.size());
  for (int32_t k = 0; k < n && budget > 0; ++k) {
    const int32_t i = (limits.first_decode + k) % n;
    const RowView& row = rows[i];
    if (gone[i] || row.paused || !row.wants_one()) {
      continue;
    }
    if (plan.decodes == limits.max_decodes) {
      plan.next_decode = i;
      break;
    }
    const int64_t needed = BlocksFor(row.known, limits.block_size) - row.blocks_owned;
    if (needed > free_blocks && !FreeBlocksFor(i, needed, rows, free_blocks, gone, plan)) {
      continue;
    }
    free_blocks -= std::max<int64_t>(needed, 0);
    plan.rows.push_back({i, 1});
    ++plan.decodes;
    --budget;
  }
  budget = std::min(budget, limits.max_prompt_tokens);
  // A prompt's blocks were all taken when it was admitted to the device, so nothing can run out
  // here.
  for (int32_t i = 0; i < n && budget > 0; ++i) {
    const RowView& row = rows[i];
    if (gone[i] || row.paused || row.wants_one()) {
      continue;
    }
    const int64_t count = std::min(row.known - row.computed, budget);
    plan.rows.push_back({i, count});
    plan.prompt_tokens += count;
    budget -= count;
  }
  return plan;
}

}  // namespace scoville::scheduler
