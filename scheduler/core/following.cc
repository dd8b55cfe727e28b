// Waiting for a prompt that another request is computing: requests with one beginning that arrive
// together compute it once.
//
// A request that is placed promises the blocks of its prompt that its device does not have. One
// that looks for a place and would find the next blocks of its prompt promised waits for them, held
// in the queue and without a slot, if that is predicted to be better than the place it would get
// now. It goes on as soon as those blocks can be found, or their leader leaves its device; and,
// since predictions fail, at the latest when it would have been done without waiting. It may follow
// the same leader again only if that has computed something since. So it waits only for what runs,
// which waits for nobody's promise: there are no cycles, and no wait without an end.
#include <algorithm>
#include <utility>
#include <vector>

#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

void Scheduler::Impl::PromiseBlocks(LiveRequest* live) {
  if (!options_.promised_prefixes || !UsesCache(*live)) {
    return;
  }
  live->promised = std::max(live->promised, static_cast<int64_t>(live->hashes.size()));
  const absl::Span<const device::BlockHash> hashes = live->hashes;
  if (live->published < live->promised) {
    promises_.Promise(IndexOf(SlotOf(*live)), live->id(),
                      hashes.subspan(static_cast<size_t>(live->published),
                                     static_cast<size_t>(live->promised - live->published)));
  }
}

void Scheduler::Impl::BreakPromises(LiveRequest* live) {
  const int64_t end = std::exchange(live->promised, 0);
  ReleaseFollowers(live, INT64_MAX);
  if (live->published >= end) {
    return;
  }
  DeviceSlot& slot = SlotOf(*live);
  const absl::Span<const device::BlockHash> hashes = live->hashes;
  promises_.Withdraw(IndexOf(slot), live->id(),
                     hashes.subspan(static_cast<size_t>(live->published),
                                    static_cast<size_t>(end - live->published)));
  // Somebody else may be computing the same blocks, too.
  for (LiveRequest* other : slot.running) {
    if (other->published < other->promised) {
      PromiseBlocks(other);
    }
  }
}

void Scheduler::Impl::KeepPromises(LiveRequest* live, int64_t from, int64_t published) {
  const int64_t until = std::min(published, live->promised);
  if (from >= until) {
    return;
  }
  const absl::Span<const device::BlockHash> hashes = live->hashes;
  promises_.Withdraw(IndexOf(SlotOf(*live)), live->id(),
                     hashes.subspan(static_cast<size_t>(from), static_cast<size_t>(until - from)));
  ReleaseFollowers(live, published);
}

Scheduler::Impl::Following Scheduler::Impl::FindLeader(const LiveRequest& live,
                                                       const DeviceSlot& slot) const {
  if (!slot.takes_work() ||
      slot.device->kv().BlocksFor(live.last_token) > slot.device->kv().num_blocks()) {
    return {};
  }
  Following following;
  following.blocks = promises_.Reach(IndexOf(slot), live.hashes, HitBlocks(live, slot));
  if (following.blocks == 0) {
    return {};
  }
  const uint64_t id =
      promises_.Leader(IndexOf(slot), live.hashes[static_cast<size_t>(following.blocks - 1)]);
  LiveRequest* leader = Find(RequestId{id});
  const bool leaves = leader->dying || leader->leaving || leader->moving;
  // Computed already, and yet not to be found: it never will be.
  const bool hidden = leader->computed >= following.blocks * slot.device->kv().block_size();
  const bool stands = live.leader == id && leader->computed <= live.leader_computed;
  // One of a lower class may be kept waiting by others of this one's class.
  const bool lower = leader->record.service_class > live.record.service_class;
  if (leaves || hidden || stands || lower || leader->paused) {
    return {};
  }
  following.leader = leader;
  return following;
}

// Until the leader has computed the blocks: prompts of higher rank go first.
Duration Scheduler::Impl::WaitForLeader(const DeviceSlot& slot, const Following& following,
                                        Duration chunk_step, int64_t chunk) const {
  const LiveRequest& leader = *following.leader;
  int64_t tokens = following.blocks * slot.device->kv().block_size() - leader.computed;
  for (const LiveRequest* other : slot.running) {
    if (other == &leader) {
      break;
    }
    tokens += other->prefills() && !other->paused ? other->remaining() : 0;
  }
  const Duration loading =
      leader.loading() ? std::max(slot.link_free - loop_->Now(), Duration()) : Duration();
  return chunk_step * ((std::max<int64_t>(tokens, 0) + chunk - 1) / chunk) + loading;
}

// The pool if it is small, else where somebody computes what the router's choice lacks.
std::vector<int32_t> Scheduler::Impl::WhereToFollow(const LiveRequest& live, int32_t chosen) const {
  constexpr size_t kMost = 8;
  std::vector<int32_t> devices;
  if (router_.devices() <= router_.options().scan_limit) {
    for (const DeviceSlot& slot : devices_) {
      devices.push_back(IndexOf(slot));
    }
    return devices;
  }
  const int64_t hits = chosen >= 0 ? HitBlocks(live, devices_[static_cast<size_t>(chosen)]) : 0;
  if (hits < static_cast<int64_t>(live.hashes.size())) {
    const auto leading = promises_.Devices(live.hashes[static_cast<size_t>(hits)]);
    devices.assign(leading.begin(),
                   leading.begin() + static_cast<int64_t>(std::min(leading.size(), kMost)));
  }
  return devices;
}

bool Scheduler::Impl::Follow(LiveRequest* live, int32_t chosen) {
  if (promises_.empty() || live->hashes.empty() || !UsesCache(*live)) {
    return false;
  }
  const bool by_cost = options_.routing == RoutePolicy::kCost;
  const int64_t output = ExpectedOutput(*live);
  const auto view_of = [&](int32_t device, const Following* following) {
    DeviceView view;
    static_cast<DeviceBooking&>(view) = router_.booking(device);
    Foresee(*live, output, device, &view, following);
    return view;
  };
  const auto price = [&](const DeviceView& view) {
    return by_cost ? CostOf(view, options_.nanoseconds_per_joule).total : view.first_token;
  };
  const TimePoint deadline = live->request.deadline;
  Following best;
  int32_t best_device = -1;
  Duration best_price;
  for (const int32_t device : WhereToFollow(*live, chosen)) {
    // The other policies say where; whether to wait there is what is left.
    if (!by_cost && chosen >= 0 && device != chosen) {
      continue;
    }
    const Following following = FindLeader(*live, devices_[static_cast<size_t>(device)]);
    if (following.leader == nullptr) {
      continue;
    }
    const DeviceView view = view_of(device, &following);
    const bool too_late =
        deadline != TimePoint::Max() && ExpectedLatency(view) > deadline - loop_->Now();
    if (!(too_late && chosen >= 0) && (best_device < 0 || price(view) < best_price)) {
      best = following;
      best_device = device;
      best_price = price(view);
    }
  }
  if (best_device < 0) {
    return false;
  }
  const DeviceView alone = view_of(chosen >= 0 ? chosen : best_device, nullptr);
  if (chosen >= 0 && best_price > price(alone)) {
    return false;
  }
  StartFollowing(live, best, alone.first_token);
  return true;
}

void Scheduler::Impl::StartFollowing(LiveRequest* live, const Following& following,
                                     Duration patience) {
  waiting_.Hold(live->id());
  DeviceSlot& slot = SlotOf(*following.leader);
  live->follows = true;
  live->leader = following.leader->id();
  live->leader_computed = following.leader->computed;
  live->follow_rest =
      std::max<int64_t>(1, live->known() - following.blocks * slot.device->kv().block_size());
  following.leader->followers.push_back({live->record.id, following.blocks});
  slot.followers += 1;
  live->follow_class = waiting_.KeyOf(live->id()).service_class;
  slot.follow_left[live->follow_class] += live->follow_rest;
  ReckonDeadline(live, live->follow_rest);
  const RequestId id = live->record.id;
  live->follow_timer = loop_->RunAt(loop_->Now() + std::max(patience, Nanoseconds(1)),
                                    EventClass::kTimer, id.value, [this, id] {
                                      LiveRequest* tired = Find(id);
                                      tired->follow_timer = TimerId{};
                                      StopFollowing(tired);
                                    });
}

void Scheduler::Impl::ReleaseFollowers(LiveRequest* leader, int64_t published) {
  if (leader->followers.empty()) {
    return;
  }
  const std::vector<LiveRequest::Follower> followers = leader->followers;
  for (const LiveRequest::Follower& follower : followers) {
    if (follower.blocks <= published) {
      StopFollowing(Find(follower.id));
    }
  }
}

void Scheduler::Impl::ReleaseFollowersOn(DeviceSlot& slot) {
  for (LiveRequest* leader : slot.running) {
    ReleaseFollowers(leader, INT64_MAX);
  }
}

void Scheduler::Impl::StopFollowing(LiveRequest* live) {
  Unfollow(live);
  ReckonDeadline(live, live->remaining());
  waiting_.Release(live->id());
  PlaceSoon();
}

// What deadlines after its own have to wait for.
void Scheduler::Impl::ReckonDeadline(LiveRequest* live, int64_t tokens) {
  if (deadlines_.Contains(live->id())) {
    deadlines_.Remove(live->id());
    deadlines_.Add(live->id(), live->request.deadline, PrefillTime(tokens));
  }
}

// Neither side knows of the other any more; in the queue it is still held.
void Scheduler::Impl::Unfollow(LiveRequest* live) {
  if (!live->follows) {
    return;
  }
  LiveRequest* leader = Find(RequestId{live->leader});
  std::vector<LiveRequest::Follower>& followers = leader->followers;
  followers.erase(std::find_if(
      followers.begin(), followers.end(),
      [&](const LiveRequest::Follower& entry) { return entry.id == live->record.id; }));
  DeviceSlot& slot = SlotOf(*leader);
  slot.followers -= 1;
  slot.follow_left[live->follow_class] -= live->follow_rest;
  live->follows = false;
  loop_->Cancel(live->follow_timer);
  live->follow_timer = TimerId{};
}

}  // namespace scoville::scheduler
