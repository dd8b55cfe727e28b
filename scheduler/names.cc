#include "scheduler/names.h"

namespace scoville::scheduler {

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kStop:
      return "stop";
    case Outcome::kLength:
      return "length";
    case Outcome::kEnergy:
      return "energy";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kDeadlineExceeded:
      return "deadline_exceeded";
    case Outcome::kSlowConsumer:
      return "slow_consumer";
    case Outcome::kDraining:
      return "server_draining";
    case Outcome::kDeviceLost:
      return "device_lost";
    case Outcome::kConstraint:
      return "constraint_too_costly";
    case Outcome::kInternal:
      return "internal";
  }
  return "unknown";
}

const char* RefusalReasonName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kQueueFull:
      return "queue_full";
    case RefusalReason::kContextLengthExceeded:
      return "context_length_exceeded";
    case RefusalReason::kNeverFits:
      return "never_fits";
    case RefusalReason::kInvalid:
      return "invalid_field";
    case RefusalReason::kDeadlineExceeded:
      return "deadline_exceeded";
    case RefusalReason::kQuota:
      return "tenant_quota";
    case RefusalReason::kHopeless:
      return "deadline_infeasible";
    case RefusalReason::kPower:
      return "power_budget";
    case RefusalReason::kDraining:
      return "server_draining";
    case RefusalReason::kNoDevice:
      return "no_device";
  }
  return "unknown";
}

const char* ServiceClassName(ServiceClass service_class) {
  switch (service_class) {
    case ServiceClass::kInteractive:
      return "interactive";
    case ServiceClass::kStandard:
      return "standard";
    case ServiceClass::kBatch:
      return "batch";
  }
  return "unknown";
}

std::vector<std::string> ServiceClassNames() { return {"interactive", "standard", "batch"}; }
std::vector<std::string> JoinPolicyNames() {
  return {"forecast", "prompt_fits", "new_token_ratio", "reserve"};
}
std::vector<std::string> CostUnitNames() { return {"tokens", "energy"}; }
std::vector<std::string> VictimPolicyNames() { return {"least_cost", "newest", "least_output"}; }

}  // namespace scoville::scheduler
