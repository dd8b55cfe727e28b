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

}  // namespace scoville::scheduler
