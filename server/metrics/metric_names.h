// The label values of device states. They are part of the interface: dashboards name them. Those of
// outcomes, refusals and service classes are in scheduler/names.h.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_
#define SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_

#include <array>

#include "device/records.h"

namespace scoville::server {

inline constexpr std::array<device::DeviceState, 7> kDeviceStates = {
    device::DeviceState::kStarting, device::DeviceState::kReady,   device::DeviceState::kDraining,
    device::DeviceState::kDrained,  device::DeviceState::kFaulted, device::DeviceState::kLost,
    device::DeviceState::kRemoved};

const char* DeviceStateLabel(device::DeviceState state);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_
