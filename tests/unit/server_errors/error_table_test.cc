#include "server/errors/error_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "server/errors/service_error.h"

namespace scoville::server {
namespace {

using scheduler::Outcome;
using scheduler::Refusal;
using scheduler::RefusalReason;
using scheduler::RequestRecord;

TEST(ErrorTable, EveryReasonHasOneRowWithNamesOfItsOwn) {
  std::set<std::string> names;
  for (const ErrorRow& row : ErrorTable()) {
    EXPECT_EQ(&RowOf(row.reason), &row);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    // Clients of the OpenAI API know a quota by another name.
    EXPECT_EQ(
        row.reason == ErrorReason::kQuota ? "rate_limit_exceeded" : absl::AsciiStrToLower(row.name),
        row.openai_code);
    EXPECT_NE(row.grpc_code, absl::StatusCode::kOk);
  }
}

TEST(ErrorTable, GrpcAndHttpSayTheSame) {
  for (const ErrorRow& row : ErrorTable()) {
    switch (row.grpc_code) {
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kUnimplemented:
        EXPECT_EQ(row.http_status, 400) << row.name;
        break;
      case absl::StatusCode::kNotFound:
        EXPECT_EQ(row.http_status, 404) << row.name;
        break;
      case absl::StatusCode::kUnavailable:
        EXPECT_EQ(row.http_status, 503) << row.name;
        break;
      case absl::StatusCode::kDeadlineExceeded:
        EXPECT_EQ(row.http_status, 504) << row.name;
        break;
      default:
        EXPECT_GE(row.http_status, 400) << row.name;
    }
    const bool client_fault = row.http_status < 500 && row.http_status != 429;
    EXPECT_EQ(std::string(row.openai_type) == "invalid_request_error", client_fault) << row.name;
  }
}

Refusal RefusalOf(RefusalReason reason) { return {reason, "why", 12, 10, Milliseconds(700)}; }

TEST(ServiceError, RefusalsKeepTheirNumbersAndTheirRetryTime) {
  const ServiceError full = ErrorOfRefusal(RefusalOf(RefusalReason::kQueueFull));
  EXPECT_EQ(full.reason, ErrorReason::kQueueFull);
  EXPECT_EQ(full.retry_after, Milliseconds(700));
  ASSERT_EQ(full.metadata.size(), 2u);
  EXPECT_EQ(full.metadata[0], std::make_pair(std::string("needed"), std::string("12")));
  EXPECT_EQ(full.metadata[1], std::make_pair(std::string("limit"), std::string("10")));

  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kDraining)).retry_after, Seconds(1));
  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kNoDevice)).reason, ErrorReason::kNoDevice);
  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kPower)).reason, ErrorReason::kPowerBudget);
  // No time makes a prompt shorter.
  const ServiceError context = ErrorOfRefusal(RefusalOf(RefusalReason::kContextLengthExceeded));
  EXPECT_EQ(context.retry_after, Duration());
  ASSERT_EQ(context.violations.size(), 1u);
  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kNeverFits)).reason, ErrorReason::kNeverFits);
  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kInvalid)).reason, ErrorReason::kInvalidField);
  EXPECT_EQ(ErrorOfRefusal(RefusalOf(RefusalReason::kDeadlineExceeded)).reason,
            ErrorReason::kDeadlineExceeded);
}

RequestRecord EndedWith(Outcome outcome, int64_t tokens) {
  RequestRecord record;
  record.outcome = outcome;
  record.output_tokens = tokens;
  record.prompt_tokens = 5;
  return record;
}

TEST(ServiceError, EndsCarryWhatWasSpent) {
  const ServiceError slow = ErrorOfEnd(EndedWith(Outcome::kSlowConsumer, 9));
  EXPECT_EQ(slow.reason, ErrorReason::kSlowConsumer);
  ASSERT_TRUE(slow.partial.has_value());
  EXPECT_EQ(slow.partial->output_tokens, 9);
  EXPECT_NE(slow.message.find("9 tokens"), std::string::npos);
  // The client's doing, and nothing to try again: OpenAI's clients would after any 5xx.
  EXPECT_EQ(slow.row().http_status, 499);
  EXPECT_EQ(slow.retry_after, Duration());
  const ServiceError costly = ErrorOfEnd(EndedWith(Outcome::kConstraint, 3));
  EXPECT_EQ(costly.reason, ErrorReason::kConstraintTooCostly);
  EXPECT_NE(costly.message.find("ask for less"), std::string::npos);
  EXPECT_EQ(costly.retry_after, Duration());
  EXPECT_EQ(ErrorOfEnd(EndedWith(Outcome::kInternal, 0)).reason, ErrorReason::kInternal);
  EXPECT_EQ(ErrorOfEnd(EndedWith(Outcome::kCancelled, 0)).reason, ErrorReason::kCancelled);
  EXPECT_EQ(ErrorOfEnd(EndedWith(Outcome::kDraining, 1)).reason, ErrorReason::kServerDraining);
}

TEST(ServiceError, ALostDeviceIsWorthARetryOnlyIfNothingWasSent) {
  EXPECT_GT(ErrorOfEnd(EndedWith(Outcome::kDeviceLost, 0)).retry_after, Duration());
  EXPECT_EQ(ErrorOfEnd(EndedWith(Outcome::kDeviceLost, 1)).retry_after, Duration());
}

}  // namespace
}  // namespace scoville::server
