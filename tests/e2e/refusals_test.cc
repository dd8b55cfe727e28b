// What the daemon refuses: each with a reason, a place and a way out, and the daemon lives on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "client/library/error_detail.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

using testing::HasSubstr;

class RefusalsTest : public DaemonTest {
 protected:
  void SetUp() override { StartDaemon({}); }

  absl::Status Ask(const v1::GenerateRequest& request) {
    return client().Generate(request, {}, nullptr).status();
  }

  void ExpectAlive() {
    const absl::Status status = Ask(LongRequest(2));
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(BecomesIdle());
  }
};

struct BadField {
  std::string field;
  std::function<void(v1::GenerateRequest&)> spoil;
};

std::vector<BadField> BadFields() {
  using R = v1::GenerateRequest;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  return {
      {"sampling.temperature", [](R& r) { r.mutable_sampling()->set_temperature(2.5f); }},
      {"sampling.temperature", [=](R& r) { r.mutable_sampling()->set_temperature(nan); }},
      {"sampling.top_p", [](R& r) { r.mutable_sampling()->set_top_p(0); }},
      {"sampling.top_p", [](R& r) { r.mutable_sampling()->set_top_p(1.5f); }},
      {"sampling.min_p", [](R& r) { r.mutable_sampling()->set_min_p(-0.1f); }},
      {"sampling.repetition_penalty",
       [](R& r) { r.mutable_sampling()->set_repetition_penalty(0); }},
      {"sampling.presence_penalty", [](R& r) { r.mutable_sampling()->set_presence_penalty(3); }},
      {"sampling.frequency_penalty", [](R& r) { r.mutable_sampling()->set_frequency_penalty(-3); }},
      {"sampling.logit_bias[7]",
       [](R& r) { (*r.mutable_sampling()->mutable_logit_bias())[7] = 101; }},
      {"sampling.n", [](R& r) { r.mutable_sampling()->set_n(17); }},
      {"stop.max_tokens", [](R& r) { r.mutable_stop()->set_max_tokens(0); }},
      {"stop.strings[0]", [](R& r) { r.mutable_stop()->add_strings(""); }},
      {"stop.token_ids[0]", [](R& r) { r.mutable_stop()->add_token_ids(304); }},
      {"output.logprobs", [](R& r) { r.mutable_output()->set_logprobs(21); }},
      {"request_id", [](R& r) { r.set_request_id("a blank"); }},
      {"token_ids", [](R& r) { r.mutable_token_ids()->add_ids(304); }},
  };
}

TEST_F(RefusalsTest, NamesTheFieldThatIsOutOfRange) {
  for (const BadField& bad : BadFields()) {
    v1::GenerateRequest request = LongRequest(2);
    bad.spoil(request);
    const absl::Status status = Ask(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field << ": " << status;
    const client::ErrorDetail detail = client::DetailOf(status);
    EXPECT_EQ(detail.reason, "INVALID_FIELD") << bad.field;
    ASSERT_EQ(detail.fields.size(), 1u) << bad.field;
    EXPECT_THAT(detail.fields[0].field, HasSubstr(bad.field));
    EXPECT_FALSE(detail.fields[0].description.empty()) << bad.field;
    EXPECT_FALSE(detail.retry_after.has_value()) << bad.field;
  }
  ExpectAlive();
}

TEST_F(RefusalsTest, UnknownModelIsNamed) {
  v1::GenerateRequest request = LongRequest(2);
  request.set_model("carolina-reaper");
  const absl::Status status = Ask(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client::DetailOf(status).reason, "MODEL_NOT_FOUND");
  EXPECT_THAT(std::string(status.message()), HasSubstr("carolina-reaper"));
  ExpectAlive();
}

TEST_F(RefusalsTest, PromptBeyondTheContext) {
  v1::GenerateRequest request = LongRequest(2);
  for (int i = 0; i < 600; ++i) {
    request.mutable_token_ids()->add_ids(5);
  }
  const absl::Status status = Ask(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client::DetailOf(status).reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(std::string(status.message()), HasSubstr("512"));
  ExpectAlive();
}

TEST_F(RefusalsTest, NoPromptAtAll) {
  v1::GenerateRequest request = LongRequest(2);
  request.clear_prompt();
  EXPECT_EQ(Ask(request).code(), absl::StatusCode::kInvalidArgument);
  request.set_text("");
  EXPECT_EQ(Ask(request).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client().Chat(v1::ChatRequest(), {}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  ExpectAlive();
}

TEST_F(RefusalsTest, MessageBeyondTheLimit) {
  v1::GenerateRequest request = LongRequest(2);
  request.mutable_text()->assign(9 << 20, 'a');
  EXPECT_EQ(Ask(request).code(), absl::StatusCode::kResourceExhausted);
  // Small enough to be received, too long as a text.
  request.mutable_text()->assign(5 << 20, 'a');
  const absl::Status status = Ask(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  ExpectAlive();
}

// Protobuf's own parser refuses such a string, so the daemon never sees the message.
TEST_F(RefusalsTest, TextThatIsNotUtf8) {
  v1::GenerateRequest request = LongRequest(2);
  request.set_text("pepper \xFF\xFE");
  const absl::Status status = Ask(request);
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(client::IsUnreachable(status)) << status;
  ExpectAlive();
}

TEST_F(RefusalsTest, FeatureThatIsNotServedYet) {
  v1::GenerateRequest request = LongRequest(2);
  request.mutable_output()->set_echo_prompt(true);
  const absl::Status status = Ask(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(client::DetailOf(status).reason, "UNSUPPORTED_FEATURE");
  ExpectAlive();
}

TEST_F(RefusalsTest, ExplainOfNobody) {
  v1::ExplainRequest request;
  request.set_request_id("nobody");
  const absl::Status status = client().Explain(request, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client::DetailOf(status).reason, "REQUEST_NOT_FOUND");
}

}  // namespace
}  // namespace scoville::tests
