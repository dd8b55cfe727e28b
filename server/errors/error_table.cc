#include "server/errors/error_table.h"

namespace scoville::server {

namespace {

using C = absl::StatusCode;
using R = ErrorReason;

constexpr char kInvalidType[] = "invalid_request_error";
constexpr char kRateType[] = "rate_limit_error";
constexpr char kServerType[] = "server_error";

constexpr std::array<ErrorRow, kErrorReasons> kTable = {{
    {R::kInvalidField, "INVALID_FIELD", C::kInvalidArgument, 400, kInvalidType, "invalid_field",
     RetryRule::kNo},
    {R::kContextLengthExceeded, "CONTEXT_LENGTH_EXCEEDED", C::kInvalidArgument, 400, kInvalidType,
     "context_length_exceeded", RetryRule::kNo},
    {R::kNeverFits, "NEVER_FITS", C::kInvalidArgument, 400, kInvalidType, "never_fits",
     RetryRule::kNo},
    {R::kUnsupportedFeature, "UNSUPPORTED_FEATURE", C::kUnimplemented, 400, kInvalidType,
     "unsupported_feature", RetryRule::kNo},
    {R::kModelNotFound, "MODEL_NOT_FOUND", C::kNotFound, 404, kInvalidType, "model_not_found",
     RetryRule::kNo},
    {R::kRequestNotFound, "REQUEST_NOT_FOUND", C::kNotFound, 404, kInvalidType, "request_not_found",
     RetryRule::kNo},
    {R::kDeviceNotFound, "DEVICE_NOT_FOUND", C::kNotFound, 404, kInvalidType, "device_not_found",
     RetryRule::kNo},
    {R::kBodyTooLarge, "BODY_TOO_LARGE", C::kResourceExhausted, 413, kInvalidType, "body_too_large",
     RetryRule::kNo},
    {R::kQueueFull, "QUEUE_FULL", C::kResourceExhausted, 429, kRateType, "queue_full",
     RetryRule::kComputed},
    {R::kQuota, "TENANT_QUOTA", C::kResourceExhausted, 429, kRateType, "rate_limit_exceeded",
     RetryRule::kComputed},
    {R::kDeadlineInfeasible, "DEADLINE_INFEASIBLE", C::kDeadlineExceeded, 504, kServerType,
     "deadline_infeasible", RetryRule::kComputed},
    {R::kSlowConsumer, "SLOW_CONSUMER", C::kResourceExhausted, 499, kInvalidType, "slow_consumer",
     RetryRule::kNo},
    {R::kConstraintTooCostly, "CONSTRAINT_TOO_COSTLY", C::kResourceExhausted, 400, kInvalidType,
     "constraint_too_costly", RetryRule::kNo},
    {R::kNoDevice, "NO_DEVICE", C::kUnavailable, 503, kServerType, "no_device",
     RetryRule::kOneSecond},
    {R::kPowerBudget, "POWER_BUDGET", C::kUnavailable, 503, kServerType, "power_budget",
     RetryRule::kComputed},
    {R::kModelNotReady, "MODEL_NOT_READY", C::kUnavailable, 503, kServerType, "model_not_ready",
     RetryRule::kOneSecond},
    {R::kServerDraining, "SERVER_DRAINING", C::kUnavailable, 503, kServerType, "server_draining",
     RetryRule::kOneSecond},
    {R::kDeviceLost, "DEVICE_LOST", C::kUnavailable, 503, kServerType, "device_lost",
     RetryRule::kIfNothingSent},
    {R::kDeadlineExceeded, "DEADLINE_EXCEEDED", C::kDeadlineExceeded, 504, kServerType,
     "deadline_exceeded", RetryRule::kNo},
    {R::kCancelled, "CANCELLED", C::kCancelled, 499, kInvalidType, "cancelled",
     RetryRule::kNotARefusal},
    {R::kWrongState, "WRONG_STATE", C::kFailedPrecondition, 409, kInvalidType, "wrong_state",
     RetryRule::kNo},
    {R::kFaultsDisabled, "FAULTS_DISABLED", C::kFailedPrecondition, 409, kInvalidType,
     "faults_disabled", RetryRule::kNo},
    {R::kInternal, "INTERNAL", C::kInternal, 500, kServerType, "internal", RetryRule::kNo},
}};

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].reason) != i) {
      return false;
    }
  }
  return true;
}
static_assert(InEnumOrder());

}  // namespace

const ErrorRow& RowOf(ErrorReason reason) { return kTable[static_cast<size_t>(reason)]; }
const std::array<ErrorRow, kErrorReasons>& ErrorTable() { return kTable; }

}  // namespace scoville::server
