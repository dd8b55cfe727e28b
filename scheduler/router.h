// Which device takes the next request.
//
// least_loaded: the least loaded one that has room, counted in requests, then in KV blocks in use,
// then by device id; bookings are made in the same call as the choice, so a burst spreads evenly.
// consolidate: the most loaded one on which the service levels are expected to hold, so that the
// others idle and park; where they hold nowhere, the least loaded.
//
// Threading: pure. Errors: none.
#ifndef SCOVILLE_SCHEDULER_ROUTER_H_
#define SCOVILLE_SCHEDULER_ROUTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/units.h"

namespace scoville::scheduler {

enum class RoutePolicy : uint8_t { kLeastLoaded, kConsolidate };

// As files and flags write them, in the order of the values.
inline std::vector<std::string> RoutePolicyNames() { return {"least_loaded", "consolidate"}; }

struct DeviceLoad {
  bool ready = true;
  int32_t running = 0;
  int64_t used_blocks = 0;
  int64_t free_blocks = 0;
  // For kConsolidate, with the request in question on the device.
  bool parked = false;
  bool meets_targets = false;  // as far as can be foreseen
  Duration first_token{};      // expected time to its first token
};

struct Placement {
  int64_t blocks = 0;        // needed at once
  int64_t total_blocks = 0;  // needed when the sequence is at its longest
  int32_t max_running = 0;   // sequences a device may run
};

// Whether the device could take it now. A device that already runs something keeps a free block for
// each of its sequences: they are about to grow, and admitting into their last blocks would preempt
// the newcomer at once.
bool Fits(const DeviceLoad& device, const Placement& placement);

// Index of the device, or -1 if none has room.
int32_t RouteLeastLoaded(absl::Span<const DeviceLoad> devices, const Placement& placement);
int32_t RouteConsolidated(absl::Span<const DeviceLoad> devices, const Placement& placement);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTER_H_
