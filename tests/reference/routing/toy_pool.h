// A pool of made-up devices, simple enough to price by hand: what a router is shown in tests.
//
// Prices have the form of real ones (a step costs something fixed, something a sequence and
// something a block; an idle device charges the whole step; a parked one its wake-up), their values
// are round numbers.
#ifndef SCOVILLE_TESTS_REFERENCE_ROUTING_TOY_POOL_H_
#define SCOVILLE_TESTS_REFERENCE_ROUTING_TOY_POOL_H_

#include <cstdint>
#include <map>
#include <vector>

#include "device/kv/prefix_hash.h"
#include "scheduler/routing/device_view.h"
#include "scheduler/routing/router.h"

namespace scoville::tests {

struct ToyRequest {
  uint64_t id = 0;
  uint64_t group = 0;  // whose requests begin alike
  int64_t shared_blocks = 0;
  int64_t prompt_blocks = 0;
  int64_t output = 100;  // tokens
};

struct ToyDevice {
  scheduler::DeviceBooking booking;
  int64_t slow = 1000;                 // thousandths of the usual time: a lower cap
  int64_t pending_tokens = 0;          // of prompts ahead
  std::map<uint64_t, int64_t> cached;  // blocks of a group's prefix
};

class ToyPool {
 public:
  static constexpr int64_t kBlock = 16;

  std::vector<ToyDevice> devices;

  // Some load on each of `count` devices, drawn by `seed`; `uneven`: devices of different speed.
  static ToyPool Draw(uint64_t seed, int32_t count, int64_t groups, bool uneven);

  void Foresee(const ToyRequest& request, int32_t device, scheduler::DeviceView* view) const;
  // What the device would be told to the router.
  scheduler::DeviceBooking BookingOf(int32_t device) const;
  // Puts the request there.
  void Place(const ToyRequest& request, int32_t device);

  static std::vector<device::BlockHash> HashesOf(const ToyRequest& request);
  static scheduler::Placement PlacementOf(const ToyRequest& request,
                                          const std::vector<device::BlockHash>& hashes);
  // Everything there is to know at the beginning.
  void TellAll(scheduler::Router* router) const;

 private:
  int64_t StepNs(const ToyDevice& d, int64_t running, int64_t blocks) const;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_ROUTING_TOY_POOL_H_
