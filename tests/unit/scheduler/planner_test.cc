#include "scheduler/planning/planner.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace scoville::scheduler {
namespace {

RowView Row(int64_t known, int64_t computed, int64_t blocks) {
  RowView row;
  row.known = known;
  row.computed = computed;
  row.blocks_owned = row.blocks_exclusive = blocks;
  return row;
}
RowView Decode(int64_t known, int64_t blocks) { return Row(known, known - 1, blocks); }
RowView Prompt(int64_t known, int64_t computed) { return Row(known, computed, (known + 15) / 16); }

TEST(PlannerTest, DecodesComeBeforePromptsAndShareTheBudget) {
  const std::vector<RowView> rows = {Prompt(100, 0), Decode(20, 2), Prompt(50, 10), Decode(33, 3)};
  const StepPlan plan = PlanStep(rows, {64, 10, 16});
  ASSERT_EQ(plan.rows.size(), 3u);
  EXPECT_EQ(plan.rows[0].row, 1);
  EXPECT_EQ(plan.rows[1].row, 3);
  EXPECT_EQ(plan.rows[2].row, 0);
  EXPECT_EQ(plan.rows[2].count, 62);
  EXPECT_TRUE(plan.preempted.empty());
}

TEST(PlannerTest, TheOldestTakesBlocksFromTheNewest) {
  // Row 0 enters a new block, none is free.
  const std::vector<RowView> rows = {Decode(17, 1), Decode(20, 2), Prompt(40, 0)};
  const StepPlan plan = PlanStep(rows, {512, 0, 16});
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{2}));
  ASSERT_EQ(plan.rows.size(), 2u);
  EXPECT_EQ(plan.rows[0].row, 0);
  EXPECT_EQ(plan.rows[1].row, 1);
}

TEST(PlannerTest, ARowThatFindsNobodyBelowWaitsAndKeepsWhatItHas) {
  const std::vector<RowView> rows = {Decode(20, 2), Decode(33, 2)};
  const StepPlan plan = PlanStep(rows, {512, 0, 16});
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].row, 0);
  EXPECT_EQ(plan.held, (std::vector<int32_t>{1}));
  EXPECT_TRUE(plan.preempted.empty());
}

TEST(PlannerTest, WhoseReaderIsBehindGoesFirstWhateverItsRank) {
  std::vector<RowView> rows = {Decode(20, 2), Decode(33, 2), Decode(5, 1)};
  rows[0].paused = true;
  const StepPlan plan = PlanStep(rows, {512, 0, 16});
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{0}));
  EXPECT_EQ(plan.rows.size(), 2u);
}

TEST(PlannerTest, TheCheapestThatFreesEnoughGoes) {
  // Row 0 needs one block. Row 1 has computed most, row 2 least, row 3 shares all it has.
  std::vector<RowView> rows = {Decode(17, 1), Decode(90, 6), Decode(20, 2), Decode(18, 2)};
  rows[3].blocks_exclusive = 0;
  EXPECT_EQ(PlanStep(rows, {512, 0, 16}).preempted, (std::vector<int32_t>{2}));
  rows[2].pinned = true;
  EXPECT_EQ(PlanStep(rows, {512, 0, 16}).preempted, (std::vector<int32_t>{1}));
  PlanLimits newest{512, 0, 16};
  newest.victims = VictimPolicy::kNewest;
  rows[2].pinned = false;
  EXPECT_EQ(PlanStep(rows, newest).preempted, (std::vector<int32_t>{2}));
}

TEST(PlannerTest, ARowIsHeldWhereAnotherEndsSoonButNotForEver) {
  std::vector<RowView> rows = {Decode(30, 2), Decode(33, 2), Decode(40, 3)};
  rows[0].left = 3;
  StepPlan plan = PlanStep(rows, {512, 0, 16});
  EXPECT_EQ(plan.held, (std::vector<int32_t>{1}));
  EXPECT_TRUE(plan.preempted.empty());
  rows[1].held = 8;
  plan = PlanStep(rows, {512, 0, 16});
  EXPECT_TRUE(plan.held.empty());
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{2}));
}

TEST(PlannerTest, WhatIsKeptForPinnedRowsIsTheirsAlone) {
  std::vector<RowView> rows = {Decode(17, 1), Decode(33, 2)};
  rows[1].pinned = true;
  rows[1].reserve = 2;
  const StepPlan plan = PlanStep(rows, {512, 2, 16});
  EXPECT_EQ(plan.held, (std::vector<int32_t>{0}));
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].row, 1);
}

TEST(PlannerTest, GuessesGoFirstWhereBlocksOrTokensAreShort) {
  std::vector<RowView> rows = {Decode(15, 1)};
  rows[0].drafts = 4;
  EXPECT_EQ(PlanStep(rows, {512, 1, 16}).rows[0].count, 5);
  EXPECT_EQ(PlanStep(rows, {512, 0, 16}).rows[0].count, 1);
  EXPECT_EQ(PlanStep(rows, {3, 1, 16}).rows[0].drafts, 2);
}

TEST(PlannerTest, PausedRowsKeepTheirPlaceButComputeNothing) {
  std::vector<RowView> rows = {Decode(20, 2), Decode(21, 2)};
  rows[0].paused = true;
  const StepPlan plan = PlanStep(rows, {512, 5, 16});
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].row, 1);
}

TEST(PlannerTest, ARowThatWaitsForAMomentComputesNothingAndGoesNoSooner) {
  std::vector<RowView> rows = {Decode(20, 2), Decode(33, 2), Decode(5, 1)};
  rows[0].waits = true;
  const StepPlan plan = PlanStep(rows, {512, 0, 16});
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{2}));
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].row, 1);
}

TEST(PlannerTest, BehindOneThatCannotBeComputedNoTwoWaitForEachOther) {
  // Rows 1 and 2 need a block each, and each of them is sure to end soon.
  std::vector<RowView> rows = {Decode(20, 2), Decode(33, 2), Decode(17, 1)};
  rows[0].blocks_exclusive = 0;
  rows[1].left = rows[2].left = 2;
  for (const bool paused : {false, true}) {
    rows[0].paused = paused;
    rows[0].waits = !paused;
    const StepPlan plan = PlanStep(rows, {512, 0, 16});
    EXPECT_EQ(plan.preempted, (std::vector<int32_t>{2}));
    ASSERT_EQ(plan.rows.size(), 1u);
    EXPECT_EQ(plan.rows[0].row, 1);
  }
}

// What any plan must satisfy, over random views.
TEST(PlannerTest, PlansAreFeasibleAndTheFirstRowAlwaysAdvances) {
  for (uint64_t seed = 1; seed <= 2'000; ++seed) {
    std::vector<RowView> rows;
    const int64_t n = 1 + static_cast<int64_t>(RandomBelow(seed, 0, 0, 12));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t known = 1 + static_cast<int64_t>(RandomBelow(seed, 1, i, 90));
      const bool decode = RandomBelow(seed, 2, i, 2) == 0;
      const int64_t computed =
          decode ? known - 1 : static_cast<int64_t>(RandomBelow(seed, 3, i, known));
      const int64_t owned = decode ? (computed + 15) / 16 : (known + 15) / 16;
      rows.push_back(Row(known, computed, owned));
      rows.back().paused = i > 0 && RandomBelow(seed, 4, i, 5) == 0;
    }
    const PlanLimits limits{1 + static_cast<int64_t>(RandomBelow(seed, 5, 0, 64)),
                            static_cast<int64_t>(RandomBelow(seed, 6, 0, 4)), 16};
    const StepPlan plan = PlanStep(rows, limits);
    std::vector<bool> gone(rows.size(), false);
    int64_t free_blocks = limits.free_blocks;
    for (int32_t victim : plan.preempted) {
      ASSERT_FALSE(gone[victim]);
      gone[victim] = true;
      free_blocks += rows[victim].blocks_owned;
    }
    int64_t tokens = 0;
    for (const PlannedRow& row : plan.rows) {
      ASSERT_FALSE(gone[row.row]);
      ASSERT_FALSE(rows[row.row].paused);
      ASSERT_GE(row.count, 1);
      ASSERT_LE(row.count, rows[row.row].known - rows[row.row].computed);
      tokens += row.count;
      const int64_t blocks = (rows[row.row].computed + row.count + 15) / 16;
      free_blocks -= std::max<int64_t>(0, blocks - rows[row.row].blocks_owned);
    }
    ASSERT_LE(tokens, limits.max_tokens) << "seed " << seed;
    ASSERT_GE(free_blocks, 0) << "seed " << seed;
    const bool first_fits_alone =
        n > 1 || rows[0].blocks_owned * 16 >= rows[0].computed + 1 || limits.free_blocks > 0;
    if (first_fits_alone && !gone[0] && rows[0].wants_one()) {
      ASSERT_FALSE(plan.rows.empty());
      ASSERT_EQ(plan.rows[0].row, 0) << "seed " << seed;
    }
    if (first_fits_alone && n > 1 && gone[0]) {
      // Only when everybody else together owns nothing.
      int64_t others = limits.free_blocks;
      for (size_t i = 1; i < rows.size(); ++i) others += rows[i].blocks_owned;
      ASSERT_EQ(others, 0) << "seed " << seed;
    }
  }
}

// Rows of one block each, none free: rank, output and prompt say who goes.
std::vector<RowView> FullRows(const std::vector<int64_t>& outputs) {
  std::vector<RowView> rows;
  for (const int64_t output : outputs) {
    RowView row;
    row.known = 33;
    row.computed = 32;
    row.blocks_owned = row.blocks_exclusive = 2;
    row.output = output;
    rows.push_back(row);
  }
  return rows;
}

TEST(PlannerTest, TheNewestRuleTakesTheNeedyRowItselfIfItIsTheNewest) {
  PlanLimits limits{512, 0, 16};
  limits.victims = VictimPolicy::kNewest;
  std::vector<RowView> rows = FullRows({5, 5});
  rows[0].known = 32;  // its last block has room
  rows[0].computed = 31;
  const StepPlan plan = PlanStep(rows, limits);
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{1}));
  EXPECT_TRUE(plan.held.empty());
  ASSERT_EQ(plan.rows.size(), 1u);
  EXPECT_EQ(plan.rows[0].row, 0);
}

TEST(PlannerTest, TheLeastOutputRuleFreesRoomForTheStepsToCome) {
  PlanLimits limits{512, 0, 16};
  limits.victims = VictimPolicy::kLeastOutput;
  // Three stay after one went: they want room for 60 tokens, four blocks; after two, 40: three.
  const std::vector<RowView> rows = FullRows({9, 3, 7, 5});
  const StepPlan plan = PlanStep(rows, limits);
  EXPECT_EQ(plan.preempted, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(plan.rows.size(), 2u);
}

}  // namespace
}  // namespace scoville::scheduler
