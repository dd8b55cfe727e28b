// Which device takes the next request.
//
// The scheduler tells the router of every change of a device's bookings (`Update`), in the same
// call that makes it, so a burst never herds on numbers that are out of date; KV events go to the
// directory. `Choose` picks a device, `Booked` says that the request really went there.
//
// kCost takes the least cost (route_cost.h) over the devices on which the KV fits and the deadline
// holds; of equal ones the one whose last booking is longest ago, then the lower id. Pools of at
// most `scan_limit` devices are looked at whole. In larger ones a choice looks at the 8 longest
// prefix hits, the 8 least booked of those at work, the 4 least booked of those awake and idle, and
// the parked one whose last booking is longest ago; if the deadline holds on none of these, at 32
// more. kConsolidate asks devices in the order of preference and stops at the first that will do.
// The others need no pricing.
//
// Ownership: owns its state, borrows arguments for a call. Threading: engine thread. Errors: a
// device outside the pool is a CHECK. Nothing here draws from or walks anything whose order is not
// fixed: the same calls give the same choices.
#ifndef SCOVILLE_SCHEDULER_ROUTING_ROUTER_H_
#define SCOVILLE_SCHEDULER_ROUTING_ROUTER_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "base/units.h"
#include "scheduler/routing/device_view.h"
#include "scheduler/routing/prefix_directory.h"
#include "scheduler/routing/route_cost.h"
#include "scheduler/routing/route_policy.h"

namespace scoville::scheduler {

struct RouterOptions {
  RoutePolicy policy = RoutePolicy::kLeastLoaded;
  int64_t lambda_ns_per_joule = 0;
  uint64_t seed = 0;
  int32_t scan_limit = 32;
  int64_t directory_capacity = 1 << 20;  // (block, device) pairs
};

// Fills the priced part of a view; the booking in it is filled already.
using Foresee = absl::FunctionRef<void(int32_t device, DeviceView* view)>;

class PoolState;

class Router {
 public:
  static constexpr int32_t kNoRoom = -1;
  // There is room, but not in time on any device that was looked at: waiting will not help.
  static constexpr int32_t kTooLate = -2;

  Router(int32_t devices, const RouterOptions& options);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // One device more, with the next number; until it is booked it has no blocks. None is ever taken
  // away: one that is gone is booked as not ready.
  void AddDevice();
  void Update(int32_t device, const DeviceBooking& booking);
  const DeviceBooking& booking(int32_t device) const;

  // The device, kNoRoom or kTooLate. Changes nothing but what `last()` tells.
  int32_t Choose(const Placement& placement, Foresee foresee);
  // The request of the last choice is on `device` now. To be followed by Update before the next
  // choice.
  void Booked(int32_t device, TimePoint now);

  // About the last choice.
  struct Choice {
    int32_t device = kNoRoom;
    int32_t looked_at = 0;  // pricing calls
    RouteCost cost;         // of the chosen one, for kCost
  };
  const Choice& last() const { return last_; }

  // CHECKs that every device stands in the heap of its booking, under its key.
  void CheckInvariants() const;

  PrefixDirectory& directory();
  const PrefixDirectory& directory() const;
  int32_t devices() const;
  const RouterOptions& options() const { return options_; }

 private:
  const RouterOptions options_;
  const std::unique_ptr<PoolState> state_;
  Choice last_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_ROUTER_H_
