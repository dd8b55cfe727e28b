// What constraints allow: asked for as soon as a token is known, made elsewhere while the devices
// compute, and waited for by the row alone that draws by it.
#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

void Scheduler::Impl::AskForMask(LiveRequest* live) {
  if (!live->lacks_mask() || live->mask_job != 0) {
    return;
  }
  if (mask_maker_ == nullptr || live->constraint->HasMask()) {
    // A copy, since the cache may start anew before it is used.
    live->masks.resize(std::max<size_t>(1, live->masks.size()));
    live->constraint->FillMask(&live->masks[0]);
    live->has_mask = true;
    return;
  }
  const RequestId id = live->record.id;
  live->mask_job = MaskJobFor(*live, *live->constraint);
  MaskJob& job = mask_jobs_.at(live->mask_job);
  job.waiting.push_back(id);
  live->mask_asked = loop_->Now();
  if (job.begun) {
    LimitMask(live);
  }
}

void Scheduler::Impl::OnMaskBegun(uint64_t number) {
  const auto found = mask_jobs_.find(number);
  if (found == mask_jobs_.end()) {
    return;
  }
  found->second.begun = true;
  for (const RequestId id : found->second.waiting) {
    LiveRequest* live = Find(id);
    if (live != nullptr && live->mask_job == number) {
      LimitMask(live);
    }
  }
}

// From now on it is its own mask that takes the time.
void Scheduler::Impl::LimitMask(LiveRequest* live) {
  const RequestId id = live->record.id;
  live->mask_asked = loop_->Now();
  live->mask_timer = loop_->RunAt(loop_->Now() + options_.mask_timeout, EventClass::kTimer,
                                  id.value, [this, id] { OnMaskTimeout(id); });
}

void Scheduler::Impl::OnMaskTimeout(RequestId id) {
  // It may come still, but whoever asks for it from now on has it made anew.
  LeaveMaskJob(Find(id)->mask_job);
  Cancel(id, Outcome::kConstraint);
}

// Nobody joins it any more.
void Scheduler::Impl::LeaveMaskJob(uint64_t number) {
  const MaskJob& job = mask_jobs_.at(number);
  const absl::Span<const int32_t> place = job.state.place();
  const auto at =
      mask_job_at_.find({job.constraint, std::vector<int32_t>(place.begin(), place.end())});
  if (at != mask_job_at_.end() && at->second == number) {
    mask_job_at_.erase(at);
  }
}

// It has moved on.
void Scheduler::Impl::ForgetMask(LiveRequest* live) {
  CHECK_EQ(live->mask_job, 0u);  // without a mask nothing is drawn
  live->has_mask = false;
}

uint64_t Scheduler::Impl::MaskJobFor(const LiveRequest& live, const model::ConstraintState& state) {
  const model::CompiledConstraint* const constraint = live.request.constraint.get();
  const absl::Span<const int32_t> place = state.place();
  const auto [it, fresh] = mask_job_at_.try_emplace(
      {constraint, std::vector<int32_t>(place.begin(), place.end())}, next_mask_job_);
  if (!fresh) {
    return it->second;
  }
  const uint64_t job = next_mask_job_++;
  mask_jobs_.emplace(job, MaskJob{state, constraint, {}});
  const std::weak_ptr<const bool> here(here_);
  mask_maker_->Make(
      state,
      [this, job, here] {
        if (!here.expired()) {
          OnMaskBegun(job);
        }
      },
      [this, job, here](std::optional<model::TokenMask> mask) {
        if (!here.expired()) {
          OnMask(job, std::move(mask));
        }
      });
  return job;
}

void Scheduler::Impl::OnMask(uint64_t number, std::optional<model::TokenMask> mask) {
  LeaveMaskJob(number);
  const auto found = mask_jobs_.find(number);
  const MaskJob job = std::move(found->second);
  mask_jobs_.erase(found);
  if (mask) {
    job.state.KeepMask(*mask);
  }
  for (const RequestId id : job.waiting) {
    LiveRequest* live = Find(id);
    if (live == nullptr || live->mask_job != number) {
      continue;
    }
    live->mask_job = 0;
    loop_->Cancel(live->mask_timer);
    if (!mask) {
      Cancel(id, Outcome::kConstraint);
      continue;
    }
    live->masks.resize(std::max<size_t>(1, live->masks.size()));
    live->masks[0] = *mask;
    live->has_mask = true;
    if (live->running) {
      SchedulePlan(SlotOf(*live));
    }
  }
}

int64_t Scheduler::Impl::GuessesWithMasks(LiveRequest* live, absl::Span<const int32_t> guesses) {
  model::ConstraintState state = *live->constraint;
  live->masks.resize(1 + guesses.size());
  for (size_t i = 0; i < guesses.size(); ++i) {
    // One that the constraint forbids cannot be drawn, nor can what follows it; after the end there
    // is nothing to draw.
    if (!state.Accept(guesses[i]) || state.ended()) {
      return static_cast<int64_t>(i);
    }
    if (mask_maker_ != nullptr && !state.HasMask()) {
      // If the guess is right, this is the mask that is needed next.
      MaskJobFor(*live, state);
      return static_cast<int64_t>(i);
    }
    state.FillMask(&live->masks[i + 1]);
  }
  return static_cast<int64_t>(guesses.size());
}

// For the row after the last known token and after each guess, if the step goes so far.
void Scheduler::Impl::ShowMasks(LiveRequest* live, int64_t count) {
  live->mask_views.clear();
  if (live->request.constraint == nullptr ||
      live->computed + count < live->known() + live->drafts) {
    return;
  }
  CHECK(live->has_mask);
  for (int64_t draw = 0; draw <= live->drafts; ++draw) {
    live->mask_views.push_back(live->masks[static_cast<size_t>(draw)]);
  }
}

void Scheduler::Impl::CheckMasks(const LiveRequest& live) const {
  CHECK(!live.has_mask || live.mask_job == 0);
  CHECK(!live.running || !live.lacks_mask() || live.mask_job != 0 || live.dying);
  if (live.mask_job != 0) {
    const MaskJob& job = mask_jobs_.at(live.mask_job);
    CHECK(job.constraint == live.request.constraint.get());
    CHECK(job.state.place() == live.constraint->place());
    CHECK_EQ(std::count(job.waiting.begin(), job.waiting.end(), live.record.id), 1);
  }
}

}  // namespace scoville::scheduler
