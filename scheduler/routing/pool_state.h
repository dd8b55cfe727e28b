// What the routing policies share: bookings, their order, and what each policy remembers.
//
// Private to scheduler/routing/. Ownership, threading, errors: as Router.
#ifndef SCOVILLE_SCHEDULER_ROUTING_POOL_STATE_H_
#define SCOVILLE_SCHEDULER_ROUTING_POOL_STATE_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/units.h"
#include "scheduler/routing/device_view.h"
#include "scheduler/routing/load_heap.h"
#include "scheduler/routing/prefix_directory.h"
#include "scheduler/routing/router.h"

namespace scoville::scheduler {

class PoolState {
 public:
  PoolState(int32_t devices, const RouterOptions& options);

  void AddDevice();
  void Update(int32_t device, const DeviceBooking& booking);
  void Booked(int32_t device, TimePoint now);

  int32_t devices() const { return static_cast<int32_t>(bookings_.size()); }
  const DeviceBooking& booking(int32_t device) const {
    return bookings_[static_cast<size_t>(device)];
  }
  bool FitsOn(int32_t device, const Placement& placement) const {
    return Fits(booking(device), placement);
  }
  // Ends with the number of the last booking and the id, so it decides every tie.
  LoadKey KeyOf(int32_t device) const;
  uint64_t booked(int32_t device) const { return booked_[static_cast<size_t>(device)]; }
  void CheckInvariants() const;
  // The booking copied, the rest empty.
  DeviceView ViewOf(int32_t device) const;

  // The least booked device that fits, by the order of the heaps; -1 if none does.
  int32_t LeastBooked(const Placement& placement);

  // Those with something to do, those awake without, those parked. Closed ones are in none.
  LoadHeap busy;
  LoadHeap idle;
  LoadHeap parked;
  PrefixDirectory directory;

  // kRoundRobin: whose turn it is.
  int32_t turn = 0;
  // kPrefixSticky: where a first block went last, for prompts whose blocks are not stored yet.
  struct Sticky {
    absl::flat_hash_map<uint64_t, int32_t> last;  // for looking up alone
    std::deque<uint64_t> order;                   // oldest first
    uint64_t pending = 0;                         // of the last choice; 0: none
  } sticky;

 private:
  static constexpr size_t kStickyEntries = 1 << 16;

  const RoutePolicy policy_;
  std::vector<DeviceBooking> bookings_;
  std::vector<uint64_t> booked_;
  std::vector<TimePoint> last_booked_;
  uint64_t bookings_made_ = 0;
};

// The policies: a device, Router::kNoRoom or Router::kTooLate.
int32_t ChooseByCost(PoolState& pool, const RouterOptions& options, const Placement& placement,
                     Foresee foresee, Router::Choice* choice);
int32_t ChooseLeastLoaded(PoolState& pool, const Placement& placement);
int32_t ChooseRoundRobin(const PoolState& pool, const Placement& placement);
int32_t ChoosePowerOfTwo(const PoolState& pool, uint64_t seed, const Placement& placement);
int32_t ChoosePrefixSticky(PoolState& pool, const Placement& placement);
int32_t ChooseConsolidated(const PoolState& pool, const Placement& placement, Foresee foresee,
                           Router::Choice* choice);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_POOL_STATE_H_
