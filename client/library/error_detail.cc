#include "client/library/error_detail.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "scoville/v1/errors.pb.h"

namespace scoville::client {
namespace {

constexpr absl::string_view kDetailsUrl = "type.googleapis.com/google.rpc.Status";
constexpr absl::string_view kRequestIdUrl = "scoville/request-id";

void ReadDetail(const google::protobuf::Any& any, ErrorDetail* detail) {
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  google::rpc::BadRequest bad_request;
  google::rpc::ResourceInfo resource;
  google::rpc::QuotaFailure quota;
  google::rpc::PreconditionFailure precondition;
  if (any.UnpackTo(&info)) {
    detail->reason = info.reason();
    detail->metadata.insert(info.metadata().begin(), info.metadata().end());
  } else if (any.UnpackTo(&retry)) {
    detail->retry_after =
        Seconds(retry.retry_delay().seconds()) + Nanoseconds(retry.retry_delay().nanos());
  } else if (any.UnpackTo(&bad_request)) {
    for (const auto& violation : bad_request.field_violations()) {
      detail->fields.push_back({violation.field(), violation.description()});
    }
  } else if (any.UnpackTo(&resource)) {
    detail->resource = resource.resource_name();
  } else if (any.UnpackTo(&quota)) {
    for (const auto& violation : quota.violations()) {
      detail->quotas.push_back(absl::StrCat(violation.subject(), ": ", violation.description()));
    }
  } else if (any.UnpackTo(&precondition)) {
    for (const auto& violation : precondition.violations()) {
      detail->preconditions.push_back(
          absl::StrCat(violation.type(), ": ", violation.description()));
    }
  } else if (any.Is<v1::PartialUsage>()) {
    detail->partial_usage = any.value();
  }
}

}  // namespace

ErrorDetail DetailOf(const absl::Status& status) {
  ErrorDetail detail;
  if (const auto id = status.GetPayload(kRequestIdUrl)) {
    detail.request_id = std::string(*id);
  }
  const auto payload = status.GetPayload(kDetailsUrl);
  google::rpc::Status rich;
  if (!payload || !rich.ParseFromString(std::string(*payload))) {
    return detail;
  }
  for (const auto& any : rich.details()) {
    ReadDetail(any, &detail);
  }
  const auto id = detail.metadata.find("request_id");
  if (detail.request_id.empty() && id != detail.metadata.end()) {
    detail.request_id = id->second;
  }
  return detail;
}

bool IsUnreachable(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable && DetailOf(status).reason.empty();
}

absl::Status MakeCallStatus(absl::StatusCode code, absl::string_view message,
                            absl::string_view details, absl::string_view request_id) {
  absl::Status status(code, message);
  if (!details.empty()) {
    status.SetPayload(kDetailsUrl, absl::Cord(details));
  }
  if (!request_id.empty()) {
    status.SetPayload(kRequestIdUrl, absl::Cord(request_id));
  }
  return status;
}

}  // namespace scoville::client
