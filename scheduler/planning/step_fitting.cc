#include "scheduler/planning/step_fitting.h"

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
      rows_.push_back(live->View(device->kv().block_size()));
    }
  }

  FittedStep Fit(PlanLimits limits) {
    FittedStep step;
    step.plan = PlanStep(rows_, limits);
    if (step.plan.drafts > 0 && !DraftsPay(step.plan)) {
      limits.drafts = false;
      step.plan = PlanStep(rows_, limits);
    }
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
  const LiveRequest& LiveOf(const PlannedRow& row) const {
    return *running_[static_cast<size_t>(row.row)];
  }

  device::SequenceWork WorkOf(const PlannedRow& row) const {
    const LiveRequest& live = LiveOf(row);
    device::SequenceWork work;
    const int64_t recomputed = std::clamp<int64_t>(live.high_water - live.computed, 0, row.count);
    const bool decodes = !live.prefills() && row.count == 1 + row.drafts && recomputed == 0;
    work.role = decodes ? device::StepRole::kDecode : device::StepRole::kPrefill;
    work.cached = live.computed;
    work.new_tokens = row.count;
    work.output_rows = live.computed + row.count == live.known() + row.drafts ? 1 + row.drafts : 0;
    work.recomputed = recomputed;
    return work;
  }

  // Whether the step takes less longer than the guesses are expected to add tokens.
  bool DraftsPay(const StepPlan& plan) const {
    device::StepShape with;
    device::StepShape without;
    int64_t expected_256 = 0;
    for (PlannedRow row : plan.rows) {
      with.Add(WorkOf(row), device_->rules());
      expected_256 += row.drafts * LiveOf(row).lookup.accepted_share_256();
      row.count -= row.drafts;
      row.drafts = 0;
      without.Add(WorkOf(row), device_->rules());
    }
    const int64_t more =
        (device_->power().SustainedStep(with) - device_->power().SustainedStep(without)).value();
    const __int128 gain = static_cast<__int128>(device_->power().SustainedStep(without).value()) *
                          expected_256 / (256 * std::max<int64_t>(1, plan.decodes));
    return more <= gain;
  }

  // The strictest target of the decodes in the plan; zero: none has one.
  Duration ItlTarget(const StepPlan& plan) const {
    Duration least;
    for (int64_t i = 0; i < plan.decodes; ++i) {
      const Request& request = LiveOf(plan.rows[static_cast<size_t>(i)]).request;
      const Duration own =
          request.itl_target > Duration() ? request.itl_target : options_.itl_target;
      least = own > Duration() && (least == Duration() || own < least) ? own : least;
    }
    return least;
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
    const Duration target = ItlTarget(*plan);
    if (target == Duration() || plan->prompt_tokens == 0) {
      return;
    }
    const auto in_time = [&](const device::StepShape& shape) {
      return device_->power().SustainedStep(shape) <= target;
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
    Duration limit = ItlTarget(plan);
    for (size_t i = static_cast<size_t>(plan.decodes); i < plan.rows.size(); ++i) {
      const LiveRequest& live = LiveOf(plan.rows[i]);
      const Duration target =
          live.request.ttft_target > Duration() ? live.request.ttft_target : options_.ttft_target;
      if (target == Duration() || live.record.output_tokens > 0) {
        continue;  // nobody waits for it, or it is computed again after a preemption
      }
      const Duration left = target - (now_ - live.record.arrival);
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
