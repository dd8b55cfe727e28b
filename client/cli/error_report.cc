#include "client/cli/error_report.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/exit_codes.h"
#include "client/library/error_detail.h"
#include "client/terminal/figures.h"
#include "client/terminal/text_width.h"
#include "nlohmann/json.hpp"

namespace scoville::client {
namespace {

struct ReasonHint {
  absl::string_view reason;
  absl::string_view hint;
};

constexpr std::array<ReasonHint, 15> kHints = {{
    {"MODEL_NOT_FOUND", "`scoville models` lists what the daemon serves"},
    {"REQUEST_NOT_FOUND", "only a request that is queued or running can be explained"},
    {"CONTEXT_LENGTH_EXCEEDED",
     "shorten the prompt or lower --max-tokens; `scoville models` shows "
     "the context"},
    {"NEVER_FITS", "no device has enough KV memory for this request; shorten it"},
    {"BODY_TOO_LARGE", "the daemon takes messages of at most 8 MiB; shorten the prompt"},
    {"QUEUE_FULL", "the daemon is busy"},
    {"TENANT_QUOTA", "the quota of this key is used up"},
    {"KV_EXHAUSTED", "the pool's KV memory is full"},
    {"SLOW_CONSUMER", "the answer was not read fast enough"},
    {"SERVER_DRAINING", "the daemon is shutting down; ask another or wait for its successor"},
    {"POWER_BUDGET", "the pool sheds this class to keep its power budget; try again later"},
    {"NO_DEVICE", "no device is ready; `scoville pool` shows their states"},
    {"MODEL_NOT_READY", "the model is still loading; `scoville health --ready --wait 60s` waits"},
    {"DEADLINE_EXCEEDED", "allow more time with --timeout or ask for fewer tokens"},
    {"CANCELLED", ""},
}};

std::string Hint(const absl::Status& status, const ErrorDetail& detail) {
  if (IsUnreachable(status)) {
    return "start the daemon with `scovilled`, or name another with --address or SCOVILLE_ADDRESS";
  }
  std::string hint;
  for (const ReasonHint& row : kHints) {
    if (row.reason == detail.reason) {
      hint = std::string(row.hint);
    }
  }
  if (hint.empty() && status.code() == absl::StatusCode::kDeadlineExceeded) {
    hint = "allow more time with --timeout or ask for fewer tokens";
  }
  if (detail.retry_after.has_value()) {
    absl::StrAppend(&hint, hint.empty() ? "" : "; ", "try again in ",
                    SecondsText(ToSeconds(*detail.retry_after)));
  }
  return hint;
}

}  // namespace

int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitDone;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    case absl::StatusCode::kUnavailable:
      return IsUnreachable(status) ? kExitUnreachable : kExitRefused;
    case absl::StatusCode::kResourceExhausted:
      return DetailOf(status).retry_after.has_value() ? kExitRefused : kExitFailed;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kExitNotAllowed;
    default:
      return kExitFailed;
  }
}

std::string ErrorText(const absl::Status& status, absl::string_view what,
                      absl::string_view address) {
  const ErrorDetail detail = DetailOf(status);
  std::string text = absl::StrCat("scoville: ", what, ": ");
  if (IsUnreachable(status)) {
    absl::StrAppend(&text, "no daemon answers at ", address, " (", status.message(), ")\n");
  } else {
    absl::StrAppend(&text,
                    status.message().empty() ? absl::StatusCodeToString(status.code())
                                             : std::string(status.message()),
                    "\n");
  }
  for (const FieldViolation& field : detail.fields) {
    if (!absl::StrContains(status.message(), field.description)) {
      absl::StrAppend(&text, "  ", field.field, ": ", field.description, "\n");
    }
  }
  const std::string hint = Hint(status, detail);
  if (!hint.empty()) {
    absl::StrAppend(&text, "hint: ", hint, "\n");
  }
  if (!detail.request_id.empty()) {
    absl::StrAppend(&text, "request: ", detail.request_id, "\n");
  }
  return Printable(text);
}

std::string ErrorJson(const absl::Status& status) {
  const ErrorDetail detail = DetailOf(status);
  nlohmann::ordered_json error;
  error["code"] = absl::StatusCodeToString(status.code());
  error["reason"] = detail.reason;
  error["message"] = std::string(status.message());
  error["request_id"] = detail.request_id;
  error["retry_after_ms"] = detail.retry_after.has_value()
                                ? nlohmann::ordered_json(detail.retry_after->value() / 1'000'000)
                                : nlohmann::ordered_json();
  error["fields"] = nlohmann::ordered_json::array();
  for (const FieldViolation& field : detail.fields) {
    error["fields"].push_back({{"field", field.field}, {"description", field.description}});
  }
  error["metadata"] = detail.metadata;
  const nlohmann::ordered_json root = {{"error", error}};
  return root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace scoville::client
