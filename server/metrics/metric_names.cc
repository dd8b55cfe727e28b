#include "server/metrics/metric_names.h"

namespace scoville::server {

const char* DeviceStateLabel(device::DeviceState state) {
  switch (state) {
    case device::DeviceState::kStarting:
      return "starting";
    case device::DeviceState::kReady:
      return "ready";
    case device::DeviceState::kDraining:
      return "draining";
    case device::DeviceState::kDrained:
      return "drained";
    case device::DeviceState::kFaulted:
      return "faulted";
    case device::DeviceState::kLost:
      return "lost";
    case device::DeviceState::kRemoved:
      return "removed";
  }
  return "unknown";
}

}  // namespace scoville::server
