// Turns a failed call into what a person or a script reads: what failed, why, what to do next.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_CLIENT_CLI_ERROR_REPORT_H_
#define SCOVILLE_CLIENT_CLI_ERROR_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace scoville::client {

int ExitCodeOf(const absl::Status& status);

// "scoville: WHAT: why" with a line per refused field, a hint and the request id. `what` is the
// thing tried ("chat", "list models").
std::string ErrorText(const absl::Status& status, absl::string_view what,
                      absl::string_view address);

// {"error": {code, reason, message, request_id, retry_after_ms, fields, metadata}} on one line.
std::string ErrorJson(const absl::Status& status);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_CLI_ERROR_REPORT_H_
