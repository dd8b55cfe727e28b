#include "scheduler/planning/step_fitting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "tests/support/core_fixture.h"

namespace scoville::scheduler {
namespace {

// Sequences on the fixture's device, past their prompt or before it.
class StepFittingTest : public testing::Test {
 protected:
  void Start(const tests::CoreOptions& options) { core_ = std::make_unique<tests::Core>(options); }

  LiveRequest* Add(int64_t prompt, int64_t computed) {
    auto live = std::make_unique<LiveRequest>();
    live->record.id = RequestId{live_.size() + 1};
    live->record.prompt_tokens = prompt;
    live->tokens.assign(static_cast<size_t>(computed == prompt ? prompt + 1 : prompt), 7);
    live->record.output_tokens = computed == prompt ? 1 : 0;
    live->computed = computed;
    live->last_token = prompt + 1000;
    live->table = device::BlockTable(&device().kv());
    CHECK(live->table.Grow(live->known()));
    live_.push_back(std::move(live));
    return live_.back().get();
  }

  device::Device& device() { return *core_->devices[0]; }

  FittedStep Fit(SchedulerOptions options, int32_t first_decode = 0) {
    std::vector<LiveRequest*> running;
    for (const auto& live : live_) running.push_back(live.get());
    PlanLimits limits{options.max_step_tokens, device().kv().free_blocks(),
                      device().kv().block_size()};
    limits.first_decode = first_decode;
    return FitStep(&device(), running, limits, options, lengths_, core_->loop.Now());
  }

  Duration Expected(const StepPlan& plan) {
    device::StepShape shape;
    for (const PlannedRow& row : plan.rows) {
      shape.Add(device::WorkOf(live_[static_cast<size_t>(row.row)]->StepOf(row.count)),
                device().rules());
    }
    return device().power().SustainedStep(shape);
  }

  std::unique_ptr<tests::Core> core_;
  std::vector<std::unique_ptr<LiveRequest>> live_;
  OutputLengths lengths_{OutputLengthsOptions{}};
};

TEST_F(StepFittingTest, WithoutTargetsAndCapsTheStepIsThePlan) {
  Start({.kv_blocks = 4000});
  Add(40, 40);
  Add(2000, 0);
  const FittedStep step = Fit({.max_step_tokens = 512});
  EXPECT_EQ(step.plan.decodes, 1);
  EXPECT_EQ(step.plan.prompt_tokens, 511);
  EXPECT_EQ(step.offer.kind, device::StepOffer::Kind::kBegin);
}

TEST_F(StepFittingTest, PromptsAreCutToTheDecodesTargetByTheLargestNumberOfBlocks) {
  Start({.kv_blocks = 4000, .max_step_tokens = 8192});
  for (int i = 0; i < 8; ++i) Add(100, 100);
  Add(8000, 0);
  SchedulerOptions options;
  options.max_step_tokens = 8192;
  const FittedStep whole = Fit(options);
  EXPECT_EQ(whole.plan.prompt_tokens, 8000);
  options.itl_target = Expected(whole.plan) / 2;
  const FittedStep cut = Fit(options);
  EXPECT_EQ(cut.plan.decodes, 8);
  EXPECT_LE(Expected(cut.plan), options.itl_target);
  EXPECT_EQ(cut.plan.prompt_tokens % 16, 0);
  // As much as is in time, and not a block more.
  options.itl_target = Expected(cut.plan);
  EXPECT_EQ(Fit(options).plan.prompt_tokens, cut.plan.prompt_tokens);
  options.itl_target = Expected(cut.plan) - Nanoseconds(1);
  EXPECT_LT(Fit(options).plan.prompt_tokens, cut.plan.prompt_tokens);
}

TEST_F(StepFittingTest, LateDecodesDoNotStarvePrompts) {
  Start({.kv_blocks = 4000});
  Add(100, 100);
  Add(800, 0);
  SchedulerOptions options;
  options.itl_target = Nanoseconds(1);
  EXPECT_EQ(Fit(options).plan.prompt_tokens, 16);
}

// Decodes with a target, and a prompt that takes several steps at that target.
class LendingTest : public StepFittingTest {
 protected:
  void SetUp() override {
    Start({.kv_blocks = 4000, .max_step_tokens = 8192});
    for (int i = 0; i < 8; ++i) {
      decodes_.push_back(Add(100, 100));
    }
    prompt_ = Add(8000, 0);
    options_.max_step_tokens = 8192;
    whole_ = Expected(Fit(options_).plan);
    options_.itl_target = whole_ / 4;
    strict_ = Fit(options_).plan.prompt_tokens;
    ASSERT_LT(strict_, 3000);
  }

  // The decodes stand `tokens` targets ahead, and nothing says that they will go on.
  void Ahead(int64_t tokens) {
    for (LiveRequest* live : decodes_) {
      live->record.output_tokens = tokens;
      live->last_token = live->record.prompt_tokens + tokens + 1;
    }
  }

  SchedulerOptions options_;
  std::vector<LiveRequest*> decodes_;
  LiveRequest* prompt_ = nullptr;
  Duration whole_;
  int64_t strict_ = 0;
};

TEST_F(LendingTest, NothingIsLentWherePromptsAreInTimeOrNobodyAsks) {
  Ahead(100);
  EXPECT_EQ(Fit(options_).plan.prompt_tokens, strict_) << "no target of a first token";
  options_.ttft_target = whole_ * 100;
  EXPECT_EQ(Fit(options_).plan.prompt_tokens, strict_) << "there is time enough";
  options_.ttft_target = whole_ * 9 / 10;  // four steps at the target take longer
  options_.lend_slack = false;
  EXPECT_EQ(Fit(options_).plan.prompt_tokens, strict_) << "every gap is to be held";
}

TEST_F(LendingTest, DecodesLendWhatTheyAreAheadAndNotMore) {
  options_.ttft_target = whole_ * 9 / 10;  // four steps at the target take longer
  Ahead(100);
  EXPECT_EQ(Fit(options_).plan.prompt_tokens, 8000);
  // Two targets ahead: a step that long, and none of those that take longer.
  Ahead(2);
  const FittedStep two = Fit(options_);
  EXPECT_GT(two.plan.prompt_tokens, strict_);
  EXPECT_LT(two.plan.prompt_tokens, 8000);
  EXPECT_LE(Expected(two.plan), options_.itl_target * 2 + options_.itl_target / 2);
  // One that has no time to lend binds all.
  decodes_[3]->record.output_tokens = 1;
  decodes_[3]->record.first_token = TimePoint();
  decodes_[3]->last_token = decodes_[3]->record.prompt_tokens + 2;
  EXPECT_LT(Fit(options_).plan.prompt_tokens, two.plan.prompt_tokens);
}

TEST_F(LendingTest, DecodesLendHalfOfWhatTheyAreExpectedToMakeGood) {
  options_.ttft_target = whole_ * 9 / 10;  // four steps at the target take longer
  Ahead(1);
  const int64_t without = Fit(options_).plan.prompt_tokens;
  for (int i = 0; i < 2000; ++i) {
    lengths_.Record(static_cast<int32_t>(ServiceClass::kStandard), 400);
  }
  for (LiveRequest* live : decodes_) {
    live->last_token = live->record.prompt_tokens + 1000;
  }
  EXPECT_GT(Fit(options_).plan.prompt_tokens, without);
  EXPECT_EQ(Fit(options_).plan.prompt_tokens, 8000);
}

TEST_F(StepFittingTest, AStepThatNoCapAdmitsIsMadeSmallerUntilOneDoes) {
  device::PowerOptions power;
  power.cap_window = Milliseconds(4);
  power.cap = tests::Core({.power = power}).devices[0]->Status().min_cap + Watts(1);
  Start({.kv_blocks = 4000, .max_step_tokens = 8192, .power = power});
  Add(8000, 0);
  SchedulerOptions options;
  options.max_step_tokens = 8192;
  const FittedStep step = Fit(options);
  EXPECT_NE(step.offer.kind, device::StepOffer::Kind::kNever);
  EXPECT_LT(step.plan.prompt_tokens, 8000);
  EXPECT_GT(step.plan.prompt_tokens, 0);
}

TEST_F(StepFittingTest, WhereAStepHoldsNotAllDecodesTheyTakeTurns) {
  Start({.kv_blocks = 400});
  for (int i = 0; i < 10; ++i) Add(20, 20);
  std::vector<RowView> rows;
  for (const auto& live : live_) {
    rows.push_back({live->known(), live->computed, live->table.size(), false});
  }
  PlanLimits limits{512, 100, 16};
  limits.max_decodes = 4;
  std::multiset<int32_t> served;
  for (int step = 0; step < 5; ++step) {
    const StepPlan plan = PlanStep(rows, limits);
    EXPECT_EQ(plan.decodes, 4);
    for (const PlannedRow& row : plan.rows) served.insert(row.row);
    limits.first_decode = plan.next_decode;
  }
  for (int32_t row = 0; row < 10; ++row) EXPECT_EQ(served.count(row), 2u) << row;
}

}  // namespace
}  // namespace scoville::scheduler
