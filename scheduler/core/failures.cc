// Devices that are lost, drained and return: their sequences go on elsewhere from what the
// scheduler knows of them, which is everything but the pages.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

absl::Status Scheduler::Impl::CheckDevice(DeviceId device) const {
  if (device.value >= devices_.ids()) {
    return absl::NotFoundError(absl::StrCat("there is no device ", device.value,
                                            ", the pool has 0 to ", devices_.ids() - 1));
  }
  if (devices_[device.value].device == nullptr) {
    return absl::NotFoundError(absl::StrCat("device ", device.value, " was removed"));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::Impl::DrainDevice(DeviceId device, bool migrate) {
  RETURN_IF_ERROR(CheckDevice(device));
  DeviceSlot& slot = devices_[device.value];
  if (slot.lost) {
    return absl::FailedPreconditionError(absl::StrCat("device ", device.value, " is lost"));
  }
  slot.draining = true;
  Book(slot);
  NoteCapacity();
  if (migrate) {
    const std::vector<LiveRequest*> running = slot.running;
    for (LiveRequest* live : running) {
      TellToLeave(live, slot, /*move=*/true);
    }
  }
  PlaceSoon();
  return absl::OkStatus();
}

absl::Status Scheduler::Impl::FenceDevice(DeviceId device) {
  RETURN_IF_ERROR(CheckDevice(device));
  DeviceSlot& slot = devices_[device.value];
  if (!slot.lost) {
    GiveUp(slot);
    return absl::OkStatus();
  }
  // It may have asked to be back, and waits for its executor or for watts.
  slot.asked_back = false;
  fleet_->DeviceFenced(device.value);
  return absl::OkStatus();
}

absl::Status Scheduler::Impl::ReturnDevice(DeviceId device) {
  RETURN_IF_ERROR(CheckDevice(device));
  DeviceSlot& slot = devices_[device.value];
  if (slot.removing) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", device.value, " is being removed"));
  }
  slot.draining = false;
  slot.cordoned = false;
  slot.pace_percent = 100;
  if (slot.lost) {
    if (slot.device->busy()) {
      slot.asked_back = true;  // the executor still reads the lost step's work
      return absl::OkStatus();
    }
    fleet_->DeviceReturned(device.value);  // Restore follows, once the budget has room for it
    return absl::OkStatus();
  }
  Book(slot);
  NoteCapacity();
  PlaceSoon();
  return absl::OkStatus();
}

void Scheduler::Impl::Restore(uint32_t device) {
  DeviceSlot& slot = devices_[device];
  slot.lost = false;
  slot.device->Repair();
  ForgetLargest();
  NoteCapacity();
  Book(slot);
  PlaceSoon();
}

absl::Status Scheduler::Impl::LosePages(DeviceId device, absl::Span<const uint32_t> pages) {
  RETURN_IF_ERROR(CheckDevice(device));
  DeviceSlot& slot = devices_[device.value];
  if (slot.lost) {
    return absl::OkStatus();  // nothing is in them
  }
  slot.lost_pages.insert(slot.lost_pages.end(), pages.begin(), pages.end());
  DropLostPages(slot);
  PlaceSoon();
  return absl::OkStatus();
}

// Pages can be taken out once no step uses them.
void Scheduler::Impl::DropLostPages(DeviceSlot& slot) {
  if (slot.lost_pages.empty() || slot.device->busy()) {
    return;
  }
  slot.device->kv().LoseBlocks(slot.lost_pages);
  ForgetLargest();
  slot.lost_pages.clear();
  const int64_t block = slot.device->kv().block_size();
  const std::vector<LiveRequest*> running = slot.running;
  for (LiveRequest* live : running) {
    const int64_t intact = live->table.FirstLost();
    if (intact == live->table.size()) {
      continue;
    }
    // Computed again from there, on this device if it has the room.
    live->table.Truncate(intact * block);
    if (live->computed > intact * block) {
      DropLoad(live);  // what is on its way belongs behind what was lost
    }
    CountPrompt(*live, -1);
    live->computed = std::min(live->computed, intact * block);
    CountPrompt(*live, 1);
    live->published = std::min(live->published, intact);
    PromiseBlocks(live);
    if (live->last_token > LargestTokens(slot) || !live->table.Grow(live->known())) {
      Migrate(live, slot);
    }
  }
  KeepPromisesToPinned(slot);
  Book(slot);
  if (!slot.running.empty()) {
    SchedulePlan(slot);  // nobody else may, where all of them waited for what was on its way
  }
  EndWhatFitsNowhere();
}

// Every block of a pinned row is kept for it, and it cannot be made to leave: what is promised to
// all of them must be there even so. The last of them go elsewhere.
void Scheduler::Impl::KeepPromisesToPinned(DeviceSlot& slot) {
  const auto obtainable = [&slot] {
    int64_t blocks = slot.device->kv().free_blocks();
    for (const LiveRequest* live : slot.running) {
      blocks += live->pinned ? 0 : live->table.exclusive_blocks();
    }
    return blocks;
  };
  while (Reserved(slot) > obtainable()) {
    const auto last = std::find_if(slot.running.rbegin(), slot.running.rend(),
                                   [](const LiveRequest* live) { return live->pinned; });
    Migrate(*last, slot);
  }
}

void Scheduler::Impl::GiveUp(DeviceSlot& slot) {
  CHECK(!slot.lost);
  slot.lost = true;
  ForgetLargest();
  ++devices_lost_;
  AbandonMoves(slot.device->id());  // nobody reads its pages any more
  Book(slot);
  loop_->Cancel(slot.plan);
  loop_->Cancel(slot.watch);
  slot.plan = slot.watch = TimerId{};
  slot.delay = device::DelayCause::kNone;
  const uint32_t device = slot.device->id().value;
  fleet_->DeviceFenced(device);
  slot.device->Fence([this, device](std::optional<device::StepOutcome> lost) {
    OnLetGo(device, std::move(lost));
  });
}

void Scheduler::Impl::OnLetGo(uint32_t device, std::optional<device::StepOutcome> lost) {
  DeviceSlot& slot = devices_[device];
  const std::vector<LiveRequest*> members = std::exchange(slot.members, {});
  if (lost) {
    observer_->OnStep(lost->record);
    for (size_t i = 0; i < members.size(); ++i) {
      LiveRequest* live = members[i];
      live->in_step = false;
      live->record.waste_energy += lost->sequence_energy[i].waste;
      if (live->dying) {
        Retire(live, *live->dying);
      }
    }
  }
  const std::vector<LiveRequest*> running = slot.running;
  for (LiveRequest* live : running) {
    leaving_ -= live->leaving || live->moving ? 1 : 0;
    live->leaving = live->moving = false;
    Migrate(live, slot);
  }
  AbandonMoves(slot.device->id());
  slot.lost_pages.clear();
  slot.device->kv().ExpirePins(TimePoint::Max());
  slot.device->kv().DropCached();
  router_.directory().Forget(static_cast<int32_t>(device));
  Book(slot);
  NoteCapacity();
  EndWhatFitsNowhere();
  observer_->OnDeviceLost(slot.device->id(), loop_->Now());
  if (slot.asked_back) {
    slot.asked_back = false;
    CHECK(ReturnDevice(slot.device->id()).ok());
  }
  PlaceSoon();
}

// After the pool has shrunk: what no device that is left can ever hold ends, with the rest of the
// queue still able to go on.
void Scheduler::Impl::EndWhatFitsNowhere() {
  const int64_t largest = LargestDeviceTokens();
  if (largest == 0) {
    return;  // all are lost: what waits may wait for one to return
  }
  std::vector<LiveRequest*> ended;
  for (const auto& [id, live] : live_) {
    if (!live->running && live->last_token > largest) {
      ended.push_back(live.get());
    }
  }
  for (LiveRequest* live : ended) {
    Retire(live, Outcome::kDeviceLost);
  }
}

// What deadlines may count on: not those that take nothing new. A cordoned one is tried again.
void Scheduler::Impl::NoteCapacity() {
  const auto open = std::count_if(devices_.begin(), devices_.end(), [](const DeviceSlot& slot) {
    return slot.stays() && !slot.draining && !slot.closed;
  });
  // Where none takes work now, who comes may wait for one that takes it again.
  DeadlineBook::Capacity capacity;
  capacity.servers = open > 0 ? open
                              : std::count_if(devices_.begin(), devices_.end(),
                                              [](const DeviceSlot& slot) { return slot.stays(); });
  deadlines_.SetCapacity(capacity);
  // What is late whatever happens becomes best effort: it no longer makes others infeasible.
  if (open > 0) {
    deadlines_.Demote(loop_->Now(), PrefillBacklog());
  }
}

}  // namespace scoville::scheduler
