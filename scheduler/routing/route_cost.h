// The objective of RoutePolicy::kCost, in nanoseconds:
//
//   queue + wake + prefill of what is not cached
//     + residents x (step with - step now) x expected output      (what the others lose)
//     + step with x expected output                               (its own decoding)
//     + lambda x (joules with - joules without)
//
// Lambda, nanoseconds per joule, is the operator's price of energy; 0: latency only. A step does
// not get shorter by what is added to it, so a negative difference of two guesses counts as none.
// Consolidation needs no rule of its own: an idle or parked device charges a newcomer the whole
// static energy of a step and of waking up, a busy one only what it adds.
//
// All integers, computed in 128 bits and saturated. Threading: pure. Errors: none.
#ifndef SCOVILLE_SCHEDULER_ROUTING_ROUTE_COST_H_
#define SCOVILLE_SCHEDULER_ROUTING_ROUTE_COST_H_

#include <cstdint>

#include "base/units.h"
#include "scheduler/routing/device_view.h"

namespace scoville::scheduler {

struct RouteCost {
  Duration queue;
  Duration wake;
  Duration prefill;
  Duration residents;
  Duration decode;
  Duration energy;  // joules at their price
  Duration total;   // of all above, saturated
};

RouteCost CostOf(const DeviceView& view, int64_t lambda_ns_per_joule);

// For DeviceBooking::work: `step` is what decode steps there take now or took last, `slope` what
// one more sequence adds to them, both at the clock the cap allows; `usual_output` a mean of the
// pool's requests, the same for all devices.
Duration UsualWork(Duration queue, Duration step, Duration slope, int64_t residents,
                   int64_t usual_output);

// Until its last token; what a deadline is compared with.
Duration ExpectedLatency(const DeviceView& view);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_ROUTE_COST_H_
