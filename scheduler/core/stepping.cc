// One step of a device: planned, begun, watched; and who has to leave for it.
#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

// Of JoinPolicy::kNewTokenRatio: from its first value it falls to the least in 600 steps.
constexpr double kLeastTokenRatio = 0.098;
constexpr double kTokenRatioDecay = (0.7 - kLeastTokenRatio) / 600;

}  // namespace

void Scheduler::Impl::SchedulePlan(DeviceSlot& slot) {
  if (slot.device->busy() || slot.plan || slot.lost) {
    return;
  }
  const uint32_t index = slot.device->id().value;
  slot.plan = loop_->RunAt(loop_->Now(), EventClass::kPlan, index, [this, index] { Plan(index); });
}

void Scheduler::Impl::Plan(uint32_t device) {
  DeviceSlot& slot = devices_[device];
  slot.plan = TimerId{};
  slot.delay = device::DelayCause::kNone;
  const device::BlockPool& kv = slot.device->kv();
  PlanLimits limits;
  limits.max_tokens = options_.max_step_tokens;
  if (slot.device->kv().ExpirePins(loop_->Now()) > 0) {
    Book(slot);
  }
  // What is kept for later requests goes before a sequence that runs.
  limits.free_blocks = kv.free_blocks(/*allow_pins=*/true);
  limits.block_size = kv.block_size();
  limits.victims = options_.victims;
  if (prefill_limited_) {
    limits.max_prompt_tokens = std::max<int64_t>(options_.max_step_tokens / 4, kv.block_size());
  }
  if (slot.next_decode) {
    const auto turn =
        std::find_if(slot.running.begin(), slot.running.end(),
                     [&](const LiveRequest* live) { return !(live->key < *slot.next_decode); });
    limits.first_decode =
        turn == slot.running.end() ? 0 : static_cast<int32_t>(turn - slot.running.begin());
  }
  if (options_.max_drafts > 0) {
    ProposeDrafts(slot);
  }
  FittedStep step = FitStep(slot.device, slot.running, limits, options_, lengths_, loop_->Now());
  if (!step.plan.rows.empty() && step.offer.kind == device::StepOffer::Kind::kWait) {
    // Planned anew when the device may begin: what arrives until then joins.
    TakeBackDrafts(slot);
    slot.delay = step.offer.cause;
    slot.plan = loop_->RunAt(loop_->Now() + step.offer.wait, EventClass::kPlan, device,
                             [this, device] { Plan(device); });
    return;
  }
  slot.next_decode.reset();
  if (step.plan.next_decode > 0) {
    slot.next_decode = slot.running[static_cast<size_t>(step.plan.next_decode)]->key;
  }
  CommitPlan(slot, step);
}

void Scheduler::Impl::ProposeDrafts(DeviceSlot& slot) {
  for (LiveRequest* live : slot.running) {
    CHECK_EQ(live->drafts, 0);
    // The first tokens of a sequence that may not end yet draw from fewer.
    const int64_t to_minimum = live->request.min_tokens - live->record.output_tokens;
    if (!live->request.drafts || live->paused || live->prefills() || live->remaining() != 1 ||
        live->lacks_mask() || to_minimum > 0) {
      continue;
    }
    const int64_t most =
        std::min<int64_t>(options_.max_drafts, live->last_token - live->known() - 1);
    if (most <= 0) {
      continue;
    }
    std::vector<int32_t> guesses = live->lookup.Propose(live->tokens, most);
    if (live->request.constraint != nullptr) {
      guesses.resize(static_cast<size_t>(GuessesWithMasks(live, guesses)));
    }
    live->tokens.insert(live->tokens.end(), guesses.begin(), guesses.end());
    live->drafts = static_cast<int64_t>(guesses.size());
  }
}

void Scheduler::Impl::TakeBackDrafts(DeviceSlot& slot) {
  for (LiveRequest* live : slot.running) {
    live->tokens.resize(static_cast<size_t>(live->known()));
    live->drafts = 0;
  }
}

// Guesses that the plan has no room for are taken back.
void Scheduler::Impl::KeepPlannedDrafts(DeviceSlot& slot, const StepPlan& plan) {
  std::vector<int64_t> kept(slot.running.size(), 0);
  for (const PlannedRow& row : plan.rows) {
    kept[static_cast<size_t>(row.row)] = row.drafts;
  }
  for (size_t i = 0; i < slot.running.size(); ++i) {
    LiveRequest* live = slot.running[i];
    live->tokens.resize(static_cast<size_t>(live->known() + kept[i]));
    live->drafts = kept[i];
  }
}

void Scheduler::Impl::CommitPlan(DeviceSlot& slot, const FittedStep& step) {
  slot.members.clear();
  for (const PlannedRow& row : step.plan.rows) {
    LiveRequest* live = slot.running[static_cast<size_t>(row.row)];
    live->held = 0;
    slot.members.push_back(live);
  }
  if (options_.max_drafts > 0) {
    KeepPlannedDrafts(slot, step.plan);
  }
  for (int32_t row : step.plan.held) {
    slot.running[static_cast<size_t>(row)]->held += 1;
  }
  std::vector<LiveRequest*> victims;
  for (int32_t row : step.plan.preempted) {
    victims.push_back(slot.running[static_cast<size_t>(row)]);
  }
  // Preemptions first, since the planned rows grow into what they free.
  for (LiveRequest* victim : victims) {
    if (victim->record.preemptions == 0) {
      slot.forecast->Observe(/*overflowed=*/true);
    }
    Preempt(victim, slot);
  }
  slot.token_ratio = victims.empty()
                         ? std::max(kLeastTokenRatio, slot.token_ratio - kTokenRatioDecay)
                         : RatioAfterRetraction(slot);
  if (!victims.empty()) {
    // Another device may have room; its plan cannot be made within this instant's planning.
    PlaceSoon();
  }
  if (slot.members.empty()) {
    return;
  }
  std::vector<device::SequenceStep> work;
  work.reserve(slot.members.size());
  for (size_t i = 0; i < slot.members.size(); ++i) {
    LiveRequest* live = slot.members[i];
    const int64_t count = step.plan.rows[i].count;
    CHECK(live->table.Grow(live->computed + count, /*allow_pins=*/true));
    if (!live->record.was_scheduled) {
      live->record.was_scheduled = true;
      live->record.scheduled = loop_->Now();
    }
    ShowMasks(live, count);
    live->in_step = true;
    work.push_back(live->StepOf(count));
  }
  const uint32_t device = slot.device->id().value;
  Watch(slot, step.offer.price.duration);
  slot.device->BeginStep(std::move(work), step.offer, [this, device](device::StepOutcome outcome) {
    Commit(device, std::move(outcome));
  });
}

// SGLang's estimate once it had to retract: what the others have said, and twenty steps more, of
// what they may say.
double Scheduler::Impl::RatioAfterRetraction(const DeviceSlot& slot) {
  int64_t decoded = 0;
  int64_t most = 0;
  for (const LiveRequest* live : slot.running) {
    decoded += live->record.output_tokens + 20;
    most += live->last_token - live->record.prompt_tokens;
  }
  return std::min(1.0, static_cast<double>(decoded) / static_cast<double>(most + 1));
}

void Scheduler::Impl::Watch(DeviceSlot& slot, Duration predicted) {
  const uint32_t device = slot.device->id().value;
  const Duration patience = std::max(predicted * options_.patience, options_.least_patience);
  slot.watch = loop_->RunAt(loop_->Now() + patience, EventClass::kTimer, device, [this, device] {
    DeviceSlot& late = devices_[device];
    late.watch = TimerId{};
    if (late.device->overdue()) {
      GiveUp(late);
    }
    // Else the host is behind with the arithmetic, which is no matter of the device's.
  });
}

void Scheduler::Impl::TellToLeave(LiveRequest* live, DeviceSlot& slot, bool move) {
  if (live->in_step) {
    leaving_ += live->leaving || live->moving ? 0 : 1;
    (move ? live->moving : live->leaving) = true;
  } else if (move) {
    Move(live, slot);
  } else {
    Preempt(live, slot);
  }
}

void Scheduler::Impl::TakeOff(LiveRequest* live, DeviceSlot& slot) {
  slot.running.erase(std::find(slot.running.begin(), slot.running.end(), live));
  BreakPromises(live);
  slot.refused_blocks = INT64_MAX;
  slot.pinned_rows -= live->counted_pinned ? 1 : 0;
  live->counted_pinned = false;
  running_by_class_[static_cast<size_t>(live->record.service_class)] -= 1;
  CountPrompt(*live, -1);
  if (slot.running.empty() && slot.closed) {
    emptied_.push_back(slot.device->id().value);  // it was to sleep as soon as nothing runs there
    PlaceSoon();
  }
}

void Scheduler::Impl::Unplace(LiveRequest* live, DeviceSlot& slot) {
  TakeOff(live, slot);
  live->tokens.resize(static_cast<size_t>(live->known()));
  live->drafts = 0;
  DropLoad(live);
  live->table.Clear();
  live->running = false;
  live->computed = 0;
  live->published = 0;
  Book(slot);
  ReleaseGroup(live);
  waiting_.Restore(live->id(), live->key, live->known());
  // Others wait for it again. What was given up before it was placed stays so, and what is now too
  // late even alone is.
  const bool in_time =
      live->had_booking && loop_->Now() + PrefillTime(live->remaining()) <= live->request.deadline;
  if (in_time) {
    BookDeadline(live);
  }
}

void Scheduler::Impl::Preempt(LiveRequest* live, DeviceSlot& slot) {
  live->record.preemptions += 1;
  ++preemptions_;
  if (live->record.preemptions >= options_.max_preemptions && options_.max_preemptions > 0) {
    live->pinned = true;
    live->key.not_pinned = false;
  }
  Unplace(live, slot);
  observer_->OnPreempted(live->record, loop_->Now());
}

void Scheduler::Impl::Migrate(LiveRequest* live, DeviceSlot& slot) {
  live->record.migrations += 1;
  ++migrations_;
  Unplace(live, slot);
  observer_->OnMigrated(live->record, loop_->Now());
}

}  // namespace scoville::scheduler
