// Structured output over gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <string>
#include <thread>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr char kSchema[] = R"({"type": "object", "additionalProperties": false,
  "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 22, 333]}},
  "required": ["ok", "n"]})";

v1::GenerateRequest Request(uint64_t seed = 3) {
  v1::GenerateRequest request;
  request.set_text("say something");
  request.mutable_sampling()->set_seed(seed);
  request.mutable_stop()->set_max_tokens(100);
  return request;
}

class ConstraintCallTest : public ::testing::Test {
 protected:
  ServerFixture f;
};

TEST_F(ConstraintCallTest, EveryKindIsKept) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    v1::GenerateRequest request = Request(seed);
    request.mutable_constraint()->set_regex("[0-9]{4}-(a|b)+x");
    Answer answer = Generate(f.completions.get(), request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    if (answer.final->choices(0).finish_reason() == v1::FINISH_REASON_STOP) {
      EXPECT_THAT(answer.text, MatchesRegex("[0-9]{4}-[ab]+x"));
    }
    request.mutable_constraint()->set_json_schema(kSchema);
    answer = Generate(f.completions.get(), request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_THAT(answer.text, ContainsRegex("\"ok\"[[:space:]]*:[[:space:]]*(true|false)"));
    request.mutable_constraint()->clear_kind();
    request.mutable_constraint()->mutable_choices()->add_texts("yes");
    request.mutable_constraint()->mutable_choices()->add_texts("no way");
    answer = Generate(f.completions.get(), request);
    EXPECT_THAT(answer.text, AnyOf("yes", "no way"));
    EXPECT_EQ(answer.final->choices(0).finish_reason(), v1::FINISH_REASON_STOP);
    request.mutable_constraint()->mutable_json_object();
    answer = Generate(f.completions.get(), request);
    EXPECT_EQ(answer.text.substr(0, 1), "{");
  }
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(ConstraintCallTest, WhatWasReadAnotherWayIsSaid) {
  v1::GenerateRequest request = Request();
  request.mutable_constraint()->set_json_schema(R"({"oneOf": [{"const": 1}, {"const": 2}]})");
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.final.has_value()) << answer.status.error_message();
  ASSERT_GT(answer.final->constraint_notes_size(), 0);
  EXPECT_THAT(answer.final->constraint_notes(0), HasSubstr("oneOf"));
}

TEST_F(ConstraintCallTest, EachChoiceKeepsIt) {
  v1::GenerateRequest request = Request();
  request.mutable_sampling()->set_n(6);
  request.mutable_constraint()->set_regex("[a-c]{5}");
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  std::map<uint32_t, std::string> texts;
  for (const v1::Chunk& chunk : answer.chunks) texts[chunk.index()] += chunk.text();
  ASSERT_EQ(texts.size(), 6u);
  for (const auto& [index, text] : texts) {
    EXPECT_THAT(text, MatchesRegex("[a-c]{5}"));
  }
}

TEST_F(ConstraintCallTest, WhatIsWrongIsNamedWithItsPlace) {
  v1::GenerateRequest request = Request();
  request.mutable_constraint()->set_regex("ab(c");
  Answer answer = Generate(f.completions.get(), request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(answer.status), "INVALID_FIELD");
  EXPECT_EQ(FieldOf(answer.status), "constraint.regex");
  EXPECT_THAT(answer.status.error_message(), HasSubstr("offset"));
  request.mutable_constraint()->set_json_schema(R"({"properties": {"a": {"minimum": "x"}}})");
  answer = Generate(f.completions.get(), request);
  EXPECT_EQ(FieldOf(answer.status), "constraint.json_schema");
  EXPECT_THAT(answer.status.error_message(), HasSubstr("#/properties/a"));
  request.mutable_constraint()->set_regex("([a-z]{1,999}[0-9]{1,999}){1,999}");
  answer = Generate(f.completions.get(), request);
  EXPECT_EQ(FieldOf(answer.status), "constraint.regex");
  EXPECT_THAT(answer.status.error_message(), HasSubstr("ask for less"));
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(ConstraintCallTest, NoPromptWaitsForOneToBeCompiled) {
  std::promise<void> go;
  const std::shared_future<void> may_go(go.get_future());
  ASSERT_TRUE(f.workers->constraints.Post(Bytes(), [may_go] { may_go.wait(); }));
  auto constrained = std::async(std::launch::async, [&] {
    v1::GenerateRequest request = Request();
    request.mutable_constraint()->set_regex("[a-c]{4}");
    return Generate(f.completions.get(), request);
  });
  const auto waits = [&] { return f.workers->constraints.waiting() > Bytes(); };
  for (int i = 0; i < 1000 && !waits(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(waits());
  // Text that is tokenised on the other worker: its length is known, and told, meanwhile.
  v1::GenerateRequest request = Request();
  request.set_text(std::string(64 << 10, 'x'));
  EXPECT_EQ(ReasonOf(Generate(f.completions.get(), request).status), "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_EQ(constrained.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  go.set_value();
  const Answer answer = constrained.get();
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(ConstraintCallTest, OneThatIsKnownWaitsForNoWorker) {
  v1::GenerateRequest request = Request();
  request.mutable_constraint()->set_regex("[a-c]{5}");
  EXPECT_TRUE(Generate(f.completions.get(), request).status.ok());
  std::promise<void> go;
  ASSERT_TRUE(f.workers->constraints.Post(
      Bytes(),
      [may_go = std::make_shared<std::shared_future<void>>(go.get_future())] { may_go->wait(); }));
  EXPECT_TRUE(Generate(f.completions.get(), request).status.ok());
  // An unknown one waits, and its client may leave.
  request.mutable_constraint()->set_regex("[a-c]{6}");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(Generate(f.completions.get(), request, &context).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  go.set_value();
  EXPECT_TRUE(f.ReturnsToBaseline());
}

}  // namespace
}  // namespace scoville::tests
