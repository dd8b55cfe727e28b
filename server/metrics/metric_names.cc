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
  }
  return "unknown";
}

const char* OutcomeLabel(scheduler::Outcome outcome) {
  switch (outcome) {
    case scheduler::Outcome::kStop:
      return "stop";
    case scheduler::Outcome::kLength:
      return "length";
    case scheduler::Outcome::kEnergy:
      return "energy";
    case scheduler::Outcome::kCancelled:
      return "cancelled";
    case scheduler::Outcome::kDeadlineExceeded:
      return "deadline_exceeded";
    case scheduler::Outcome::kSlowConsumer:
      return "slow_consumer";
    case scheduler::Outcome::kDraining:
      return "server_draining";
    case scheduler::Outcome::kDeviceLost:
      return "device_lost";
    case scheduler::Outcome::kInternal:
      return "internal";
  }
  return "unknown";
}

const char* RefusalLabel(scheduler::RefusalReason reason) {
  switch (reason) {
    case scheduler::RefusalReason::kQueueFull:
      return "queue_full";
    case scheduler::RefusalReason::kContextLengthExceeded:
      return "context_length_exceeded";
    case scheduler::RefusalReason::kNeverFits:
      return "never_fits";
    case scheduler::RefusalReason::kInvalid:
      return "invalid_field";
    case scheduler::RefusalReason::kDeadlineExceeded:
      return "deadline_exceeded";
    case scheduler::RefusalReason::kDraining:
      return "server_draining";
    case scheduler::RefusalReason::kNoDevice:
      return "no_device";
  }
  return "unknown";
}

const char* ServiceClassLabel(scheduler::ServiceClass service_class) {
  switch (service_class) {
    case scheduler::ServiceClass::kInteractive:
      return "interactive";
    case scheduler::ServiceClass::kStandard:
      return "standard";
    case scheduler::ServiceClass::kBatch:
      return "batch";
  }
  return "unknown";
}

}  // namespace scoville::server
