// What a failed call says beyond its code and message.
//
// The daemon sends google.rpc details with each error; the client keeps them as payloads of the
// absl::Status, and DetailOf reads them back.
//
// Ownership: plain values. Threading: pure functions. Errors: none; details that cannot be read are
// left out, the code and the message always remain.
#ifndef SCOVILLE_CLIENT_LIBRARY_ERROR_DETAIL_H_
#define SCOVILLE_CLIENT_LIBRARY_ERROR_DETAIL_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace scoville::client {

struct FieldViolation {
  std::string field;        // "sampling.temperature"
  std::string description;  // the value and the limit
};

struct ErrorDetail {
  std::string reason;  // "QUEUE_FULL"; empty: no daemon of ours said this
  std::map<std::string, std::string> metadata;
  std::optional<Duration> retry_after;  // absent: repeating the call will not help
  std::vector<FieldViolation> fields;
  std::string resource;                    // what was not found
  std::vector<std::string> quotas;         // "queue: ..." or "tenant: ...", what is used up
  std::vector<std::string> preconditions;  // "WRONG_STATE: ...", what stands against it
  // What a call that failed midway had cost: a serialized scoville.v1.PartialUsage.
  std::optional<std::string> partial_usage = {};
  std::string request_id;  // empty: the call never reached a daemon
};

ErrorDetail DetailOf(const absl::Status& status);

// True if no daemon answered: nothing listens there, the name is unknown, the connection broke.
bool IsUnreachable(const absl::Status& status);

// For the library and for tests: a status as a call that failed would give it. `details` is a
// serialized google.rpc.Status, or empty.
absl::Status MakeCallStatus(absl::StatusCode code, absl::string_view message,
                            absl::string_view details, absl::string_view request_id);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_ERROR_DETAIL_H_
