// What a router sees of a device, and of the request that looks for one.
//
// DeviceBooking is what the scheduler knows without asking anybody; the router keeps one per
// device. DeviceView adds what costs a pricing call, with the request on the device; it is filled
// only for the devices on the shortlist.
//
// Units: KV blocks, nanoseconds, tokens. Ownership: values; spans are borrowed for one call.
// Threading: values. Errors: none.
#ifndef SCOVILLE_SCHEDULER_ROUTING_DEVICE_VIEW_H_
#define SCOVILLE_SCHEDULER_ROUTING_DEVICE_VIEW_H_

#include <cstdint>

#include "absl/types/span.h"
#include "base/units.h"
#include "device/kv/prefix_hash.h"

namespace scoville::scheduler {

// Everything booked on a device counts from the call that booked it until the request ends there,
// however long it is silent.
struct DeviceBooking {
  bool ready = true;
  bool parked = false;
  int32_t running = 0;  // requests booked on it
  int64_t used_blocks = 0;
  int64_t free_blocks = 0;
  // What a usual request would cost there, as well as it is known without pricing one (UsualWork in
  // route_cost.h); zero on all devices: running and used_blocks take its place, which is as good in
  // a pool of equal devices only. Decides which devices of a large pool are looked at.
  Duration work;
};

struct DeviceView : DeviceBooking {
  int64_t cached_blocks_hit = 0;  // blocks of this request's prompt that it holds
  Duration queue;                 // work ahead of this request's rank, prompts of residents first
  Duration wake_time;             // if parked
  Duration prefill_time;          // of the tokens not cached, at the clock the cap allows
  Duration step_now;              // one decode step, sustained, as things are
  Duration step_with;             // the same with this request
  int64_t resident_decodes = 0;   // sequences that such a step slows down
  int64_t expected_output = 0;    // tokens
  Energy energy_delta;            // with it less without it; waking and then idling included
  // For kConsolidate.
  bool meets_targets = false;  // as far as can be foreseen
  Duration first_token;        // expected time to its first token
  // Filled by the router.
  TimePoint last_booked;
};

struct Placement {
  static constexpr Duration kNoDeadline{INT64_MAX};

  int64_t blocks = 0;                       // needed at once
  int64_t total_blocks = 0;                 // needed when the sequence is at its longest
  int32_t max_running = 0;                  // sequences a device may run
  uint64_t request = 0;                     // its id: what draws depend on
  Duration time_left = kNoDeadline;         // to its last token
  Duration first_token_left = kNoDeadline;  // to its first
  // Of the full blocks of its prompt; may be empty.
  absl::Span<const device::BlockHash> hashes{};
};

// Whether the device could take it now. A device that already runs something keeps a free block for
// each of its sequences: they are about to grow, and admitting into their last blocks would preempt
// the newcomer at once.
inline bool Fits(const DeviceBooking& device, const Placement& placement) {
  return device.ready && device.running < placement.max_running &&
         placement.total_blocks <= device.used_blocks + device.free_blocks &&
         placement.blocks + device.running <= device.free_blocks;
}

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_DEVICE_VIEW_H_
