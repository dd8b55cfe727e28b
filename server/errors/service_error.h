// One failure as it goes to a client, before a protocol gives it a form.
//
//   if (auto error = BuildGenerate(...)) return Render(*error);
//
// Units: engine time. Ownership: a plain value. Threading: any. Errors: none.
#ifndef SCOVILLE_SERVER_ERRORS_SERVICE_ERROR_H_
#define SCOVILLE_SERVER_ERRORS_SERVICE_ERROR_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "scheduler/request.h"
#include "server/errors/error_table.h"

namespace scoville::server {

// A field of the request, by its path ("sampling.top_p", "messages[3].role"), and what is wrong
// with it.
struct FieldViolation {
  std::string field;
  std::string description;
};

struct ServiceError {
  ErrorReason reason = ErrorReason::kInternal;
  std::string message;                     // what, the value, the limit, what to do
  std::vector<FieldViolation> violations;  // of the request's fields
  // Numbers a program may want: "limit", "needed", …; in this order.
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string resource_type;  // what was not found, if that is the matter
  std::string resource_name;
  std::optional<scheduler::RequestRecord> partial;  // what a request that failed midway had cost
  Duration retry_after;                             // zero: trying again does not help

  const ErrorRow& row() const { return RowOf(reason); }
};

ServiceError InvalidField(absl::string_view field, absl::string_view description);
ServiceError UnsupportedFeature(absl::string_view field, absl::string_view description);
ServiceError ModelNotFound(absl::string_view asked, absl::string_view served);
// It is known, but takes no requests now.
ServiceError ModelNotReady(absl::string_view message);
ServiceError RequestNotFound(absl::string_view request_id);
// An operator's command names a device that is not there, or that is not in the state for it.
ServiceError DeviceNotFound(int64_t device, absl::string_view message);
ServiceError WrongState(absl::string_view message);
ServiceError FaultsDisabled();
ServiceError ServerDraining();
// Too many bytes of long prompts and constraints wait for the background worker.
ServiceError PromptQueueFull(Bytes waiting, Bytes limit);
// Too many bytes of requests wait, in the server or in the queue.
ServiceError BytesWaiting(Bytes waiting, Bytes more, Bytes limit, Duration retry_after);
// The deadline passed before the scheduler had heard of the request.
ServiceError DeadlineBeforeAdmission();

// A refusal of the scheduler; nothing was computed.
ServiceError ErrorOfRefusal(const scheduler::Refusal& refusal);
// The end of an admitted request. Precondition: !IsCompletion(record.outcome).
ServiceError ErrorOfEnd(const scheduler::RequestRecord& record);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_ERRORS_SERVICE_ERROR_H_
