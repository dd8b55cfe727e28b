// Devices that join the pool and leave it while it serves. One that leaves is drained first, its
// sequences move on; once nothing runs on it and nobody reads its pages any more it is let go, and
// its number is never given again.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "scheduler/core/fleet_link.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

// A device's prefixes go into the directory of the router.
class DirectoryFeed final : public device::KvEventSink {
 public:
  DirectoryFeed(PrefixDirectory* directory, int32_t device)
      : directory_(directory), device_(device) {}
  void OnStored(const device::BlockHash& hash, const device::BlockHash& parent) override {
    directory_->OnStored(device_, hash, parent);
  }
  void OnRemoved(const device::BlockHash& hash) override { directory_->OnRemoved(device_, hash); }

 private:
  PrefixDirectory* const directory_;
  const int32_t device_;
};

OverflowOptions OverflowOptionsOf(const SchedulerOptions& options, int64_t block_size) {
  OverflowOptions out;
  out.block_size = block_size;
  out.epsilon_ppm = static_cast<int64_t>(options.overflow_risk * 1e6 + 0.5);
  return out;
}

}  // namespace

Scheduler::Impl::DeviceSlot& Scheduler::Impl::MakeSlot(device::Device* device) {
  CHECK_EQ(device->id().value, static_cast<uint32_t>(devices_.ids()));
  auto slot = std::make_unique<DeviceSlot>();
  slot->device = device;
  slot->forecast = std::make_unique<OverflowForecast>(
      &lengths_, OverflowOptionsOf(options_, device->kv().block_size()));
  slot->feed = std::make_unique<DirectoryFeed>(&router_.directory(),
                                               static_cast<int32_t>(device->id().value));
  return devices_.Add(std::move(slot));
}

// A pool that the router looks at whole needs no directory. Numbers only rise, so one that has
// begun to need it does for good.
void Scheduler::Impl::FeedDirectory() {
  if (router_.devices() <= router_.options().scan_limit) {
    return;
  }
  for (DeviceSlot& slot : devices_) {
    if (!slot.feeds) {
      slot.feeds = true;
      slot.device->kv().TellHeld(slot.feed.get());
      slot.device->kv().ListenTo(slot.feed.get());
    }
  }
}

absl::Status Scheduler::Impl::AddDevices(absl::Span<device::Device* const> devices,
                                         absl::string_view budget_node) {
  if (devices_.empty()) {
    return absl::FailedPreconditionError("a pool that was made without devices stays without");
  }
  std::vector<std::unique_ptr<PowerControlledDevice>> powered;
  std::vector<PowerControlledDevice*> borrowed;
  const device::BlockPool& like = devices_.front().device->kv();
  for (device::Device* device : devices) {
    const uint32_t index = device->id().value;
    const size_t expected = devices_.ids() + powered.size();
    if (index != expected) {
      return absl::InvalidArgumentError(absl::StrCat("a device with number ", index,
                                                     ": the next one of this pool is ", expected,
                                                     ", and numbers are never given again"));
    }
    if (device->kv().block_size() != like.block_size() ||
        device->kv().prefix_cache() != like.prefix_cache()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "device ", index, " has KV blocks of ", device->kv().block_size(),
          " tokens, or another prefix cache, than the pool with blocks of ", like.block_size()));
    }
    powered.push_back(PowerLinkOf(device));
    borrowed.push_back(powered.back().get());
  }
  RETURN_IF_ERROR(fleet_->CanAdd(borrowed, budget_node));
  for (device::Device* device : devices) {
    router_.AddDevice();
    Book(MakeSlot(device));
  }
  for (std::unique_ptr<PowerControlledDevice>& device : powered) {
    fleet_devices_.push_back(std::move(device));
  }
  FeedDirectory();
  ForgetLargest();
  NoteCapacity();
  fleet_->Add(borrowed, budget_node);
  PlaceSoon();
  return absl::OkStatus();
}

absl::Status Scheduler::Impl::CanRemove(absl::Span<const DeviceId> devices) const {
  const auto named = [&](const DeviceSlot& slot) {
    return std::find(devices.begin(), devices.end(), slot.device->id()) != devices.end();
  };
  for (size_t i = 0; i < devices.size(); ++i) {
    RETURN_IF_ERROR(CheckDevice(devices[i]));
    if (devices_[devices[i].value].removing ||
        std::find(devices.begin(), devices.begin() + static_cast<ptrdiff_t>(i), devices[i]) !=
            devices.begin() + static_cast<ptrdiff_t>(i)) {
      return absl::FailedPreconditionError(
          absl::StrCat("device ", devices[i].value, " is being removed already"));
    }
  }
  int64_t stay = 0;
  int64_t largest = 0;
  for (const DeviceSlot& slot : devices_) {
    if (slot.stays() && !slot.draining && !named(slot)) {
      ++stay;
      largest = std::max(largest, LargestTokens(slot));
    }
  }
  if (stay == 0) {
    return absl::FailedPreconditionError(
        "no device that takes work would stay: unload the model, or end the pool, instead");
  }
  const auto too_long = [&](const auto& entry) { return entry.second->last_token > largest; };
  const int64_t stranded = std::count_if(live_.begin(), live_.end(), too_long);
  if (stranded > 0) {
    const auto first = std::find_if(live_.begin(), live_.end(), too_long);
    return absl::FailedPreconditionError(absl::StrFormat(
        "%d requests may come to need more tokens than the largest of the devices that would stay "
        "holds (%d); the first, %d, %d: wait for them to end, or cancel them",
        stranded, largest, first->first, first->second->last_token));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::Impl::RemoveDevices(absl::Span<const DeviceId> devices,
                                            const std::function<void(DeviceId)>& gone) {
  RETURN_IF_ERROR(CanRemove(devices));
  // All are closed before the first row looks for another place.
  for (const DeviceId device : devices) {
    DeviceSlot& slot = devices_[device.value];
    slot.removing = true;
    slot.asked_back = false;
    slot.gone = gone;
    Book(slot);
  }
  ForgetLargest();
  NoteCapacity();
  for (const DeviceId device : devices) {
    DeviceSlot& slot = devices_[device.value];
    const std::vector<LiveRequest*> running = slot.running;
    for (LiveRequest* live : running) {
      if (!slot.lost) {
        TellToLeave(live, slot, /*move=*/true);
      }
    }
  }
  PlaceSoon();
  return absl::OkStatus();
}

// Nothing runs on it, and no sequence that has left it still reads its pages.
bool Scheduler::Impl::CanLetGo(const DeviceSlot& slot) {
  return slot.removing && slot.running.empty() && slot.members.empty() && !slot.device->busy() &&
         slot.device->kv().table_entries() == 0;
}

// Asked by Book, which follows every change; the device goes in an event of its own, when nobody is
// in the midst of using it.
void Scheduler::Impl::LetGoSoon(DeviceSlot& slot) {
  if (slot.removal || !CanLetGo(slot)) {
    return;
  }
  const uint32_t index = slot.device->id().value;
  slot.removal = loop_->RunAt(loop_->Now() + Nanoseconds(1), EventClass::kTimer, index,
                              [this, index] { FinishRemoval(index); });
}

void Scheduler::Impl::FinishRemoval(uint32_t index) {
  DeviceSlot& slot = devices_[index];
  slot.removal = TimerId{};
  if (!CanLetGo(slot)) {
    return;  // the Book that follows asks again
  }
  loop_->Cancel(slot.plan);
  loop_->Cancel(slot.watch);
  slot.plan = slot.watch = TimerId{};
  if (slot.parks_at != TimePoint::Max()) {
    parks_.erase({slot.parks_at, index});
    slot.parks_at = TimePoint::Max();
  }
  slot.device->kv().ListenTo(nullptr);
  router_.directory().Forget(static_cast<int32_t>(index));
  DeviceBooking nothing;
  nothing.ready = false;
  router_.Update(static_cast<int32_t>(index), nothing);
  slot.at_last = LastStatusOf(slot);
  slot.lost_pages.clear();
  slot.forecast.reset();
  static_cast<FleetDevice&>(*fleet_devices_[index]).Detach();
  devices_.TakeOut(index);
  slot.device = nullptr;
  fleet_->Remove(index);
  if (slot.gone) {
    std::exchange(slot.gone, nullptr)(DeviceId{index});
  }
}

// What it did stays in sums over the pool; it draws and holds nothing.
device::DeviceStatus Scheduler::Impl::LastStatusOf(const DeviceSlot& slot) {
  device::DeviceStatus status = slot.device->Status();
  status.state = device::DeviceState::kRemoved;
  status.busy = status.parked = false;
  status.power = status.cap = status.min_cap = Power();
  status.clock_hertz = 0;
  status.kv_blocks_total = status.kv_blocks_used = status.kv_blocks_cached = 0;
  status.kv_blocks_pinned = status.kv_blocks_bad = 0;
  status.host_blocks_total = status.host_blocks_held = 0;
  return status;
}

}  // namespace scoville::scheduler
