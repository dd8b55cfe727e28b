// Whether the parts of the scheduler agree: the table of requests, the queue, the deadline book,
// what runs where, and what the router has booked.
#include <cstdint>

#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

void Scheduler::Impl::CheckInvariants() const {
  waiting_.CheckInvariants();
  deadlines_.CheckInvariants();
  router_.CheckInvariants();
  CheckRequests();
  CheckPromises();
  int64_t running = 0;
  int64_t prompt_tokens = 0;
  int64_t parking = 0;
  for (const DeviceSlot& slot : devices_) {
    CheckSlot(slot);
    running += static_cast<int64_t>(slot.running.size());
    for (const LiveRequest* live : slot.running) {
      prompt_tokens += PromptLeft(*live);
    }
    CHECK(slot.device != nullptr && devices_[slot.device->id().value].device == slot.device);
    parking += slot.parks_at != TimePoint::Max() ? 1 : 0;
  }
  for (size_t id = 0; id < devices_.ids(); ++id) {
    const DeviceSlot& slot = devices_[id];
    CHECK(slot.device != nullptr ||
          (slot.removing && slot.running.empty() && slot.members.empty()));
    if (slot.device == nullptr) {
      CheckForgotten(static_cast<int32_t>(id));
    }
    // Whoever could be let go is about to be.
    CHECK(slot.device == nullptr || !CanLetGo(slot) || slot.removal);
  }
  CHECK_EQ(prompt_tokens, prefilling_tokens_);
  CHECK_EQ(parking, static_cast<int64_t>(parks_.size()));
  CHECK_EQ(running + waiting_.size(), static_cast<int64_t>(live_.size()));
}

// Nobody reckons with a device that has gone.
void Scheduler::Impl::CheckForgotten(int32_t device) const {
  const DeviceBooking& booking = router_.booking(device);
  CHECK(!booking.ready);
  CHECK_EQ(booking.running, 0);
  CHECK_EQ(booking.free_blocks, 0);
  CHECK_EQ(booking.used_blocks, 0);
  CHECK(!router_.directory().Knows(device));
}

// Every request stands in one place, and the counts are of what stands there.
void Scheduler::Impl::CheckRequests() const {
  std::array<int64_t, kServiceClasses> running{};
  int64_t leaving = 0;
  int64_t paused = 0;
  int64_t following = 0;
  int64_t timed = 0;
  for (const auto& [id, live] : live_) {
    CHECK_EQ(id, live->id());
    CHECK(!(live->running && live->waits_for_leader));
    CHECK(waiting_.Contains(id));
    CHECK_EQ(waiting_.Waiting(id), !live->running);
    CHECK(!(live->waits_for_leader && live->follows));
    CHECK_EQ(waiting_.Held(id), live->waits_for_leader || live->follows);
    running[static_cast<size_t>(live->record.service_class)] += live->running ? 1 : 0;
    leaving += live->leaving || live->moving ? 1 : 0;
    paused += live->paused ? 1 : 0;
    following += live->waits_for_leader ? 1 : 0;
    CHECK(live->running || (!live->in_step && !live->leaving && !live->moving && !live->dying));
    CHECK(live->running || live->table.size() == 0);
    CHECK(!(live->leaving || live->moving || live->dying) || live->in_step);
    CHECK(live->computed >= 0 && live->computed <= live->known());
    CheckMasks(*live);
    if (deadlines_.Contains(id)) {
      CHECK(waiting_.Waiting(id) && live->request.deadline != TimePoint::Max());
      ++timed;
    }
  }
  CHECK(running == running_by_class_);
  CHECK_EQ(leaving, leaving_);
  CHECK_EQ(paused, paused_);
  CHECK_EQ(following, waiting_for_leaders_);
  CHECK_EQ(timed, deadlines_.size());
}

// What is promised is what those that run have still to compute, and whoever waits for it is known
// to the one it waits for.
void Scheduler::Impl::CheckPromises() const {
  int64_t kept = 0;
  int64_t following = 0;
  int64_t followed = 0;
  for (const DeviceSlot& slot : devices_) {
    int64_t followers = 0;
    std::array<int64_t, kServiceClasses> rest{};
    for (const LiveRequest* live : slot.running) {
      for (int64_t i = live->published; i < live->promised; ++i) {
        const uint64_t leader =
            promises_.Leader(IndexOf(slot), live->hashes[static_cast<size_t>(i)]);
        if (leader == 0) {
          continue;  // another one has computed it, too
        }
        const LiveRequest* other = Find(RequestId{leader});
        CHECK(other != nullptr && other->running && other->record.device == slot.device->id());
        CHECK(i >= other->published && i < other->promised);
        kept += leader == live->id() ? 1 : 0;
      }
      for (const LiveRequest::Follower& entry : live->followers) {
        const LiveRequest* follower = Find(entry.id);
        CHECK(follower != nullptr && follower->follows && follower->leader == live->id());
        CHECK(entry.blocks > live->published && entry.blocks <= live->promised);
        ++followers;
        rest[follower->follow_class] += follower->follow_rest;
      }
    }
    CHECK_EQ(followers, slot.followers);
    CHECK(rest == slot.follow_left);
    CHECK(followers == 0 || slot.takes_work());
    followed += followers;
  }
  for (const auto& [id, live] : live_) {
    following += live->follows ? 1 : 0;
    CHECK(live->running || (live->promised == 0 && live->followers.empty()));
    CHECK_EQ(live->follows, live->follow_timer.operator bool());
  }
  CHECK_EQ(following, followed);
  CHECK_EQ(kept, promises_.size());
}

void Scheduler::Impl::CheckSlot(const DeviceSlot& slot) const {
  const device::BlockPool& kv = slot.device->kv();
  int64_t pinned = 0;
  std::array<int64_t, kServiceClasses> prefill_left{};
  int64_t entries = 0;
  size_t in_step = 0;
  for (const auto& [id, live] : live_) {
    // What is moving away leaves its blocks until they are copied.
    entries += live->source_device == slot.device->id() ? live->source.size() : 0;
  }
  for (size_t i = 0; i < slot.running.size(); ++i) {
    const LiveRequest* live = slot.running[i];
    CHECK(Find(live->record.id) == live);
    CHECK(live->running && live->record.device == slot.device->id());
    CHECK(i == 0 || Outranks(slot.running[i - 1], live));
    CHECK_EQ(live->pinned, live->counted_pinned);
    pinned += live->pinned ? 1 : 0;
    prefill_left[live->key.service_class] += live->prefills() ? live->remaining() : 0;
    entries += live->table.size();
    in_step += live->in_step ? 1 : 0;
  }
  CHECK_EQ(pinned, slot.pinned_rows);
  CHECK(prefill_left == slot.prefill_left);
  CHECK_EQ(entries, kv.table_entries());
  CHECK_EQ(in_step, slot.members.size());
  CHECK(slot.members.empty() || slot.device->busy());
  CHECK_LE(static_cast<int64_t>(slot.running.size()), int64_t{options_.max_running});
  const DeviceBooking& booking = router_.booking(static_cast<int32_t>(slot.device->id().value));
  CHECK_EQ(booking.ready, slot.takes_work());
  CHECK_EQ(booking.running, static_cast<int32_t>(slot.running.size()));
  if (!slot.device->busy()) {
    // A step under way has taken blocks since; they are booked when it ends.
    CHECK_EQ(booking.free_blocks, FreeFor(slot));
    CHECK_EQ(booking.used_blocks, kv.num_blocks() - booking.free_blocks);
  }
}

}  // namespace scoville::scheduler
