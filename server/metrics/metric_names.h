// Label values of the enums that metrics are split by. They are part of the interface: dashboards
// name them.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_
#define SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_

#include <array>

#include "device/records.h"
#include "scheduler/request.h"

namespace scoville::server {

inline constexpr std::array<device::DeviceState, 6> kDeviceStates = {
    device::DeviceState::kStarting, device::DeviceState::kReady,   device::DeviceState::kDraining,
    device::DeviceState::kDrained,  device::DeviceState::kFaulted, device::DeviceState::kLost};

const char* DeviceStateLabel(device::DeviceState state);
const char* OutcomeLabel(scheduler::Outcome outcome);
const char* RefusalLabel(scheduler::RefusalReason reason);
const char* ServiceClassLabel(scheduler::ServiceClass service_class);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_METRIC_NAMES_H_
