#include "scheduler/router.h"

#include <tuple>

namespace scoville::scheduler {

bool Fits(const DeviceLoad& device, const Placement& placement) {
  return device.ready && device.running < placement.max_running &&
         placement.total_blocks <= device.used_blocks + device.free_blocks &&
         placement.blocks + device.running <= device.free_blocks;
}

int32_t RouteLeastLoaded(absl::Span<const DeviceLoad> devices, const Placement& placement) {
  int32_t best = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(devices.size()); ++i) {
    const DeviceLoad& d = devices[i];
    if (!Fits(d, placement)) {
      continue;
    }
    if (best < 0 || std::tuple(d.running, d.used_blocks) <
                        std::tuple(devices[best].running, devices[best].used_blocks)) {
      best = i;
    }
  }
  return best;
}

int32_t RouteConsolidated(absl::Span<const DeviceLoad> devices, const Placement& placement) {
  // Lower is better: meeting the targets, not having to wake up, being busy already. Where the
  // targets hold nowhere the pool is full, and spreading serves most.
  const auto cost = [](const DeviceLoad& d) {
    return d.meets_targets
               ? std::tuple(0, d.parked ? 1 : 0, -d.running, -d.used_blocks, d.first_token)
               : std::tuple(1, 0, d.running, d.used_blocks, d.first_token);
  };
  int32_t best = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(devices.size()); ++i) {
    if (Fits(devices[i], placement) && (best < 0 || cost(devices[i]) < cost(devices[best]))) {
      best = i;
    }
  }
  return best;
}

}  // namespace scoville::scheduler
