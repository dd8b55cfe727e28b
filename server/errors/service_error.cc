#include "server/errors/service_error.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::server {

namespace {

using scheduler::Outcome;
using scheduler::RefusalReason;

ErrorReason ReasonOf(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kQueueFull:
      return ErrorReason::kQueueFull;
    case RefusalReason::kContextLengthExceeded:
      return ErrorReason::kContextLengthExceeded;
    case RefusalReason::kNeverFits:
      return ErrorReason::kNeverFits;
    case RefusalReason::kInvalid:
      return ErrorReason::kInvalidField;
    case RefusalReason::kDeadlineExceeded:
      return ErrorReason::kDeadlineExceeded;
    case RefusalReason::kDraining:
      return ErrorReason::kServerDraining;
    case RefusalReason::kNoDevice:
      return ErrorReason::kNoDevice;
    case RefusalReason::kPower:
      return ErrorReason::kPowerBudget;
    case RefusalReason::kQuota:
      return ErrorReason::kQuota;
    case RefusalReason::kHopeless:
      return ErrorReason::kDeadlineInfeasible;
  }
  return ErrorReason::kInternal;
}

ErrorReason ReasonOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCancelled:
      return ErrorReason::kCancelled;
    case Outcome::kDeadlineExceeded:
      return ErrorReason::kDeadlineExceeded;
    case Outcome::kSlowConsumer:
      return ErrorReason::kSlowConsumer;
    case Outcome::kDraining:
      return ErrorReason::kServerDraining;
    case Outcome::kDeviceLost:
      return ErrorReason::kDeviceLost;
    case Outcome::kConstraint:
      return ErrorReason::kConstraintTooCostly;
    case Outcome::kStop:
    case Outcome::kLength:
    case Outcome::kEnergy:
    case Outcome::kInternal:
      break;
  }
  return ErrorReason::kInternal;
}

std::string MessageOf(const scheduler::RequestRecord& record) {
  const std::string after = absl::StrCat(" after ", record.output_tokens, " tokens");
  switch (record.outcome) {
    case Outcome::kCancelled:
      return absl::StrCat("the client cancelled", after);
    case Outcome::kDeadlineExceeded:
      return absl::StrCat("the deadline passed", after,
                          record.was_scheduled ? "" : ", while the request was queued");
    case Outcome::kSlowConsumer:
      return absl::StrCat("the client did not read its tokens in time; cut", after);
    case Outcome::kDraining:
      return absl::StrCat("the server shut down", after);
    case Outcome::kDeviceLost:
      return absl::StrCat("the device was lost", after);
    case Outcome::kConstraint:
      return absl::StrCat("finding what the constraint allows took too long", after,
                          ": ask for less (smaller repetitions, lengths and counts)");
    default:
      return absl::StrCat("internal error", after);
  }
}

// The retry time of a reason whose rule fixes it; `computed` where the rule leaves it open.
Duration RetryAfter(ErrorReason reason, Duration computed, bool nothing_sent) {
  switch (RowOf(reason).retry) {
    case RetryRule::kComputed:
      return computed;
    case RetryRule::kOneSecond:
      return Seconds(1);
    case RetryRule::kIfNothingSent:
      return nothing_sent ? Milliseconds(1) : Duration();
    case RetryRule::kNo:
    case RetryRule::kNotARefusal:
      break;
  }
  return Duration();
}

}  // namespace

ServiceError InvalidField(absl::string_view field, absl::string_view description) {
  ServiceError error;
  error.reason = ErrorReason::kInvalidField;
  error.message = absl::StrCat(field, ": ", description);
  error.violations.push_back({std::string(field), std::string(description)});
  return error;
}

ServiceError UnsupportedFeature(absl::string_view field, absl::string_view description) {
  ServiceError error = InvalidField(field, description);
  error.reason = ErrorReason::kUnsupportedFeature;
  return error;
}

ServiceError ModelNotFound(absl::string_view asked, absl::string_view served) {
  ServiceError error;
  error.reason = ErrorReason::kModelNotFound;
  error.message = absl::StrCat("model '", asked, "' is not served here; served: '", served, "'");
  error.resource_type = "model";
  error.resource_name = std::string(asked);
  return error;
}

ServiceError ModelNotReady(absl::string_view message) {
  ServiceError error;
  error.reason = ErrorReason::kModelNotReady;
  error.message = std::string(message);
  error.retry_after = Seconds(1);
  return error;
}

ServiceError RequestNotFound(absl::string_view request_id) {
  ServiceError error;
  error.reason = ErrorReason::kRequestNotFound;
  error.message = absl::StrCat("no live request has the id '", request_id, "'");
  error.resource_type = "request";
  error.resource_name = std::string(request_id);
  return error;
}

ServiceError DeviceNotFound(int64_t device, absl::string_view message) {
  ServiceError error;
  error.reason = ErrorReason::kDeviceNotFound;
  error.message = std::string(message);
  error.resource_type = "device";
  error.resource_name = absl::StrCat(device);
  return error;
}

ServiceError WrongState(absl::string_view message) {
  ServiceError error;
  error.reason = ErrorReason::kWrongState;
  error.message = std::string(message);
  return error;
}

ServiceError FaultsDisabled() {
  ServiceError error;
  error.reason = ErrorReason::kFaultsDisabled;
  error.message =
      "this daemon takes no fault injection; start it with --enable-fault-injection for that";
  return error;
}

ServiceError ServerDraining() {
  ServiceError error;
  error.reason = ErrorReason::kServerDraining;
  error.message = "the server is draining and takes no new requests";
  error.retry_after = Seconds(1);
  return error;
}

ServiceError PromptQueueFull(Bytes waiting, Bytes limit) {
  ServiceError error;
  error.reason = ErrorReason::kQueueFull;
  error.message =
      absl::StrCat("long prompts and constraints of ", waiting.value(),
                   " bytes wait to be tokenised and compiled, the limit is ", limit.value());
  error.metadata.emplace_back("limit", absl::StrCat(limit.value()));
  // By then the longest prompt a request may have is worked off.
  error.retry_after = Seconds(1);
  return error;
}

ServiceError BytesWaiting(Bytes waiting, Bytes more, Bytes limit, Duration retry_after) {
  ServiceError error;
  error.reason = ErrorReason::kQueueFull;
  error.message = absl::StrCat(waiting.value(), " bytes of requests wait and ", more.value(),
                               " more would pass the limit of ", limit.value());
  error.metadata.emplace_back("bound", "bytes");
  error.metadata.emplace_back("needed", absl::StrCat(waiting.value() + more.value()));
  error.metadata.emplace_back("limit", absl::StrCat(limit.value()));
  error.retry_after = retry_after;
  return error;
}

ServiceError DeadlineBeforeAdmission() {
  ServiceError error;
  error.reason = ErrorReason::kDeadlineExceeded;
  error.message = "the deadline passed while the prompt waited to be tokenised";
  return error;
}

ServiceError ErrorOfRefusal(const scheduler::Refusal& refusal) {
  ServiceError error;
  error.reason = ReasonOf(refusal.reason);
  error.message = refusal.message;
  error.retry_after = RetryAfter(error.reason, refusal.retry_after, /*nothing_sent=*/true);
  const bool times = refusal.reason == RefusalReason::kHopeless;
  if (!refusal.bound.empty()) {
    error.metadata.emplace_back("bound", refusal.bound);
  }
  if (refusal.needed != 0) {
    error.metadata.emplace_back(times ? "predicted_ns" : "needed", absl::StrCat(refusal.needed));
  }
  if (refusal.limit != 0) {
    error.metadata.emplace_back(times ? "given_ns" : "limit", absl::StrCat(refusal.limit));
  }
  switch (refusal.reason) {
    case RefusalReason::kInvalid:
      error.violations.push_back({"prompt", refusal.message});
      break;
    case RefusalReason::kContextLengthExceeded:
    case RefusalReason::kNeverFits:
      error.violations.push_back({"stop.max_tokens", refusal.message});
      break;
    default:
      break;
  }
  return error;
}

ServiceError ErrorOfEnd(const scheduler::RequestRecord& record) {
  CHECK(!scheduler::IsCompletion(record.outcome));
  ServiceError error;
  error.reason = ReasonOf(record.outcome);
  error.message = MessageOf(record);
  error.retry_after = RetryAfter(error.reason, Duration(), record.output_tokens == 0);
  error.metadata.emplace_back("tokens_emitted", absl::StrCat(record.output_tokens));
  error.partial = record;
  return error;
}

}  // namespace scoville::server
