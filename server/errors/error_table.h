// The one table of everything a request can fail with: gRPC code, HTTP status, OpenAI type, and
// whether trying again helps.
//
// A request that ends badly after its first token: over gRPC the stream's status has the code, what
// was spent (PartialUsage) in its details, and the trailer not to try again. Over HTTP the head
// with 200 has gone, so a stream ends with an error event that carries type and code, and counts as
// 200; a whole answer has the status. SLOW_CONSUMER always comes that late, and only to streams:
// its 499 says whose doing it was, and keeps clients that try again after 408, 429 and 5xx from
// doing so.
//
// Both protocols render from it, so that a client sees the same reason whichever it speaks.
//
// Ownership: constants. Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_ERRORS_ERROR_TABLE_H_
#define SCOVILLE_SERVER_ERRORS_ERROR_TABLE_H_

#include <array>
#include <cstdint>

#include "absl/status/status.h"

namespace scoville::server {

enum class ErrorReason : uint8_t {
  kInvalidField,
  kContextLengthExceeded,
  kNeverFits,
  kUnsupportedFeature,
  kModelNotFound,
  kRequestNotFound,
  kDeviceNotFound,
  kBodyTooLarge,
  kQueueFull,
  kQuota,
  kDeadlineInfeasible,
  kSlowConsumer,
  kConstraintTooCostly,
  kNoDevice,
  kPowerBudget,
  kModelNotReady,
  kServerDraining,
  kDeviceLost,
  kDeadlineExceeded,
  kCancelled,
  kWrongState,
  kFaultsDisabled,
  kInternal,
};
inline constexpr size_t kErrorReasons = 23;

enum class RetryRule : uint8_t {
  kNo,
  kComputed,       // the error says when
  kOneSecond,      // after one second
  kIfNothingSent,  // at once, if no token was delivered
  kNotARefusal,    // the client ended it
};

struct ErrorRow {
  ErrorReason reason;
  const char* name;            // google.rpc.ErrorInfo.reason
  absl::StatusCode grpc_code;  // the same numbers as grpc::StatusCode
  int http_status;
  const char* openai_type;
  const char* openai_code;
  RetryRule retry;
};

const ErrorRow& RowOf(ErrorReason reason);
// In the order of the enum.
const std::array<ErrorRow, kErrorReasons>& ErrorTable();

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_ERRORS_ERROR_TABLE_H_
