#include "server/grpc/grpc_error.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "scoville/v1/errors.pb.h"

namespace scoville::server {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status out;
  EXPECT_TRUE(out.ParseFromString(status.error_details()));
  EXPECT_EQ(out.code(), static_cast<int>(status.error_code()));
  return out;
}

template <typename Detail>
std::optional<Detail> Find(const grpc::Status& status) {
  const google::rpc::Status details = DetailsOf(status);
  for (const auto& any : details.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) {
      return detail;
    }
  }
  return std::nullopt;
}

std::map<std::string, std::string> Trailers(const ServiceError& error) {
  std::map<std::string, std::string> out;
  for (auto& [key, value] : TrailersOf(error, "r-1")) {
    out[key] = value;
  }
  return out;
}

TEST(GrpcError, EveryReasonIsNamedInErrorInfo) {
  for (const ErrorRow& row : ErrorTable()) {
    ServiceError error;
    error.reason = row.reason;
    error.message = "what";
    const grpc::Status status = ToGrpcStatus(error);
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(row.grpc_code));
    const auto info = Find<google::rpc::ErrorInfo>(status);
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->reason(), row.name);
    EXPECT_EQ(info->domain(), "scoville");
  }
}

TEST(GrpcError, FieldsAndResourcesAreDetails) {
  const auto bad = Find<google::rpc::BadRequest>(ToGrpcStatus(InvalidField("stop.x", "is wrong")));
  ASSERT_TRUE(bad.has_value());
  ASSERT_EQ(bad->field_violations_size(), 1);
  EXPECT_EQ(bad->field_violations(0).field(), "stop.x");

  const auto resource = Find<google::rpc::ResourceInfo>(ToGrpcStatus(ModelNotFound("gpt", "tiny")));
  ASSERT_TRUE(resource.has_value());
  EXPECT_EQ(resource->resource_type(), "model");
  EXPECT_EQ(resource->resource_name(), "gpt");
}

TEST(GrpcError, RetryIsSaidTwice) {
  ServiceError full;
  full.reason = ErrorReason::kQueueFull;
  full.retry_after = Milliseconds(1500);
  const auto retry = Find<google::rpc::RetryInfo>(ToGrpcStatus(full));
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->retry_delay().seconds(), 1);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);
  EXPECT_TRUE(Find<google::rpc::QuotaFailure>(ToGrpcStatus(full)).has_value());
  EXPECT_EQ(Trailers(full)["grpc-retry-pushback-ms"], "1500");
  EXPECT_EQ(Trailers(full)["x-request-id"], "r-1");

  const ServiceError wrong = InvalidField("a", "b");
  EXPECT_FALSE(Find<google::rpc::RetryInfo>(ToGrpcStatus(wrong)).has_value());
  EXPECT_EQ(Trailers(wrong)["grpc-retry-pushback-ms"], "-1");
}

TEST(GrpcError, AFailureMidwaySaysWhatItCost) {
  scheduler::RequestRecord record;
  record.outcome = scheduler::Outcome::kDeadlineExceeded;
  record.prompt_tokens = 7;
  record.output_tokens = 3;
  record.prefill_energy = Energy::FromPicojoules(1'000'002);
  record.decode_energy = Energy::FromPicojoules(999'999);
  const auto partial = Find<v1::PartialUsage>(ToGrpcStatus(ErrorOfEnd(record)));
  ASSERT_TRUE(partial.has_value());
  EXPECT_EQ(partial->usage().prompt_tokens(), 7u);
  EXPECT_EQ(partial->usage().completion_tokens(), 3u);
  EXPECT_EQ(partial->energy().total().microjoules(), 2);
  EXPECT_EQ(partial->energy().total().picojoules(), 1);
}

TEST(GrpcError, DetailsStayWithinTheLimit) {
  ServiceError error = InvalidField("f", std::string(9000, 'x'));
  error.metadata.emplace_back("k", std::string(9000, 'y'));
  for (int i = 0; i < 100; ++i) {
    error.violations.push_back({absl::StrCat("field", i), std::string(300, 'z')});
  }
  const grpc::Status status = ToGrpcStatus(error);
  EXPECT_LE(status.error_details().size(), kMaxStatusDetails);
  EXPECT_TRUE(Find<google::rpc::ErrorInfo>(status).has_value());
  const auto bad = Find<google::rpc::BadRequest>(status);
  ASSERT_TRUE(bad.has_value());
  EXPECT_GE(bad->field_violations_size(), 1);
}

TEST(GrpcError, MessagesAreUtf8) {
  const grpc::Status status = ToGrpcStatus(ModelNotFound("gp\xff\xfet", "tiny"));
  EXPECT_FALSE(status.error_message().empty());
  EXPECT_EQ(status.error_message().find('\xff'), std::string::npos);
  EXPECT_TRUE(Find<google::rpc::ResourceInfo>(status).has_value());
}

}  // namespace
}  // namespace scoville::server
