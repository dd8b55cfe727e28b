#include "scheduler/routing/pool_state.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

PoolState::PoolState(int32_t devices, const RouterOptions& options)
    : busy(devices),
      idle(devices),
      parked(devices),
      directory(devices, options.directory_capacity),
      policy_(options.policy),
      bookings_(static_cast<size_t>(devices)),
      booked_(static_cast<size_t>(devices)),
      last_booked_(static_cast<size_t>(devices)) {
  CHECK_GT(devices, 0);
  for (int32_t device = 0; device < devices; ++device) {
    // Until something is known of a device it has no blocks, so nothing fits there.
    Update(device, DeviceBooking{});
  }
}

void PoolState::AddDevice() {
  for (LoadHeap* heap : {&busy, &idle, &parked}) {
    heap->AddDevice();
  }
  directory.AddDevice();
  bookings_.emplace_back();
  booked_.push_back(0);
  last_booked_.emplace_back();
  Update(devices() - 1, DeviceBooking{});
}

LoadKey PoolState::KeyOf(int32_t device) const {
  const DeviceBooking& b = booking(device);
  if (policy_ == RoutePolicy::kLeastLoaded) {
    return LoadKey{0, b.running, b.used_blocks, 0, device};  // that is what the name says
  }
  return LoadKey{b.work.value(), b.running, b.used_blocks, booked(device), device};
}

DeviceView PoolState::ViewOf(int32_t device) const {
  DeviceView view;
  static_cast<DeviceBooking&>(view) = booking(device);
  view.last_booked = last_booked_[static_cast<size_t>(device)];
  return view;
}

void PoolState::Update(int32_t device, const DeviceBooking& booking) {
  CHECK(device >= 0 && device < devices());
  bookings_[static_cast<size_t>(device)] = booking;
  LoadHeap* const home = !booking.ready        ? nullptr
                         : booking.parked      ? &parked
                         : booking.running > 0 ? &busy
                                               : &idle;
  for (LoadHeap* heap : {&busy, &idle, &parked}) {
    if (heap != home) {
      heap->Erase(device);
    }
  }
  if (home != nullptr) {
    home->Set(KeyOf(device));
  }
}

void PoolState::Booked(int32_t device, TimePoint now) {
  CHECK(device >= 0 && device < devices());
  booked_[static_cast<size_t>(device)] = ++bookings_made_;
  last_booked_[static_cast<size_t>(device)] = now;
  Update(device, booking(device));
  turn = device + 1 < devices() ? device + 1 : 0;
  if (sticky.pending != 0) {
    const auto [at, is_new] = sticky.last.insert_or_assign(sticky.pending, device);
    if (is_new) {
      sticky.order.push_back(sticky.pending);
      if (sticky.order.size() > kStickyEntries) {
        sticky.last.erase(sticky.order.front());
        sticky.order.pop_front();
      }
    }
    sticky.pending = 0;
  }
}

void PoolState::CheckInvariants() const {
  directory.CheckInvariants();
  size_t ready = 0;
  for (int32_t device = 0; device < devices(); ++device) {
    const DeviceBooking& b = booking(device);
    const LoadHeap& home = b.parked ? parked : b.running > 0 ? busy : idle;
    CHECK_EQ(home.Holds(KeyOf(device)), b.ready);
    ready += b.ready ? 1 : 0;
  }
  for (const LoadHeap* heap : {&busy, &idle, &parked}) {
    heap->CheckInvariants();
    CHECK_LE(heap->size(), ready);
    ready -= heap->size();
  }
  CHECK_EQ(ready, size_t{0});
}

int32_t PoolState::LeastBooked(const Placement& placement) {
  constexpr size_t kWalk = 64;
  const LoadKey none;
  LoadKey least = none;
  bool complete = true;
  for (LoadHeap* heap : {&busy, &idle, &parked}) {
    complete &= heap->Walk(kWalk, [&](const LoadKey& key) {
      const bool better = least.device < 0 || key < least;
      if (better && FitsOn(key.device, placement)) {
        least = key;
      }
      return better && least.device != key.device;  // the rest of this heap comes later
    });
  }
  if (complete) {
    return least.device;
  }
  // A full pool: many in front do not fit. One look at all is cheaper than their order.
  least = none;
  for (int32_t device = 0; device < devices(); ++device) {
    if (FitsOn(device, placement)) {
      const LoadKey key = KeyOf(device);
      if (least.device < 0 || key < least) {
        least = key;
      }
    }
  }
  return least.device;
}

}  // namespace scoville::scheduler
