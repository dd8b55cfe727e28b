#include "scheduler/planning/step_fitting.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

// Of what a decode is expected to make good, it lends one part in so many: one that ends early
// should be in time, too.
constexpr int64_t kMadeGood = 2;

class Fitting {
 public:
  Fitting(device::Device* device, absl::Span<LiveRequest* const> running,
          const SchedulerOptions& options, const OutputLengths& lengths, TimePoint now)
      : device_(device), running_(running), options_(options), lengths_(lengths), now_(now) {
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
  Duration StrictestItlTarget(const StepPlan& plan) const {
    Duration least;
    for (int64_t i = 0; i < plan.decodes; ++i) {
      const Duration own =
          ItlTarget(LiveOf(plan.rows[static_cast<size_t>(i)]), options_.itl_target);
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

  device::StepShape DecodesOf(const StepPlan& plan) const {
    device::StepShape shape;
    for (int64_t i = 0; i < plan.decodes; ++i) {
      shape.Add(WorkOf(plan.rows[static_cast<size_t>(i)]), device_->rules());
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
    const Duration target = StrictestItlTarget(*plan);
    if (target == Duration() || plan->prompt_tokens == 0) {
      return;
    }
    int64_t most = PromptTokensWithin(target, limits.block_size, *plan);
    if (most < plan->prompt_tokens && options_.lend_slack && PromptsGetLate(most, target)) {
      const Duration lent = SlackOfDecodes(*plan);
      most = lent > target ? PromptTokensWithin(lent, limits.block_size, *plan) : most;
    }
    if (most < plan->prompt_tokens) {
      limits.max_prompt_tokens = most;
      *plan = PlanStep(rows_, limits);
    }
  }

  int64_t PromptTokensWithin(Duration limit, int64_t block_size, const StepPlan& plan) const {
    const auto in_time = [&](const device::StepShape& shape) {
      return device_->power().SustainedStep(shape) <= limit;
    };
    if (in_time(ShapeOf(plan))) {
      return plan.prompt_tokens;
    }
    const device::StepShape decodes = DecodesOf(plan);
    int64_t low = 1;  // blocks that are taken in any case
    int64_t high = (plan.prompt_tokens + block_size - 1) / block_size;
    while (low + 1 < high) {
      const int64_t middle = low + (high - low) / 2;
      (in_time(ShapeWithPrompts(decodes, plan, middle * block_size)) ? low : high) = middle;
    }
    return low * block_size;
  }

  // Whether steps of `step` with so many prompt tokens would bring some first token too late, or
  // later than it is already.
  bool PromptsGetLate(int64_t prompt_tokens, Duration step) const {
    int64_t pending = 0;
    for (size_t i = 0; i < running_.size(); ++i) {
      const LiveRequest& live = *running_[i];
      if (rows_[i].paused || rows_[i].wants_one()) {
        continue;
      }
      pending += live.remaining();
      const TimePoint due = FirstTokenDue(live, options_.ttft_target);
      if (live.record.output_tokens > 0 || due == TimePoint::Max()) {
        continue;
      }
      const int64_t steps = (pending + prompt_tokens - 1) / prompt_tokens;
      if (now_ + step * steps > due) {
        return true;
      }
    }
    return false;
  }

  // What the decodes of the plan can lend, the least of them: by how much they are ahead of a token
  // every target since their first, and what they are expected to make good in steps without
  // prompts until they end.
  Duration SlackOfDecodes(const StepPlan& plan) const {
    const Duration bare = device_->power().SustainedStep(DecodesOf(plan));
    Duration least(INT64_MAX);
    for (int64_t i = 0; i < plan.decodes; ++i) {
      const LiveRequest& live = LiveOf(plan.rows[static_cast<size_t>(i)]);
      const Duration target = ItlTarget(live, options_.itl_target);
      if (target > Duration() && live.record.output_tokens > 0) {
        const RequestRecord& record = live.record;
        const TimePoint due = record.first_token + target * record.output_tokens;
        const int64_t left =
            lengths_.Expected(static_cast<int32_t>(record.service_class), record.output_tokens,
                              live.last_token - record.prompt_tokens);
        const Duration made_good = std::max(Duration(), target - bare) * left / kMadeGood;
        least = std::min(least, due + made_good - now_);
      }
    }
    return least;
  }

  // How long the step may take where joules are weighed: the decodes' target, and for each prompt
  // its share of the time that is left to its first token.
  Duration LatencyLimit(const StepPlan& plan) const {
    Duration limit = StrictestItlTarget(plan);
    for (size_t i = static_cast<size_t>(plan.decodes); i < plan.rows.size(); ++i) {
      const LiveRequest& live = LiveOf(plan.rows[i]);
      const TimePoint due = FirstTokenDue(live, options_.ttft_target);
      if (due == TimePoint::Max() || live.record.output_tokens > 0) {
        continue;  // nobody waits for it, or it is computed again after a preemption
      }
      const Duration left = due - now_;
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
    if (plan.drafts > 0) {
      limits->drafts = false;  // the device's least cap is made for steps without guesses
      return;
    }
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
  const OutputLengths& lengths_;
  const TimePoint now_;
  std::vector<RowView> rows_;
};

}  // namespace

FittedStep FitStep(device::Device* device, absl::Span<LiveRequest* const> running,
                   PlanLimits limits, const SchedulerOptions& options, const OutputLengths& lengths,
                   TimePoint now) {
  return Fitting(device, running, options, lengths, now).Fit(limits);
}

}  // namespace scoville::scheduler
