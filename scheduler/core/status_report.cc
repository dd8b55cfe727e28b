// What can be said of the pool and of each request: the words behind GetPool and Explain.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

PoolStatus Scheduler::Impl::Status() const {
  PoolStatus status;
  for (size_t id = 0; id < devices_.ids(); ++id) {
    const DeviceSlot& slot = devices_[id];
    const bool removed = slot.device == nullptr;
    status.devices.push_back(removed ? slot.at_last : slot.device->Status());
    status.running.push_back(static_cast<int32_t>(slot.running.size()));
    DeviceHealth health;
    health.state = status.devices.back().state;
    if (removed) {
      health.state = device::DeviceState::kRemoved;
    } else if (slot.lost) {
      health.state = device::DeviceState::kLost;
    } else if (slot.draining || slot.removing) {
      health.state =
          slot.running.empty() ? device::DeviceState::kDrained : device::DeviceState::kDraining;
    }
    health.removing = slot.removing && !removed;
    health.closed = slot.closed;
    health.pace_percent = slot.pace_percent;
    health.prefix_query_tokens = slot.prefix_query_tokens;
    status.following += slot.followers;
    health.prefix_hit_tokens = slot.prefix_hit_tokens;
    status.devices.back().state = health.state;
    status.health.push_back(health);
  }
  status.waiting = waiting_.size();
  for (size_t i = 0; i < kServiceClasses; ++i) {
    status.waiting_by_class[i] = waiting_.size(static_cast<ServiceClass>(i));
  }
  status.paused = paused_;
  status.preemptions = preemptions_;
  status.migrations = migrations_;
  status.devices_lost = devices_lost_;
  status.draining = draining_;
  status.now = loop_->Now();
  return status;
}

Scheduler::Impl::Listing Scheduler::Impl::StartListing(int64_t ranks) const {
  Listing listing;
  std::vector<uint64_t> first;
  waiting_.Peek(ranks, &first);
  for (size_t i = 0; i < first.size(); ++i) {
    listing.ranks.emplace(first[i], static_cast<int64_t>(i));
  }
  for (const DeviceSlot& slot : devices_) {
    int64_t longest = 0;
    for (const LiveRequest* live : slot.running) {
      longest = std::max(longest, live->last_token - live->computed);
    }
    if (longest > 0) {
      const Duration step = slot.device->power().SustainedStep(DecodesOf(slot));
      listing.running_work = std::max(listing.running_work, step * longest);
    }
  }
  return listing;
}

std::vector<RequestStatus> Scheduler::Impl::Requests(int64_t limit) const {
  std::vector<RequestStatus> out;
  const Listing listing = StartListing(limit);
  for (const auto& [id, live] : live_) {
    if (static_cast<int64_t>(out.size()) >= limit) {
      break;
    }
    out.push_back(StatusOf(*live, listing));
  }
  return out;
}

std::optional<RequestStatus> Scheduler::Impl::Explain(RequestId id) const {
  const LiveRequest* live = Find(id);
  if (live == nullptr) {
    return std::nullopt;
  }
  return StatusOf(*live, StartListing(0));
}

std::optional<RequestStatus> Scheduler::Impl::Explain(absl::string_view external_id) const {
  for (auto it = live_.rbegin(); it != live_.rend(); ++it) {
    if (it->second->record.external_id == external_id) {
      return StatusOf(*it->second, StartListing(0));
    }
  }
  return std::nullopt;
}

RequestStatus Scheduler::Impl::StatusOf(const LiveRequest& live, const Listing& listing) const {
  RequestStatus status;
  status.record = live.record;
  status.computed_tokens = live.computed;
  status.shared_blocks = live.table.size() - live.table.exclusive_blocks();
  status.pinned = live.pinned;
  if (live.source.size() > 0) {
    status.moving_from = live.source_device;
  }
  if (live.running) {
    status.phase = live.prefills() ? Phase::kPrefill : Phase::kDecode;
    ExplainRunning(live, status);
  } else {
    status.phase = Phase::kQueued;
    ExplainQueued(live, listing, status);
  }
  BoundWait(live, listing, status);
  return status;
}

void Scheduler::Impl::ExplainQueued(const LiveRequest& live, const Listing& listing,
                                    RequestStatus& status) const {
  if (live.waits_for_leader) {
    status.wait = WaitReason::kLeader;
    status.detail = "the first choice of the same request computes the prompt";
    return;
  }
  if (live.follows) {
    status.wait = WaitReason::kLeader;
    status.detail =
        absl::StrFormat("request %d computes the beginning of its prompt, %d tokens are left",
                        live.leader, live.follow_rest);
    return;
  }
  const auto known = listing.ranks.find(live.id());
  status.rank = known != listing.ranks.end() ? known->second : waiting_.rank_of(live.id());
  if (!MayBePlaced(live)) {
    status.wait = WaitReason::kPower;
    status.detail = "the power budget starts no work of this class now";
    return;
  }
  Obstacle obstacle;
  bool any = false;
  for (const DeviceSlot& slot : devices_) {
    if (slot.takes_work()) {
      any = true;
      FitsNow(live, slot, &obstacle);
    } else if (slot.closed && obstacle.reason == WaitReason::kNone) {
      obstacle.reason = WaitReason::kPower;
    }
  }
  status.wait = obstacle.reason;
  if (!any && obstacle.reason == WaitReason::kNone) {
    status.wait = WaitReason::kDevice;
    status.detail = "every device is lost or drained";
  } else if (obstacle.reason == WaitReason::kPower) {
    status.detail = "the power budget lets the devices run empty";
  } else if (obstacle.reason == WaitReason::kSlots) {
    status.detail =
        absl::StrFormat("every device runs its limit of %d sequences", options_.max_running);
  } else if (obstacle.reason == WaitReason::kKv) {
    status.detail = absl::StrFormat(
        "needs %d blocks, %d can be had on the best device beside what its sequences grow into",
        obstacle.needed, obstacle.available);
  }
  if (status.rank > 0 && obstacle.reason != WaitReason::kNone) {
    status.detail += absl::StrFormat("; %d requests are ahead", status.rank);
  } else if (status.rank > 0) {
    status.wait = WaitReason::kOrder;
    status.detail = absl::StrFormat("%d requests are ahead", status.rank);
  }
  if (status.rank > 0 && YoungerAhead(live, status.rank)) {
    status.wait = WaitReason::kFairness;
    status.detail +=
        "; some came later, of a higher class, an earlier deadline or a tenant that "
        "has had less";
  }
  if (waiting_.Behind(live.id())) {
    status.wait = status.wait == WaitReason::kNone ? WaitReason::kOrder : status.wait;
    absl::StrAppend(&status.detail, status.detail.empty() ? "" : "; ",
                    "its first token can no longer be in time: it waits for steps that prompts do "
                    "not fill, or for its turn");
  }
}

bool Scheduler::Impl::YoungerAhead(const LiveRequest& live, int64_t rank) const {
  constexpr int64_t kMostLookedAt = 256;
  std::vector<uint64_t> ahead;
  waiting_.Peek(std::min(rank, kMostLookedAt), &ahead);
  return std::any_of(ahead.begin(), ahead.end(), [&](uint64_t id) { return id > live.id(); });
}

// What is ahead of it, served at the rate at which the pool ends requests.
void Scheduler::Impl::BoundWait(const LiveRequest& live, const Listing& listing,
                                RequestStatus& status) const {
  if (status.wait == WaitReason::kNone) {
    return;
  }
  if (status.wait == WaitReason::kClient) {
    status.unbounded = "it goes on when its reader has caught up";
    return;
  }
  if (status.wait == WaitReason::kMask) {
    if (!mask_jobs_.at(live.mask_job).begun) {
      status.unbounded = "it goes on when the masks of others that were asked for before are made";
      return;
    }
    status.wait_bound = live.mask_asked + options_.mask_timeout - loop_->Now();
    return;
  }
  if (std::none_of(devices_.begin(), devices_.end(),
                   [](const DeviceSlot& slot) { return slot.takes_work(); })) {
    status.unbounded = "no device takes work";
    return;
  }
  if (live.running) {
    const DeviceSlot& slot = devices_[live.record.device.value];
    status.wait_bound = slot.device->power().SustainedStep(DecodesOf(slot)) *
                        static_cast<int64_t>(slot.running.size());
    return;
  }
  if (!live.waits_for_leader && waiting_.Behind(live.id())) {
    status.unbounded = absl::StrFormat(
        "what comes later and can be in time goes first; its turn is after %d of those at most",
        (status.rank + 1) * options_.late_share);
    return;
  }
  // At worst all that runs and all that is ahead runs to its end, one after the other on each
  // device.
  const Duration work = listing.running_work;
  const int64_t devices = static_cast<int64_t>(std::count_if(
      devices_.begin(), devices_.end(), [](const DeviceSlot& slot) { return slot.takes_work(); }));
  status.wait_bound = work + PrefillTime(std::max<int64_t>(1, waiting_.tokens())) / devices +
                      work * (status.rank / std::max<int64_t>(1, devices * options_.max_running));
}

void Scheduler::Impl::ExplainRunning(const LiveRequest& live, RequestStatus& status) const {
  if (live.in_step) {
    return;
  }
  if (live.source.size() > 0) {
    status.wait = WaitReason::kTransfer;
    status.detail = absl::StrFormat("%d blocks are on their way from device %d", live.source.size(),
                                    live.source_device.value);
    return;
  }
  if (live.load.size() > 0) {
    status.wait = WaitReason::kTransfer;
    status.detail =
        absl::StrFormat("%d blocks are on their way from host memory", live.load.size());
    return;
  }
  if (live.paused) {
    status.wait = WaitReason::kClient;
    status.detail = "the reader is behind; the sequence goes on when it has caught up";
    return;
  }
  if (live.waits_for_mask()) {
    status.wait = WaitReason::kMask;
    if (!mask_jobs_.at(live.mask_job).begun) {
      status.detail =
          absl::StrFormat("what its constraint allows next has waited %.3f ms for its turn",
                          ToSeconds(loop_->Now() - live.mask_asked) * 1e3);
      return;
    }
    status.detail = absl::StrFormat(
        "what its constraint allows next has been computed for %.3f ms, at most %.0f ms",
        ToSeconds(loop_->Now() - live.mask_asked) * 1e3, ToSeconds(options_.mask_timeout) * 1e3);
    return;
  }
  const DeviceSlot& slot = devices_[live.record.device.value];
  if (slot.delay != device::DelayCause::kNone) {
    status.wait = WaitReason::kPower;
    status.detail = slot.delay == device::DelayCause::kWake
                        ? absl::StrFormat("device %d is waking up", slot.device->id().value)
                        : slot.device->power().last_sentence();
    return;
  }
  const bool was_left_out = std::any_of(
      slot.running.begin(), slot.running.end(),
      [&](const LiveRequest* other) { return other->in_step && Outranks(&live, other); });
  if (live.held > 0) {
    status.wait = WaitReason::kKv;
    status.detail = absl::StrFormat(
        "needs a block, %d can be had; it has waited %d steps for another sequence to end",
        slot.device->kv().free_blocks(), live.held);
    return;
  }
  if (!was_left_out && static_cast<int64_t>(slot.running.size()) > 1 && live.computed > 0) {
    status.wait = WaitReason::kBudget;
    status.detail = absl::StrFormat("the step's %d tokens went to rows of higher rank",
                                    options_.max_step_tokens);
    return;
  }
  status.wait = WaitReason::kDevice;
  status.detail =
      absl::StrFormat("joins when the step under way on device %d ends", slot.device->id().value);
}

// Work that nothing will move on: no event is pending for what it waits for.
Liveness Scheduler::Impl::CheckLiveness() const {
  Liveness out;
  out.unfinished = static_cast<int64_t>(live_.size());
  bool something_runs = place_.operator bool();
  for (const DeviceSlot& slot : devices_) {
    const std::string name = absl::StrFormat("device %d", slot.device->id().value);
    bool runnable = false;
    bool awaits_mask = false;  // and is planned anew when it comes, or when that took too long
    for (const LiveRequest* live : slot.running) {
      const bool waits = live->waits_for_mask();
      runnable = runnable || (!live->paused && !live->loading() && !waits);
      awaits_mask = awaits_mask || (waits && live->mask_job != 0);
      if (waits && live->mask_job == 0) {
        out.stuck.push_back(absl::StrFormat("request %d waits for a mask that nobody makes",
                                            live->record.id.value));
      }
    }
    something_runs = something_runs || !slot.running.empty();
    if (slot.lost || !runnable) {
      continue;
    }
    if (!slot.device->busy() && !slot.plan && !awaits_mask) {
      out.stuck.push_back(name + " has sequences to run, no step under way and none planned");
    }
    if (slot.device->busy() && slot.device->overdue() && !slot.watch) {
      out.stuck.push_back(name + " is overdue and nobody watches it");
    }
  }
  for (const auto& [id, live] : live_) {
    if (live->waits_for_leader && (live->group == nullptr || live->group->released)) {
      out.stuck.push_back(absl::StrFormat("request %d waits for a leader that is gone", id));
    }
    const LiveRequest* leader = live->follows ? Find(RequestId{live->leader}) : nullptr;
    if (live->follows && (leader == nullptr || !leader->running || !live->follow_timer)) {
      out.stuck.push_back(absl::StrFormat(
          "request %d waits for the prompt of %d, which is not computed", id, live->leader));
    }
  }
  const bool takes = std::any_of(devices_.begin(), devices_.end(),
                                 [](const DeviceSlot& slot) { return slot.takes_work(); });
  if (!waiting_.empty() && !something_runs && takes && !prefill_limited_) {
    std::vector<uint64_t> head;
    waiting_.Peek(1, &head);
    RequestStatus status;
    ExplainQueued(*Find(RequestId{head.front()}), Listing(), status);
    out.stuck.push_back(absl::StrFormat(
        "%d requests wait while nothing runs and no placement is pending; the first, %d: %s",
        waiting_.size(), head.front(), status.detail));
  }
  return out;
}

}  // namespace scoville::scheduler
