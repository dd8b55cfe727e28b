#include "server/openai/openai_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace scoville::server {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::Final SomeFinal() {
  v1::Final final;
  final.add_choices()->set_finish_reason(v1::FINISH_REASON_STOP);
  final.mutable_usage()->set_prompt_tokens(10);
  final.mutable_usage()->set_completion_tokens(3);
  final.mutable_energy()->mutable_total()->set_microjoules(2'500'000);
  final.mutable_energy()->mutable_prefill()->set_microjoules(500'000);
  final.mutable_energy()->mutable_decode()->set_microjoules(2'000'000);
  return final;
}

// The object of one event, whose framing is checked.
json EventOf(const std::string& event) {
  EXPECT_THAT(event, StartsWith("data: {"));
  EXPECT_THAT(event, EndsWith("}\n\n"));
  EXPECT_EQ(event.find('\n'), event.size() - 2);
  EXPECT_EQ(event.find('\r'), std::string::npos);
  return json::parse(event.substr(6));
}

TEST(OpenAiResponseTest, ChatChunksCarryTheRoleFirstAndTheReasonLast) {
  OpenAiCall call;
  call.include_usage = true;
  OpenAiResponse response(call, "r1", "m", "f", 123);
  const json first = EventOf(response.Event({.text = "Hel", .tokens = 1}));
  EXPECT_EQ(first["id"], "chatcmpl-r1");
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["created"], 123);
  EXPECT_EQ(first["model"], "m");
  EXPECT_EQ(first["choices"][0]["delta"], json({{"role", "assistant"}, {"content", "Hel"}}));
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  EXPECT_TRUE(first["usage"].is_null());
  const v1::Final final = SomeFinal();
  const json last = EventOf(
      response.Event({.text = "lo", .tokens = 2, .finish_reason = "stop", .final = &final}));
  EXPECT_EQ(last["choices"][0]["delta"], json({{"content", "lo"}}));
  EXPECT_EQ(last["choices"][0]["finish_reason"], "stop");
  const std::string trailer = response.Trailer(final);
  EXPECT_THAT(trailer, EndsWith("}\n\ndata: [DONE]\n\n"));
  const json usage = EventOf(trailer.substr(0, trailer.find("data: [DONE]")));
  EXPECT_EQ(usage["choices"], json::array());
  EXPECT_EQ(usage["usage"]["total_tokens"], 13);
  EXPECT_EQ(usage["usage"]["energy"]["joules"], 2.5);
  EXPECT_EQ(usage["usage"]["energy"]["emulated"], true);
}

TEST(OpenAiResponseTest, WithoutUsageTheTrailerIsDone) {
  OpenAiCall call;
  OpenAiResponse response(call, "r1", "m", "f", 123);
  EXPECT_FALSE(EventOf(response.Event({.text = "x", .tokens = 1})).contains("usage"));
  EXPECT_EQ(response.Trailer(SomeFinal()), "data: [DONE]\n\n");
}

TEST(OpenAiResponseTest, ContinuousUsageCountsUp) {
  OpenAiCall call;
  call.route = OpenAiRoute::kCompletions;
  call.continuous_usage = true;
  // Without the other option it is none.
  EXPECT_FALSE(EventOf(OpenAiResponse(call, "r1", "m", "f", 123).Event({.text = "x", .tokens = 1}))
                   .contains("usage"));
  call.include_usage = true;
  OpenAiResponse response(call, "r1", "m", "f", 123);
  response.set_prompt_tokens(10);
  const auto usage = [](int tokens) {
    return json(
        {{"prompt_tokens", 10}, {"completion_tokens", tokens}, {"total_tokens", 10 + tokens}});
  };
  EXPECT_EQ(EventOf(response.Event({.text = "x", .tokens = 1}))["usage"], usage(1));
  EXPECT_EQ(EventOf(response.Event({.text = "x", .tokens = 2}))["usage"], usage(3));
}

TEST(OpenAiResponseTest, WholeAnswers) {
  OpenAiCall call;
  const json chat =
      json::parse(OpenAiResponse(call, "r", "m", "f", 1).Body({"hi"}, {0}, SomeFinal()));
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(chat["choices"][0]["message"], json({{"role", "assistant"}, {"content", "hi"}}));
  EXPECT_EQ(chat["usage"]["prompt_tokens"], 10);
  call.route = OpenAiRoute::kCompletions;
  const json text =
      json::parse(OpenAiResponse(call, "r", "m", "f", 1).Body({"hi"}, {0}, SomeFinal()));
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["choices"][0]["text"], "hi");
  EXPECT_EQ(text["id"], "cmpl-r");
}

TEST(OpenAiResponseTest, EachChoiceHasItsOwnRoleAndReason) {
  OpenAiCall call;
  OpenAiResponse response(call, "r1", "m", "f", 123);
  for (const uint32_t index : {0u, 15u}) {
    const json first = EventOf(response.Event({.index = index, .text = "a", .tokens = 1}));
    EXPECT_EQ(first["choices"][0]["index"], index);
    EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  }
  const json last =
      EventOf(response.Event({.index = 15, .text = "", .tokens = 0, .finish_reason = "length"}));
  EXPECT_EQ(last["choices"][0]["index"], 15);
  EXPECT_FALSE(last["choices"][0]["delta"].contains("role"));
  EXPECT_EQ(last["choices"][0]["finish_reason"], "length");
}

TEST(OpenAiResponseTest, ChosenTextsAreNumberedAnewAndKeepTheirReasons) {
  v1::Final final = SomeFinal();
  final.add_choices()->set_finish_reason(v1::FINISH_REASON_LENGTH);
  OpenAiCall call;
  const json body =
      json::parse(OpenAiResponse(call, "r", "m", "f", 1).Body({"b", "a"}, {1, 0}, final));
  ASSERT_EQ(body["choices"].size(), 2u);
  EXPECT_EQ(body["choices"][0]["index"], 0);
  EXPECT_EQ(body["choices"][0]["message"]["content"], "b");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["choices"][1]["index"], 1);
  EXPECT_EQ(body["choices"][1]["finish_reason"], "stop");
}

TEST(OpenAiResponseTest, EveryErrorOfTheTableHasAnAnswer) {
  for (const ErrorRow& row : ErrorTable()) {
    ServiceError error;
    error.reason = row.reason;
    error.message = "what";
    const json body = json::parse(OpenAiError(OpenAiRoute::kChat, error));
    EXPECT_EQ(body["error"]["type"], row.openai_type);
    EXPECT_EQ(body["error"]["code"], row.openai_code);
    EXPECT_EQ(body["error"]["message"], "what");
    EXPECT_TRUE(body["error"]["param"].is_null());
  }
}

TEST(OpenAiResponseTest, ErrorsNameTheFieldAsTheClientWroteIt) {
  const json body = json::parse(
      OpenAiError(OpenAiRoute::kChat, InvalidField("sampling.top_p", "must be above 0")));
  EXPECT_EQ(body["error"]["param"], "top_p");
  EXPECT_EQ(body["error"]["message"], "top_p: must be above 0");
}

TEST(OpenAiResponseTest, RetryHeadersRoundUp) {
  ServiceError error;
  error.reason = ErrorReason::kQueueFull;
  error.retry_after = Milliseconds(1200) + Nanoseconds(1);
  const HttpHeaders headers = OpenAiErrorHeaders(error);
  EXPECT_EQ(headers[0].second, "true");
  EXPECT_EQ(headers[1].second, "1201");
  EXPECT_EQ(headers[2].second, "2");
  error.retry_after = Duration();
  EXPECT_EQ(OpenAiErrorHeaders(error)[0].second, "false");
}

TEST(OpenAiResponseTest, BrokenUtf8IsReplacedNotSent) {
  OpenAiCall call;
  OpenAiResponse response(call, "r", "m", "f", 1);
  EXPECT_THAT(response.Event({.text = "a\xff", .tokens = 1}), HasSubstr("a\xef\xbf\xbd"));
}

}  // namespace
}  // namespace scoville::server
