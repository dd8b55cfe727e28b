#include "server/openai/openai_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace scoville::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

OpenAiCall Parse(OpenAiRoute route, const std::string& body) {
  OpenAiCall call;
  const auto error = ParseOpenAiRequest(route, body, &call);
  EXPECT_FALSE(error) << error->message << " in " << body;
  return call;
}

// The name of the field and the message.
std::string ErrorOf(OpenAiRoute route, const std::string& body) {
  OpenAiCall call;
  const auto error = ParseOpenAiRequest(route, body, &call);
  if (!error) {
    return "no error";
  }
  return std::string(error->row().name) + " " + error->message;
}

TEST(OpenAiRequestTest, ReadsAChat) {
  const OpenAiCall call = Parse(OpenAiRoute::kChat, R"({
    "model": "m", "messages": [
      {"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Why "}, {"type": "text",
       "text": "so?"}], "name": "ann"}],
    "max_completion_tokens": 12, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
    "presence_penalty": 0.25, "frequency_penalty": -0.5, "repetition_penalty": 1.5, "seed": -1,
    "stop": ["a", "b"], "stream": true, "stream_options": {"include_usage": true},
    "ignore_eos": true, "min_tokens": 3, "n": 1, "logit_bias": {"7": -100}, "logprobs": null})");
  EXPECT_EQ(call.chat.model(), "m");
  ASSERT_EQ(call.chat.messages_size(), 2);
  EXPECT_EQ(call.chat.messages(0).role(), "system");
  EXPECT_EQ(call.chat.messages(1).content(), "Why so?");
  EXPECT_EQ(call.chat.messages(1).name(), "ann");
  EXPECT_EQ(call.chat.stop().max_tokens(), 12u);
  EXPECT_EQ(call.chat.stop().min_tokens(), 3u);
  EXPECT_THAT(call.chat.stop().strings(), ElementsAre("a", "b"));
  EXPECT_TRUE(call.chat.stop().ignore_eos());
  const v1::Sampling& sampling = call.chat.sampling();
  EXPECT_EQ(sampling.temperature(), 0.5f);
  EXPECT_EQ(sampling.top_p(), 0.9f);
  EXPECT_EQ(sampling.top_k(), 40u);
  EXPECT_EQ(sampling.min_p(), 0.1f);
  EXPECT_EQ(sampling.presence_penalty(), 0.25f);
  EXPECT_EQ(sampling.frequency_penalty(), -0.5f);
  EXPECT_EQ(sampling.repetition_penalty(), 1.5f);
  EXPECT_EQ(sampling.seed(), ~uint64_t{0});
  EXPECT_EQ(sampling.logit_bias().at(7), -100);
  EXPECT_TRUE(call.stream);
  EXPECT_TRUE(call.include_usage);
  EXPECT_THAT(call.ignored, IsEmpty());
}

TEST(OpenAiRequestTest, AbsentAndNullFieldsStayUnset) {
  const OpenAiCall call =
      Parse(OpenAiRoute::kChat,
            R"({"messages": [{"role": "user", "content": "x"}], "temperature": null, "stop": null,
                "tools": [], "response_format": {"type": "text"}})");
  EXPECT_FALSE(call.chat.sampling().has_temperature());
  EXPECT_FALSE(call.chat.sampling().has_seed());
  EXPECT_FALSE(call.chat.stop().has_max_tokens());
  EXPECT_FALSE(call.stream);
}

TEST(OpenAiRequestTest, ReadsPromptsOfEveryForm) {
  EXPECT_EQ(Parse(OpenAiRoute::kCompletions, R"({"prompt": "hello"})").generate.text(), "hello");
  EXPECT_EQ(Parse(OpenAiRoute::kCompletions, R"({"prompt": ["hello"]})").generate.text(), "hello");
  EXPECT_THAT(Parse(OpenAiRoute::kCompletions, R"({"prompt": [1, 2]})").generate.token_ids().ids(),
              ElementsAre(1, 2));
  EXPECT_THAT(
      Parse(OpenAiRoute::kCompletions, R"({"prompt": [[1, 2]]})").generate.token_ids().ids(),
      ElementsAre(1, 2));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kCompletions, R"({"prompt": ["a", "b"]})"),
              HasSubstr("UNSUPPORTED_FEATURE prompt"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kCompletions, R"({"prompt": [1, "b"]})"),
              HasSubstr("INVALID_FIELD prompt"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kCompletions, R"({"prompt": [-1]})"),
              HasSubstr("INVALID_FIELD prompt"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kCompletions, "{}"), HasSubstr("prompt: is missing"));
}

TEST(OpenAiRequestTest, CompletionsDrawSixteenTokensUnlessTold) {
  EXPECT_EQ(Parse(OpenAiRoute::kCompletions, R"({"prompt": "x"})").generate.stop().max_tokens(),
            16u);
  EXPECT_EQ(Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", "max_tokens": 5})")
                .generate.stop()
                .max_tokens(),
            5u);
}

TEST(OpenAiRequestTest, WrongTypesNameTheField) {
  const auto chat = [](const std::string& field) {
    return ErrorOf(OpenAiRoute::kChat,
                   R"({"messages": [{"role": "user", "content": "x"}], )" + field + "}");
  };
  EXPECT_THAT(chat(R"("temperature": "hot")"), HasSubstr("INVALID_FIELD temperature"));
  EXPECT_THAT(chat(R"("temperature": 1e300)"), HasSubstr("INVALID_FIELD temperature"));
  EXPECT_THAT(chat(R"("max_tokens": -1)"), HasSubstr("INVALID_FIELD max_tokens"));
  EXPECT_THAT(chat(R"("max_tokens": 1.5)"), HasSubstr("INVALID_FIELD max_tokens"));
  EXPECT_THAT(chat(R"("max_tokens": 99999999999)"), HasSubstr("INVALID_FIELD max_tokens"));
  EXPECT_THAT(chat(R"("stream": 1)"), HasSubstr("INVALID_FIELD stream"));
  EXPECT_THAT(chat(R"("stop": [1])"), HasSubstr("INVALID_FIELD stop"));
  EXPECT_THAT(chat(R"("stream_options": {"include_usage": "yes"})"),
              HasSubstr("stream_options.include_usage"));
  EXPECT_THAT(chat(R"("logit_bias": {"x": 1})"), HasSubstr("logit_bias"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, R"({"messages": []})"), HasSubstr("messages"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, R"({"messages": [{"role": 1}]})"),
              HasSubstr("messages[0].role"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, R"({"messages": [{"content": {"a": 1}}]})"),
              HasSubstr("messages[0].content"));
}

TEST(OpenAiRequestTest, WhatIsNotServedIsRefused) {
  const auto chat = [](const std::string& field) {
    return ErrorOf(OpenAiRoute::kChat,
                   R"({"messages": [{"role": "user", "content": "x"}], )" + field + "}");
  };
  for (const char* field :
       {R"("tools": [{"type": "function"}])", R"("response_format": {"type": "json_object"})",
        R"("logprobs": true)", R"("modalities": ["audio"])"}) {
    EXPECT_THAT(chat(field), HasSubstr("UNSUPPORTED_FEATURE")) << field;
  }
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat,
                      R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})"),
              HasSubstr("UNSUPPORTED_FEATURE"));
  EXPECT_EQ(chat(R"("logprobs": false, "tool_choice": "none", "modalities": ["text"])"),
            "no error");
}

TEST(OpenAiRequestTest, UnknownFieldsAreNamedIfTheyAreSafeToName) {
  const OpenAiCall call = Parse(OpenAiRoute::kChat,
                                R"({"messages": [{"role": "user", "content": "x"}],
                                    "zeta": 1, "alpha": 2, "user": "u", "a\r\nb": 3})");
  EXPECT_THAT(call.ignored, ElementsAre("alpha", "zeta"));
}

TEST(OpenAiRequestTest, BodiesThatAreNotJsonObjects) {
  for (const char* body : {"", "{", "[]", "1", "nul", "{\"a\": \"\xff\"}", "{} {}"}) {
    EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, body), HasSubstr("INVALID_FIELD body")) << body;
  }
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, std::string(1'000'000, '[')),
              HasSubstr("nested 1000000 levels"));
  EXPECT_THAT(ErrorOf(OpenAiRoute::kChat, "{\"a\": \"" + std::string(100, '[') + "\"}"),
              HasSubstr("messages"));
}

TEST(OpenAiRequestTest, NativeFieldNamesAreTranslatedBack) {
  EXPECT_EQ(OpenAiFieldName(OpenAiRoute::kChat, "sampling.top_p"), "top_p");
  EXPECT_EQ(OpenAiFieldName(OpenAiRoute::kChat, "stop.strings[3]"), "stop");
  EXPECT_EQ(OpenAiFieldName(OpenAiRoute::kChat, "stop.max_tokens"), "max_tokens");
  EXPECT_EQ(OpenAiFieldName(OpenAiRoute::kCompletions, "text"), "prompt");
  EXPECT_EQ(OpenAiFieldName(OpenAiRoute::kChat, "messages[0].role"), "messages[0].role");
}

}  // namespace
}  // namespace scoville::server
