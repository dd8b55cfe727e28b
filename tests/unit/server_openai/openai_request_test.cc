#include "server/openai/openai_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

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
      {"role": "developer", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Why "}, {"type": "text",
       "text": "so?"}], "name": "ann"}],
    "max_completion_tokens": 12, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
    "presence_penalty": 0.25, "frequency_penalty": -0.5, "repetition_penalty": 1.5, "seed": -1,
    "stop": ["a", "b"], "stream": true, "stream_options": {"include_usage": true},
    "ignore_eos": true, "min_tokens": 3, "n": 1, "logit_bias": {"7": -100}, "logprobs": null})");
  EXPECT_EQ(call.chat.model(), "m");
  ASSERT_EQ(call.chat.messages_size(), 2);
  EXPECT_EQ(call.chat.messages(0).role(), "system");
  EXPECT_EQ(call.chat.messages(1).content(), "Why \nso?");
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

TEST(OpenAiRequestTest, ReadsHowUrgentItIs) {
  const auto scheduling = [](const std::string& fields) {
    return Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", )" + fields + "}")
        .generate.scheduling();
  };
  EXPECT_EQ(scheduling(R"("ttft_target_ms": 250)").ttft_target_ns(), 250'000'000u);
  EXPECT_EQ(scheduling(R"("itl_target_ms": 0.5)").itl_target_ns(), 500'000u);
  EXPECT_TRUE(scheduling(R"("drafts": false)").no_drafts());
  EXPECT_FALSE(scheduling(R"("drafts": true)").no_drafts());
  EXPECT_EQ(scheduling(R"("cache_salt": "s")").cache_salt(), "s");
  const std::pair<const char*, v1::ServiceClass> classes[] = {
      {R"("service_class": "interactive")", v1::SERVICE_CLASS_INTERACTIVE},
      {R"("service_class": "batch")", v1::SERVICE_CLASS_BATCH},
      {R"("service_tier": "auto")", v1::SERVICE_CLASS_UNSPECIFIED},
      {R"("service_tier": "flex")", v1::SERVICE_CLASS_BATCH},
      {R"("service_tier": "priority")", v1::SERVICE_CLASS_INTERACTIVE},
      {R"("priority": -1)", v1::SERVICE_CLASS_INTERACTIVE},
      {R"("priority": 0)", v1::SERVICE_CLASS_STANDARD},
      {R"("priority": 18446744073709551615)", v1::SERVICE_CLASS_BATCH},
      {R"("priority": 5, "service_tier": "priority")", v1::SERVICE_CLASS_BATCH},
      {R"("priority": 5, "service_class": "standard")", v1::SERVICE_CLASS_STANDARD},
  };
  for (const auto& [fields, expected] : classes) {
    EXPECT_EQ(scheduling(fields).service_class(), expected) << fields;
  }
  for (const char* wrong :
       {R"("ttft_target_ms": -1)", R"("itl_target_ms": 1e9)", R"("priority": 0.5)",
        R"("service_class": "urgent")", R"("drafts": 1)"}) {
    const std::string name = std::string(wrong).substr(1, std::string(wrong).find('"', 1) - 1);
    EXPECT_THAT(
        ErrorOf(OpenAiRoute::kCompletions, std::string(R"({"prompt": "x", )") + wrong + "}"),
        HasSubstr(name))
        << wrong;
  }
}

TEST(OpenAiRequestTest, ReadsResponseFormats) {
  const auto constraint = [](const std::string& fields) {
    return Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", )" + fields + "}")
        .generate.constraint();
  };
  EXPECT_EQ(constraint(R"("response_format": null)").kind_case(), v1::Constraint::KIND_NOT_SET);
  EXPECT_EQ(constraint(R"("response_format": {"type": "text"})").kind_case(),
            v1::Constraint::KIND_NOT_SET);
  EXPECT_TRUE(constraint(R"("response_format": {"type": "json_object"})").has_json_object());
  // In the order of the client, which is that of the answer.
  EXPECT_EQ(constraint(R"("response_format": {"type": "json_schema", "json_schema": {
                          "name": "n", "strict": true, "schema": {"type": "object",
                          "properties": {"z": {"type": "null"}, "a": {"const": 1.5}}}}})")
                .json_schema(),
            R"({"type":"object","properties":{"z":{"type":"null"},"a":{"const":1.5}}})");
  // As it was written but for the blanks; the last of several counts, however its name is written.
  EXPECT_EQ(constraint(R"("x": {"response_format": 1}, "response_format": 7,
                          "response\u005fformat" : {"type": "json_schema", "json_schema" : {
                          "schema": {}, "schema": {"a b": ["}\"{ ", -1.50e3, {}, [ ]] , "c": true}
                          }})")
                .json_schema(),
            R"({"a b":["}\"{ ",-1.50e3,{},[]],"c":true})");
  EXPECT_EQ(constraint(R"("guided_regex": "a+")").regex(), "a+");
  EXPECT_EQ(constraint(R"("guided_choice": ["x", "y"])").choices().texts(1), "y");
  EXPECT_TRUE(Parse(OpenAiRoute::kChat, R"({"messages": [{"role": "user", "content": "x"}],
                    "response_format": {"type": "json_object"}})")
                  .chat.constraint()
                  .has_json_object());
  const std::pair<const char*, const char*> wrong[] = {
      {R"("response_format": 1)", "response_format"},
      {R"("response_format": {})", "response_format.type"},
      {R"("response_format": {"type": "xml"})", "response_format.type"},
      {R"("response_format": {"type": "json_schema"})", "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {}})",
       "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": 1}})",
       "response_format.json_schema.strict"},
      {R"("guided_choice": "x")", "guided_choice"},
      {R"("guided_choice": [1])", "guided_choice"},
      {R"("guided_regex": "a", "guided_choice": ["x"])", "guided_choice"},
      {R"("response_format": {"type": "json_object"}, "guided_regex": "a")", "guided_regex"},
  };
  for (const auto& [fields, name] : wrong) {
    EXPECT_THAT(
        ErrorOf(OpenAiRoute::kCompletions, std::string(R"({"prompt": "x", )") + fields + "}"),
        HasSubstr(name))
        << fields;
  }
}

// Finding the schema is no matter of how many names stand around it.
TEST(OpenAiRequestTest, ASchemaAmongManyNamesIsFoundAtOnce) {
  std::string body = R"({"prompt": "x")";
  for (int i = 0; i < 200'000; ++i) {
    body += ",\"" + std::to_string(i) + "\":0";
  }
  body += R"(, "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}})";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Parse(OpenAiRoute::kCompletions, body).generate.constraint().json_schema(), "{}");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("200,000 names: %.3f s\n", took.count());
  EXPECT_LT(took.count(), 10);
}

TEST(OpenAiRequestTest, BestOfDrawsMoreThanItAnswersWith) {
  OpenAiCall call = Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", "n": 2, "best_of": 5})");
  EXPECT_EQ(call.n, 2u);
  EXPECT_EQ(call.best_of, 5u);
  EXPECT_EQ(call.generate.sampling().n(), 5u);
  call = Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", "best_of": 1, "stream": true})");
  EXPECT_EQ(call.best_of, 0u);
  call = Parse(OpenAiRoute::kCompletions, R"({"prompt": "x", "n": 3})");
  EXPECT_EQ(call.best_of, 0u);
  EXPECT_EQ(call.generate.sampling().n(), 3u);
  for (const char* wrong : {R"("n": 3, "best_of": 2)", R"("best_of": 17)", R"("best_of": 0)",
                            R"("best_of": 2, "stream": true)", R"("best_of": "two")"}) {
    EXPECT_THAT(
        ErrorOf(OpenAiRoute::kCompletions, std::string(R"({"prompt": "x", )") + wrong + "}"),
        HasSubstr("best_of"))
        << wrong;
  }
}

TEST(OpenAiRequestTest, WhatIsNotServedIsRefused) {
  const auto chat = [](const std::string& field) {
    return ErrorOf(OpenAiRoute::kChat,
                   R"({"messages": [{"role": "user", "content": "x"}], )" + field + "}");
  };
  for (const char* field :
       {R"("tools": [{"type": "function"}])", R"("guided_json": {"type": "object"})",
        R"("logprobs": true)", R"("logprobs": 0)", R"("prompt_logprobs": 0)",
        R"("add_generation_prompt": false)", R"("modalities": ["audio"])"}) {
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
