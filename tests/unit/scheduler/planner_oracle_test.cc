// The planner beside its oracle over many random views, and beside what must hold of any plan.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "scheduler/planning/planner.h"
#include "tests/reference/planner/reference_planner.h"

namespace scoville::scheduler {
namespace {

constexpr uint64_t kViews = 120'000;

class RandomView {
 public:
  explicit RandomView(uint64_t seed) : seed_(seed) {
    limits.block_size = Between(1, 16);
    limits.max_tokens = Between(1, 64);
    const bool short_of_blocks = On();
    const int64_t n = Between(1, 10);
    for (int64_t i = 0; i < n; ++i) {
      rows.push_back(DrawRow());
    }
    int64_t kept = 0;
    for (const RowView& row : rows) {
      kept += row.reserve;
    }
    // Admission sees to it that what is kept is there; a loss of pages may take it away.
    limits.free_blocks = Between(0, short_of_blocks ? 3 : 30) + (Between(0, 9) > 0 ? kept : 0);
    if (Between(0, 3) == 0) {
      limits.max_prompt_tokens = Between(0, 30);
    }
    if (Between(0, 3) == 0) {
      limits.max_decodes = Between(1, n);
      limits.first_decode = static_cast<int32_t>(Between(0, n - 1));
    }
    limits.max_held = static_cast<int32_t>(Between(0, 4));
    limits.drafts = On();
    limits.victims = VictimPolicy::kLeastCost;  // other engines' rules have tests of their own
  }

  std::vector<RowView> rows;
  PlanLimits limits;

 private:
  RowView DrawRow() {
    RowView row;
    row.known = Between(1, 100);
    row.computed = Between(0, 3) > 0 ? row.known - 1 : Between(0, row.known - 1);
    const int64_t all = (row.known + limits.block_size - 1) / limits.block_size;
    // A decode may lack its next block; a prompt has all of them.
    row.blocks_owned = row.wants_one() && On() ? (row.known - 1) / limits.block_size : all;
    row.blocks_exclusive = On() ? row.blocks_owned : Between(0, row.blocks_owned);
    row.left = Between(0, 3) == 0 ? Between(1, 4) : 1000;
    row.drafts = row.wants_one() && Between(0, 3) == 0 ? Between(1, 5) : 0;
    row.held = static_cast<int32_t>(Between(0, 4));
    row.paused = Between(0, 6) == 0;
    row.waits = Between(0, 6) == 0;
    row.pinned = Between(0, 6) == 0;
    // All that it may come to need is kept for a pinned row.
    const int64_t most = (row.known + row.drafts + limits.block_size - 1) / limits.block_size;
    row.reserve = row.pinned ? most - row.blocks_owned + Between(0, 4) : 0;
    return row;
  }

  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(
                     RandomBelow(seed_, 91, draws_++, static_cast<uint64_t>(high - low + 1)));
  }
  bool On() { return Between(0, 1) == 1; }

  const uint64_t seed_;
  uint64_t draws_ = 0;
};

void ExpectSame(const StepPlan& plan, const StepPlan& oracle) {
  ASSERT_EQ(plan.rows.size(), oracle.rows.size());
  for (size_t k = 0; k < plan.rows.size(); ++k) {
    EXPECT_EQ(plan.rows[k].row, oracle.rows[k].row);
    EXPECT_EQ(plan.rows[k].count, oracle.rows[k].count);
    EXPECT_EQ(plan.rows[k].drafts, oracle.rows[k].drafts);
  }
  EXPECT_EQ(plan.preempted, oracle.preempted);
  EXPECT_EQ(plan.held, oracle.held);
  EXPECT_EQ(plan.decodes, oracle.decodes);
  EXPECT_EQ(plan.drafts, oracle.drafts);
  EXPECT_EQ(plan.prompt_tokens, oracle.prompt_tokens);
  EXPECT_EQ(plan.next_decode, oracle.next_decode);
}

TEST(PlannerOracleTest, PlansAreThoseOfTheWordsAndBreakNoRule) {
  int64_t with_victims = 0;
  int64_t with_several = 0;
  int64_t with_held = 0;
  int64_t with_turns = 0;
  for (uint64_t seed = 1; seed <= kViews; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const RandomView view(seed);
    const StepPlan plan = PlanStep(view.rows, view.limits);
    ExpectSame(plan, tests::ReferencePlan(view.rows, view.limits));
    EXPECT_EQ(tests::FaultOf(view.rows, view.limits, plan), "");
    if (HasFailure()) {
      return;
    }
    with_victims += plan.preempted.empty() ? 0 : 1;
    with_several += plan.preempted.size() > 1 ? 1 : 0;
    with_held += plan.held.empty() ? 0 : 1;
    with_turns += plan.next_decode > 0 ? 1 : 0;
  }
  EXPECT_GT(with_victims, 10'000);
  EXPECT_GT(with_several, 1'000);
  EXPECT_GT(with_held, 5'000);
  EXPECT_GT(with_turns, 1'000);
}

// One row needs blocks and nobody else does: what the rule promises can be found by trying all.
TEST(PlannerOracleTest, OneNeedyRowGetsItsBlocksWhereverAnySetWillDoAndForTheLeastWork) {
  int64_t alone = 0;
  int64_t feasible = 0;
  int64_t infeasible = 0;
  for (uint64_t seed = 1; seed <= kViews / 4; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomView view(seed);
    view.limits.victims = VictimPolicy::kLeastCost;
    view.limits.max_held = 0;
    view.limits.max_decodes = INT64_MAX;
    view.limits.first_decode = 0;
    view.limits.max_tokens = 1000;
    const int32_t needy = static_cast<int32_t>(seed % view.rows.size());
    for (RowView& row : view.rows) {
      row.drafts = 0;
      row.paused = false;
      row.waits = false;
      row.blocks_owned = (row.known + view.limits.block_size - 1) / view.limits.block_size;
    }
    RowView& row = view.rows[static_cast<size_t>(needy)];
    row.known = view.limits.block_size * static_cast<int64_t>(seed % 5) + 1;
    row.computed = row.known - 1;
    row.blocks_owned = 0;  // it lacks up to five blocks, so that several may have to go
    row.blocks_exclusive = 0;
    row.pinned = false;
    row.reserve = 0;
    const StepPlan plan = PlanStep(view.rows, view.limits);
    const bool enough = tests::SomeSetIsEnough(view.rows, view.limits, needy);
    EXPECT_EQ(plan.held.empty(), enough);
    (enough ? feasible : infeasible) += 1;
    EXPECT_TRUE(enough || plan.preempted.empty());
    // None of those that went could have stayed.
    for (size_t spared = 0; spared < plan.preempted.size(); ++spared) {
      int64_t kept = 0;
      int64_t blocks = view.limits.free_blocks;
      for (const RowView& other : view.rows) {
        kept += other.reserve;
      }
      for (size_t i = 0; i < plan.preempted.size(); ++i) {
        blocks +=
            i == spared ? 0 : view.rows[static_cast<size_t>(plan.preempted[i])].blocks_exclusive;
      }
      EXPECT_LT(blocks - kept, static_cast<int64_t>(seed % 5) + 1) << "in vain";
    }
    if (plan.preempted.size() == 1) {
      EXPECT_EQ(view.rows[static_cast<size_t>(plan.preempted[0])].computed,
                tests::LeastSingleCost(view.rows, view.limits, needy));
      ++alone;
    } else if (plan.preempted.size() > 1) {
      EXPECT_EQ(tests::LeastSingleCost(view.rows, view.limits, needy), -1);
    }
    if (HasFailure()) {
      return;
    }
  }
  EXPECT_GT(alone, 1'000);
  EXPECT_GT(feasible, 5'000);
  EXPECT_GT(infeasible, 1'000);
}

}  // namespace
}  // namespace scoville::scheduler
