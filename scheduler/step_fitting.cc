#include "scheduler/step_fitting.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

class Fitting {
 public:
  Fitting(device::Device* device, absl::Span<LiveRequest* const> running,
          const SchedulerOptions& options, TimePoint now)
      : device_(device), running_(running), options_(options), now_(now) {
    rows_.reserve(running.size());
    for (const LiveRequest* live : running) {
      rows_.push_back({live->known(), live->computed, live->table.size(), live->paused});
    }
  }

  FittedStep Fit(PlanLimits limits) {
    FittedStep step;
    step.plan = PlanStep(rows_, limits);
    TrimPromptsToTarget(limits, &step.plan);
    while (!step.plan.rows.empty()) {
      step.offer = device_->Offer(ShapeOf(step.plan), LatencyLimit(step.plan));
      if (step.offer.kind != device::StepOffer::Kind::kNever) {
        break;
      }
      Shrink(step.plan, &limits);
      step.plan = PlanStep(rows_, limits);
    }
    return step;
  }

 private:
  device::SequenceWork WorkOf(const PlannedRow& row) const {
    return device::WorkOf(running_[static_cast<size_t>(row.row)]->StepOf(row.count));
  }

  device::StepShape ShapeOf(const StepPlan& plan) const {
    device::StepShape shape;
    for (const PlannedRow& row : plan.rows) {
      shape.Add(WorkOf(row), device_->rules());
    }
    return shape;
  }

  // The sums with the prompts cut to their first `budget` tokens.
  device::StepShape ShapeWithPrompts(const device::StepShape& decodes, const StepPlan& plan,
                                     int64_t budget) const {
    device::StepShape shape = decodes;
    for (size_t i = static_cast<size_t>(plan.decodes); i < plan.rows.size() && budget > 0; ++i) {
      PlannedRow row = plan.rows[i];
      row.count = std::min(row.count, budget);
      budget -= row.count;
      shape.Add(WorkOf(row), device_->rules());
    }
    return shape;
  }

  // The most prompt tokens, in blocks, that keep the decodes beside them in time: the expected time
  // grows with them, so the number is searched by halves. At least a block, or prompts would starve
  // behind decodes that are late by themselves.
  void TrimPromptsToTarget(PlanLimits& limits, StepPlan* plan) const {
    if (options_.itl_target == Duration() || plan->decodes == 0 || plan->prompt_tokens == 0) {
      return;
    }
    const auto in_time = [&](const device::StepShape& shape) {
      return device_->power().SustainedStep(shape) <= options_.itl_target;
    };
    if (in_time(ShapeOf(*plan))) {
      return;
    }
    device::StepShape decodes;
    for (int64_t i = 0; i < plan->decodes; ++i) {
      decodes.Add(WorkOf(plan->rows[static_cast<size_t>(i)]), device_->rules());
    }
    int64_t low = 1;  // blocks that are taken in any case
    int64_t high = (plan->prompt_tokens + limits.block_size - 1) / limits.block_size;
    while (low + 1 < high) {
      const int64_t middle = low + (high - low) / 2;
      (in_time(ShapeWithPrompts(decodes, *plan, middle * limits.block_size)) ? low : high) = middle;
    }
    limits.max_prompt_tokens = low * limits.block_size;
    *plan = PlanStep(rows_, limits);
  }

  // How long the step may take where joules are weighed: the decodes' target, and for each prompt
  // its share of the time that is left to its first token.
  Duration LatencyLimit(const StepPlan& plan) const {
    Duration limit = plan.decodes > 0 ? options_.itl_target : Duration();
    if (options_.ttft_target == Duration()) {
      return limit;
    }
    for (size_t i = static_cast<size_t>(plan.decodes); i < plan.rows.size(); ++i) {
      const LiveRequest& live = *running_[static_cast<size_t>(plan.rows[i].row)];
      if (live.record.output_tokens > 0) {
        continue;  // computed again after a preemption
      }
      const Duration left = options_.ttft_target - (now_ - live.record.arrival);
      const double share =
          static_cast<double>(plan.rows[i].count) / static_cast<double>(live.remaining());
      const Duration part =
          std::max(Nanoseconds(static_cast<int64_t>(static_cast<double>(left.value()) * share)),
                   Nanoseconds(1));
      limit = limit == Duration() ? part : std::min(limit, part);
    }
    return limit;
  }

  void Shrink(const StepPlan& plan, PlanLimits* limits) const {
    if (plan.prompt_tokens > 0) {
      const int64_t half = plan.prompt_tokens / 2;
      const int64_t blocks = half / limits->block_size * limits->block_size;
      limits->max_prompt_tokens = blocks > 0         ? blocks
                                  : plan.decodes > 0 ? 0
                                                     : std::max<int64_t>(half, 1);
      // A single token is the smallest step there is; the device's least cap is made for it.
      CHECK(plan.decodes > 0 || plan.prompt_tokens > 1);
      return;
    }
    CHECK_GT(plan.decodes, 1);
    limits->max_decodes = plan.decodes / 2;
  }

  device::Device* const device_;
  const absl::Span<LiveRequest* const> running_;
  const SchedulerOptions& options_;
  const TimePoint now_;
  std::vector<RowView> rows_;
};

}  // namespace

FittedStep FitStep(device::Device* device, absl::Span<LiveRequest* const> running,
                   PlanLimits limits, const SchedulerOptions& options, TimePoint now) {
  return Fitting(device, running, options, now).Fit(limits);
}

}  // namespace scoville::scheduler
