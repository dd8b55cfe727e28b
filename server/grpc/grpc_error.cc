#include "server/grpc/grpc_error.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/support/status.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "model/text/utf8.h"
#include "scoville/v1/errors.pb.h"
#include "server/grpc/chunk_builder.h"

namespace scoville::server {

namespace {

constexpr size_t kMaxMessage = 512;
constexpr size_t kMaxDescription = 200;

// At most `limit` bytes, cut between code points; bytes that are not UTF-8 end it.
std::string Cut(absl::string_view text, size_t limit) {
  const absl::string_view part = text.substr(0, std::min(text.size(), limit));
  return std::string(part.substr(0, model::ValidUtf8Prefix(part)));
}

int64_t Milliseconds64(Duration d) { return (d.value() + 999'999) / 1'000'000; }

void AddErrorInfo(const ServiceError& error, google::rpc::Status* out) {
  google::rpc::ErrorInfo info;
  info.set_reason(error.row().name);
  info.set_domain("scoville");
  for (const auto& [key, value] : error.metadata) {
    (*info.mutable_metadata())[key] = Cut(value, kMaxDescription);
  }
  out->add_details()->PackFrom(info);
}

// `violations` limits how many are written.
void AddBadRequest(const ServiceError& error, size_t violations, google::rpc::Status* out) {
  google::rpc::BadRequest bad;
  for (size_t i = 0; i < violations; ++i) {
    auto* violation = bad.add_field_violations();
    violation->set_field(Cut(error.violations[i].field, kMaxDescription));
    violation->set_description(Cut(error.violations[i].description, kMaxDescription));
  }
  out->add_details()->PackFrom(bad);
}

void AddResource(const ServiceError& error, google::rpc::Status* out) {
  google::rpc::ResourceInfo resource;
  resource.set_resource_type(error.resource_type);
  resource.set_resource_name(Cut(error.resource_name, kMaxDescription));
  out->add_details()->PackFrom(resource);
}

void AddRetry(Duration after, google::rpc::Status* out) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(after.value() / 1'000'000'000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(after.value() % 1'000'000'000));
  out->add_details()->PackFrom(retry);
}

google::rpc::Status Build(const ServiceError& error, size_t violations) {
  google::rpc::Status out;
  out.set_code(static_cast<int>(error.row().grpc_code));
  out.set_message(Cut(error.message, kMaxMessage));
  AddErrorInfo(error, &out);
  if (violations > 0) {
    AddBadRequest(error, violations, &out);
  }
  if (!error.resource_type.empty()) {
    AddResource(error, &out);
  }
  if (error.reason == ErrorReason::kQueueFull || error.reason == ErrorReason::kQuota) {
    google::rpc::QuotaFailure quota;
    auto* violation = quota.add_violations();
    violation->set_subject(error.reason == ErrorReason::kQuota ? "tenant" : "queue");
    violation->set_description(Cut(error.message, kMaxDescription));
    out.add_details()->PackFrom(quota);
  }
  if (error.reason == ErrorReason::kWrongState || error.reason == ErrorReason::kFaultsDisabled) {
    google::rpc::PreconditionFailure failure;
    auto* violation = failure.add_violations();
    violation->set_type(error.row().name);
    violation->set_description(Cut(error.message, kMaxDescription));
    out.add_details()->PackFrom(failure);
  }
  if (error.retry_after > Duration()) {
    AddRetry(error.retry_after, &out);
  }
  if (error.partial) {
    v1::PartialUsage partial;
    FillPartialUsage(*error.partial, &partial);
    out.add_details()->PackFrom(partial);
  }
  return out;
}

}  // namespace

grpc::Status ToGrpcStatus(const ServiceError& error) {
  size_t violations = error.violations.size();
  google::rpc::Status out = Build(error, violations);
  while (out.ByteSizeLong() > kMaxStatusDetails && violations > 1) {
    violations /= 2;
    out = Build(error, violations);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(out.code()), out.message(),
                      out.SerializeAsString());
}

std::vector<std::pair<std::string, std::string>> TrailersOf(const ServiceError& error,
                                                            absl::string_view request_id) {
  std::vector<std::pair<std::string, std::string>> out;
  if (!request_id.empty()) {
    out.emplace_back("x-request-id", std::string(request_id));
  }
  if (error.row().retry != RetryRule::kNotARefusal) {
    out.emplace_back("grpc-retry-pushback-ms", error.retry_after > Duration()
                                                   ? absl::StrCat(Milliseconds64(error.retry_after))
                                                   : "-1");
  }
  return out;
}

}  // namespace scoville::server
