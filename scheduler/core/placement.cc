// Which waiting request goes to which device, and when.
#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"
#include "scheduler/forecast/overflow_forecast.h"

namespace scoville::scheduler {

bool Scheduler::Impl::UsesCache(const LiveRequest& live) const {
  // Prompt scores need every row of the prompt to be computed.
  return devices_.front().device->kv().prefix_cache() &&
         live.request.sampling.prompt_logprobs < 0 && !live.request.bypass_prefix_cache;
}

// Without the secret nobody can name a prefix, nor without the tenant and the salt find it.
device::BlockHash Scheduler::Impl::PrefixRootOf(const Request& request) const {
  return device::PrefixRoot(options_.cache_secret, request.tenant, options_.model_id,
                            request.cache_salt);
}

void Scheduler::Impl::HashPrompt(LiveRequest* live) const {
  if (devices_.empty() || !UsesCache(*live)) {
    return;
  }
  live->hashes = device::HashBlocks(PrefixRootOf(live->request), live->tokens, BlockSize());
}

bool Scheduler::Impl::MayBePlaced(const LiveRequest& live) const {
  // The power budget starts no new prompts of this class.
  return !(prefill_limited_ && live.record.service_class == ServiceClass::kBatch);
}

void Scheduler::Impl::Book(DeviceSlot& slot) {
  const device::BlockPool& kv = slot.device->kv();
  const uint32_t index = slot.device->id().value;
  slot.forecast_holds = false;
  DeviceBooking booking;
  booking.ready = slot.takes_work();
  booking.parked = slot.device->parked();
  booking.running = static_cast<int32_t>(slot.running.size());
  booking.free_blocks = FreeFor(slot);
  booking.used_blocks = kv.num_blocks() - booking.free_blocks;
  if (!booking.ready && slot.followers > 0) {
    ReleaseFollowersOn(slot);  // they will not run there
  }
  router_.Update(static_cast<int32_t>(index), booking);
  const TimePoint parks_at = booking.parked ? TimePoint::Max() : slot.device->ParksAt();
  if (parks_at != slot.parks_at) {
    parks_.erase({slot.parks_at, index});
    slot.parks_at = parks_at;
    if (parks_at != TimePoint::Max()) {
      parks_.insert({parks_at, index});
    }
  }
  LetGoSoon(slot);
}

// Devices that have fallen asleep since they were last looked at.
void Scheduler::Impl::BookParked() {
  while (!parks_.empty() && parks_.begin()->first <= loop_->Now()) {
    Book(devices_[parks_.begin()->second]);
  }
}
Placement Scheduler::Impl::PlacementOf(const LiveRequest& live) const {
  Placement placement;
  const device::BlockPool& kv = devices_.front().device->kv();
  int64_t hits = 0;
  if (UsesCache(live) && router_.devices() <= router_.options().scan_limit) {
    for (const DeviceSlot& slot : devices_) {
      hits = std::max(hits, slot.takes_work() ? ReferencedHits(live, slot) : 0);
    }
  }
  placement.blocks = kv.BlocksFor(live.known()) - hits;
  placement.total_blocks = kv.BlocksFor(live.last_token);
  placement.max_running = options_.max_running;
  placement.request = live.id();
  if (live.request.deadline != TimePoint::Max()) {
    placement.time_left = live.request.deadline - loop_->Now();
  }
  const bool may_become_late =
      options_.late_share > 0 && waiting_.Fresh(live.id()) && !waiting_.Late(live.id());
  if (may_become_late && FirstTokenDue(live, options_.ttft_target) != TimePoint::Max()) {
    placement.first_token_left = FirstTokenDue(live, options_.ttft_target) - loop_->Now();
  }
  if (UsesCache(live)) {
    placement.hashes = live.hashes;
  }
  return placement;
}

int32_t Scheduler::Impl::Route(LiveRequest* live, int32_t held_back, bool only_empty) {
  // What the router cannot see (risk of running out, blocks kept for others) is asked of its
  // choice; a device that declines is left out of the next one.
  constexpr int kMostTries = 16;
  BookParked();
  Placement placement = PlacementOf(*live);
  int64_t expected_output = 0;  // the same on all devices, and policies without prices do not ask
  const auto foresee = [&](int32_t device, DeviceView* view) {
    expected_output = expected_output > 0 ? expected_output : ExpectedOutput(*live);
    Foresee(*live, expected_output, device, view);
  };
  const auto takes = [&](int32_t device) {
    const DeviceSlot& slot = devices_[static_cast<size_t>(device)];
    return device != held_back && (!only_empty || slot.running.empty()) && TakesFrom(slot, *live) &&
           FitsNow(*live, slot, nullptr);
  };
  std::vector<int32_t> declined;
  int32_t chosen = kNowhere;
  for (int tries = 0; tries < kMostTries; ++tries) {
    int32_t device = router_.Choose(placement, foresee);
    if (device == Router::kTooLate && placement.time_left != Placement::kNoDeadline) {
      placement.time_left = Placement::kNoDeadline;  // as early as can be, then
      device = router_.Choose(placement, foresee);
    }
    if (device == Router::kTooLate) {
      chosen = kTooLate;  // for its first token, whatever becomes of its deadline
      break;
    }
    if (device < 0) {
      break;
    }
    if (takes(device)) {
      chosen = device;
      break;
    }
    DeviceBooking booking = router_.booking(device);
    booking.ready = false;
    router_.Update(device, booking);
    declined.push_back(device);
  }
  if (chosen == kNowhere && declined.size() == kMostTries) {
    // Which of the others would take it the router cannot tell: the one with the most blocks may.
    const int32_t device = CollectingDevice(*live);
    chosen = device >= 0 && takes(device) ? device : kNowhere;
  }
  for (const int32_t device : declined) {
    Book(devices_[static_cast<size_t>(device)]);
  }
  return chosen;
}

// Those that are late take what is left of a device's steps, unless it is their turn.
bool Scheduler::Impl::TakesFrom(const DeviceSlot& slot, const LiveRequest& live) const {
  return !waiting_.Behind(live.id()) ||
         HasSpareSteps(slot, waiting_.KeyOf(live.id()).service_class);
}

bool Scheduler::Impl::AnySpareSteps(uint64_t id) const {
  const uint8_t rank = waiting_.KeyOf(id).service_class;
  return std::any_of(devices_.begin(), devices_.end(), [&](const DeviceSlot& slot) {
    return slot.takes_work() && HasSpareSteps(slot, rank);
  });
}

int32_t Scheduler::Impl::CollectingDevice(const LiveRequest& live) const {
  int32_t best = -1;
  int64_t most = 0;
  for (const DeviceSlot& slot : devices_) {
    const device::BlockPool& kv = slot.device->kv();
    if (!slot.takes_work() || kv.BlocksFor(live.last_token) > kv.num_blocks()) {
      continue;
    }
    if (best < 0 || kv.free_blocks() > most) {
      best = static_cast<int32_t>(slot.device->id().value);
      most = kv.free_blocks();
    }
  }
  return best;
}

void Scheduler::Impl::PlaceWaiting() {
  // Placing may end requests (blocks that fit nowhere any more), which asks for placing again.
  if (placing_ || waiting_.empty()) {
    return;
  }
  placing_ = true;
  waiting_.Age(loop_->Now());
  bool placed = true;
  while (placed && !waiting_.empty()) {
    placed = PlaceOnce();
  }
  placing_ = false;
}

// Of the time that it has until its first token should be there; never without a target.
bool Scheduler::Impl::HalfItsTimeIsGone(const LiveRequest& live) const {
  const TimePoint due = FirstTokenDue(live, options_.ttft_target);
  const TimePoint arrival = live.record.arrival;
  return due != TimePoint::Max() && loop_->Now() - arrival >= (due - arrival) / 2;
}

// Walks the first of the queue once, past at most look_ahead that do not fit. True if something was
// placed.
bool Scheduler::Impl::PlaceOnce() {
  const bool any_slot = std::any_of(devices_.begin(), devices_.end(), [&](const DeviceSlot& slot) {
    return slot.takes_work() && static_cast<int32_t>(slot.running.size()) < options_.max_running;
  });
  waiting_.Peek(any_slot ? options_.look_ahead + 1 : 1, &candidates_);
  LiveRequest* head = nullptr;  // the first that does not fit
  int32_t collecting = -1;      // keeps its blocks for the head
  for (const uint64_t id : candidates_) {
    LiveRequest* live = Find(RequestId{id});
    if (!MayBePlaced(*live)) {
      continue;
    }
    const bool behind = waiting_.Behind(id);
    if (behind && !AnySpareSteps(id)) {
      break;
    }
    // What becomes free where others run is the head's.
    const int32_t chosen = Route(live, collecting, behind && head != nullptr);
    // With its prompt computed by another it may be in time.
    if (Follow(live, std::max(chosen, -1))) {
      return true;
    }
    if (chosen == kTooLate) {
      waiting_.MakeLate(id);
      return true;
    }
    if (chosen >= 0 && Place(live, devices_[static_cast<size_t>(chosen)])) {
      if (head != nullptr) {
        head->passed += 1;
      }
      return true;
    }
    if (head == nullptr && !behind) {
      head = live;
      if (AskForRoom(live)) {
        return false;  // what becomes free is the head's: nobody looks past it in this walk
      }
      // Nobody is passed until he is late. Where some are, the pool is asked for more than it can
      // do, and more are in time if the largest is not waited for.
      const bool hurries = waiting_.late() == 0 && HalfItsTimeIsGone(*live);
      if (hurries || live->passed >= options_.max_passes) {
        collecting = CollectingDevice(*live);
      }
    }
  }
  return false;
}

bool Scheduler::Impl::Place(LiveRequest* live, DeviceSlot& slot) {
  device::BlockPool& kv = slot.device->kv();
  device::BlockTable table(&kv);
  const bool uses_cache = UsesCache(*live);
  const int64_t attached = uses_cache ? table.Attach(live->hashes) : 0;
  if (!table.Grow(live->known(), /*allow_pins=*/slot.running.empty())) {
    return false;  // what it shares was free to be taken, and is now needed
  }
  live->table = std::move(table);
  live->published = attached;
  live->computed = std::min(attached * kv.block_size(), live->known() - 1);
  if (live->computed < attached * kv.block_size()) {
    // All of it is there, but the last row has to be computed for what follows it, in its own page.
    const int64_t last = attached - 1;
    std::optional<device::PageCopy> copy;
    if (!live->table.MakeWritable(last, &copy, /*allow_pins=*/slot.running.empty())) {
      live->table.Clear();
      live->computed = 0;
      live->published = 0;
      return false;
    }
    if (copy) {
      slot.device->CopyPage(*copy);
    }
    live->published = last;
  }
  if (!live->record.was_scheduled) {
    live->record.cached_tokens = std::min(live->computed, live->record.prompt_tokens);
    slot.prefix_query_tokens += uses_cache ? live->record.prompt_tokens : 0;
    slot.prefix_hit_tokens += live->record.cached_tokens;
  }
  live->high_water = std::max(live->high_water, live->computed);
  live->key = waiting_.Take(live->id());
  if (live->pinned && live->key.not_pinned) {
    live->key = waiting_.Pin(live->id());
  }
  live->had_booking = deadlines_.Contains(live->id());
  if (live->had_booking) {
    deadlines_.Remove(live->id());
  }
  live->running = true;
  live->request.booking.reset();
  live->held = 0;
  running_by_class_[static_cast<size_t>(live->record.service_class)] += 1;
  live->record.device = slot.device->id();
  slot.running.insert(std::upper_bound(slot.running.begin(), slot.running.end(), live, Outranks),
                      live);
  live->counted_pinned = live->pinned;
  AskForMask(live);
  slot.pinned_rows += live->pinned ? 1 : 0;
  PromiseBlocks(live);
  LoadFromHost(live, slot);
  CountPrompt(*live, 1);
  router_.Booked(static_cast<int32_t>(slot.device->id().value), loop_->Now());
  Book(slot);
  SchedulePlan(slot);
  return true;
}

// Rows of lower classes leave for a request that finds no place: as few as give it a slot and its
// blocks, on the device where that throws away least.
bool Scheduler::Impl::AskForRoom(LiveRequest* live) {
  int64_t lower = 0;
  for (size_t c = static_cast<size_t>(live->record.service_class) + 1; c < kServiceClasses; ++c) {
    lower += running_by_class_[c];
  }
  if (lower == 0 || leaving_ > 0 || options_.victims != VictimPolicy::kLeastCost) {
    return false;  // nobody to ask, or somebody is on the way out
  }
  if (FirstTokenDue(*live, options_.ttft_target) != TimePoint::Max() && !HalfItsTimeIsGone(*live)) {
    return false;  // somebody may end in time, and no work need be thrown away
  }
  if (asked_at_step_ == steps_) {
    return false;  // what left did not help; before the next step nothing more will
  }
  // A row that has aged into its class stands before it in the queue, and would take the place
  // again.
  const RankKey rank = waiting_.KeyOf(live->id());
  DeviceSlot* best = nullptr;
  std::vector<LiveRequest*> best_victims;
  int64_t best_cost = 0;
  for (DeviceSlot& slot : devices_) {
    if (!slot.takes_work()) {
      continue;
    }
    const device::BlockPool& kv = slot.device->kv();
    const int64_t total = kv.BlocksFor(live->last_token);
    if (total > kv.num_blocks()) {
      continue;
    }
    const int64_t shared = ReferencedHits(*live, slot);
    const int64_t needed = (live->pinned ? total : kv.BlocksFor(live->known())) - shared;
    int64_t free = kv.free_blocks() - Reserved(slot);
    int64_t running = static_cast<int64_t>(slot.running.size());
    std::vector<LiveRequest*> victims;
    int64_t cost = 0;
    // From the lowest rank up.
    for (auto it = slot.running.rbegin(); it != slot.running.rend(); ++it) {
      if (running < options_.max_running && free >= needed + running) {
        break;
      }
      LiveRequest* row = *it;
      if (row->pinned || row->record.service_class <= live->record.service_class ||
          row->key.service_class <= rank.service_class) {
        continue;
      }
      victims.push_back(row);
      free += row->table.exclusive_blocks();
      running -= 1;
      cost += row->computed;
    }
    const bool enough = running < options_.max_running && free >= needed + running;
    if (enough && !victims.empty() && (best == nullptr || cost < best_cost)) {
      best = &slot;
      best_victims = victims;
      best_cost = cost;
    }
  }
  if (best == nullptr) {
    return false;
  }
  asked_at_step_ = steps_;
  for (LiveRequest* victim : best_victims) {
    TellToLeave(victim, *best, /*move=*/false);
  }
  PlaceSoon();
  return true;
}

void Scheduler::Impl::PlaceSoon() {
  if (!place_) {
    place_ = loop_->RunAt(loop_->Now() + Nanoseconds(1), EventClass::kTimer, 0, [this] {
      place_ = TimerId{};
      for (const uint32_t device : std::exchange(emptied_, {})) {
        fleet_->DeviceEmpty(device);
      }
      PlaceWaiting();
    });
  }
}

}  // namespace scoville::scheduler
