#include "server/request/request_builder.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scoville/v1/completions.pb.h"
#include "tests/support/tiny_model.h"

namespace scoville::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class RequestBuilderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded =
        model::LoadModel(tests::WriteTinyModel(tests::MakeTempDir(), 1), model::LoadWeights::kNo);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    model_ = loaded->release();
  }

  static v1::GenerateRequest Parse(const std::string& text) {
    v1::GenerateRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    return request;
  }

  static std::optional<ServiceError> Build(const v1::GenerateRequest& request, BuiltRequest* out) {
    RequestContext context;
    context.model = model_;
    context.metadata_id = "from-metadata";
    context.fresh_id = "fresh";
    context.fresh_seed = 99;
    context.deadline = TimePoint(1234);
    return BuildGenerate(request, context, out);
  }

  static model::LoadedModel* model_;
};

model::LoadedModel* RequestBuilderTest::model_ = nullptr;

TEST_F(RequestBuilderTest, DefaultsAreTheDocumentedOnes) {
  BuiltRequest built;
  ASSERT_FALSE(Build(Parse("text: 'hello'"), &built).has_value());
  EXPECT_FALSE(built.request.prompt.empty());
  EXPECT_EQ(built.request.sampling.temperature, 1.0f);
  EXPECT_EQ(built.request.sampling.top_p, 1.0f);
  EXPECT_EQ(built.request.sampling.seed, 99u);
  EXPECT_EQ(built.request.sampling.logprobs, -1);
  EXPECT_EQ(built.request.sampling.prompt_logprobs, -1);
  EXPECT_EQ(built.request.max_tokens, 0);
  EXPECT_EQ(built.request.service_class, scheduler::ServiceClass::kStandard);
  EXPECT_EQ(built.request.external_id, "from-metadata");
  EXPECT_EQ(built.request.deadline, TimePoint(1234));
  const auto ends = model_->tokenizer->end_tokens();
  EXPECT_EQ(built.request.stop_tokens, std::vector<int32_t>(ends.begin(), ends.end()));
  EXPECT_EQ(built.output.stream_interval, 1u);
}

TEST_F(RequestBuilderTest, TakesEveryFieldOver) {
  BuiltRequest built;
  const auto error = Build(Parse(R"(
      model: 'tiny-1' token_ids { ids: 5 ids: 6 } request_id: 'a.B_c:1-2'
      sampling { temperature: 0 top_p: 0.5 top_k: 7 min_p: 0.1 repetition_penalty: 1.5
                 presence_penalty: -2 frequency_penalty: 2 seed: 0
                 logit_bias { key: 9 value: -100 } logit_bias { key: 3 value: 100 } n: 1 }
      stop { max_tokens: 8 min_tokens: 2 strings: 'END' token_ids: 42 ignore_eos: true
             keep_match: true }
      output { token_ids: true no_text: true keep_special_tokens: true logprobs: 0
               prompt_logprobs: 20 stream_interval: 1000 }
      scheduling { service_class: SERVICE_CLASS_BATCH energy_limit_microjoules: 5
                   ttft_target_ns: 200000000 itl_target_ns: 20000000 no_drafts: true
                   bypass_prefix_cache: true cache_salt: 'salt' })"),
                           &built);
  ASSERT_FALSE(error.has_value()) << error->message;
  EXPECT_THAT(built.request.prompt, ElementsAre(5, 6));
  EXPECT_EQ(built.request.sampling.temperature, 0.0f);
  EXPECT_EQ(built.request.sampling.top_k, 7);
  EXPECT_EQ(built.request.sampling.seed, 0u);
  EXPECT_THAT(built.request.sampling.logit_bias, ElementsAre(Pair(3, 100.0f), Pair(9, -100.0f)));
  EXPECT_EQ(built.request.sampling.logprobs, 0);
  EXPECT_EQ(built.request.sampling.prompt_logprobs, 20);
  EXPECT_THAT(built.request.stop_tokens, ElementsAre(42));
  EXPECT_FALSE(built.request.stop_strings.empty());
  EXPECT_EQ(built.request.tokenizer, model_->tokenizer.get());
  EXPECT_EQ(built.request.energy_limit, Energy::FromPicojoules(5'000'000));
  EXPECT_EQ(built.request.service_class, scheduler::ServiceClass::kBatch);
  EXPECT_EQ(built.request.ttft_target, Milliseconds(200));
  EXPECT_EQ(built.request.itl_target, Milliseconds(20));
  EXPECT_FALSE(built.request.drafts);
  EXPECT_TRUE(built.request.bypass_prefix_cache);
  EXPECT_EQ(built.request.cache_salt, "salt");
  EXPECT_EQ(built.output.request_id, "a.B_c:1-2");
  EXPECT_THAT(built.output.text.stop_strings, ElementsAre("END"));
  EXPECT_TRUE(built.output.text.keep_match);
  EXPECT_EQ(built.output.stream_interval, kMaxChunkTokens);
}

TEST_F(RequestBuilderTest, NamesTheFieldThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "prompt"},
      {"text: ''", "text"},
      {"token_ids {}", "token_ids.ids"},
      {"token_ids { ids: 304 }", "token_ids.ids[0]"},
      {"token_ids { ids: 1 ids: 4294967295 }", "token_ids.ids[1]"},
      {"text: 'a' sampling { temperature: 2.1 }", "sampling.temperature"},
      {"text: 'a' sampling { temperature: nan }", "sampling.temperature"},
      {"text: 'a' sampling { top_p: 0 }", "sampling.top_p"},
      {"text: 'a' sampling { top_p: 1.1 }", "sampling.top_p"},
      {"text: 'a' sampling { min_p: -0.1 }", "sampling.min_p"},
      {"text: 'a' sampling { repetition_penalty: 0 }", "sampling.repetition_penalty"},
      {"text: 'a' sampling { presence_penalty: 2.5 }", "sampling.presence_penalty"},
      {"text: 'a' sampling { frequency_penalty: inf }", "sampling.frequency_penalty"},
      {"text: 'a' sampling { logit_bias { key: 5 value: 101 } }", "sampling.logit_bias[5]"},
      {"text: 'a' sampling { logit_bias { key: 5 value: nan } }", "sampling.logit_bias[5]"},
      {"text: 'a' sampling { logit_bias { key: 304 value: 1 } }", "sampling.logit_bias[304]"},
      {"text: 'a' sampling { n: 0 }", "sampling.n"},
      {"text: 'a' sampling { n: 17 }", "sampling.n"},
      {"text: 'a' stop { max_tokens: 0 }", "stop.max_tokens"},
      {"text: 'a' stop { max_tokens: 2 min_tokens: 3 }", "stop.min_tokens"},
      {"text: 'a' stop { strings: '' }", "stop.strings[0]"},
      {"text: 'a' stop { token_ids: 304 }", "stop.token_ids[0]"},
      {"text: 'a' output { logprobs: 21 }", "output.logprobs"},
      {"text: 'a' output { prompt_logprobs: 21 }", "output.prompt_logprobs"},
      {"text: 'a' scheduling { energy_limit_microjoules: 18446744073709551615 }",
       "scheduling.energy_limit_microjoules"},
      {"text: 'a' scheduling { ttft_target_ns: 86400000000001 }", "scheduling.ttft_target_ns"},
      {"text: 'a' scheduling { itl_target_ns: 18446744073709551615 }", "scheduling.itl_target_ns"},
      {"text: 'a' constraint { choices {} }", "constraint.choices"},
      {"text: 'a' constraint { choices { texts: 'x' texts: '' } }", "constraint.choices[1]"},
      {"text: 'a' constraint { json_object {} } stop { ignore_eos: true }", "stop.ignore_eos"},
      {"text: 'a' constraint { regex: 'x' } stop { min_tokens: 1 }", "stop.min_tokens"},
      {"text: 'a' request_id: 'a b'", "request_id"},
  };
  // One that is too long is not read any further.
  v1::GenerateRequest biased = Parse("text: 'a'");
  for (uint32_t token = 0; token < 2'000; ++token) {
    (*biased.mutable_sampling()->mutable_logit_bias())[1'000'000 + token] = 1;
  }
  BuiltRequest unbuilt;
  const auto too_long = Build(biased, &unbuilt);
  ASSERT_TRUE(too_long.has_value());
  EXPECT_EQ(too_long->violations.size(), 1u);
  EXPECT_TRUE(unbuilt.request.sampling.logit_bias.empty());
  for (const auto& [text, field] : cases) {
    BuiltRequest built;
    const auto error = Build(Parse(text), &built);
    ASSERT_TRUE(error.has_value()) << text;
    EXPECT_EQ(error->reason, ErrorReason::kInvalidField) << text;
    ASSERT_FALSE(error->violations.empty()) << text;
    EXPECT_EQ(error->violations[0].field, field) << text;
    EXPECT_THAT(error->message, HasSubstr(field)) << text;
  }
}

TEST_F(RequestBuilderTest, TheTenantStandsInTheMetadata) {
  RequestContext context;
  context.model = model_;
  context.fresh_id = "fresh";
  BuiltRequest built;
  ASSERT_FALSE(BuildGenerate(Parse("text: 'a'"), context, &built).has_value());
  EXPECT_EQ(built.request.tenant, "anonymous");
  context.tenant = "acme";
  ASSERT_FALSE(BuildGenerate(Parse("text: 'a'"), context, &built).has_value());
  EXPECT_EQ(built.request.tenant, "acme");
  context.tenant = "a b";
  const auto error = BuildGenerate(Parse("text: 'a'"), context, &built);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->violations[0].field, "x-scoville-tenant");
}

TEST_F(RequestBuilderTest, ReadsConstraints) {
  using Kind = model::ConstraintSpec::Kind;
  const auto spec_of = [](const std::string& text) {
    BuiltRequest built;
    const auto error = Build(Parse("text: 'a' constraint { " + text + " }"), &built);
    EXPECT_FALSE(error.has_value()) << error->message;
    EXPECT_EQ(built.request.constraint, nullptr);  // compiled later
    return built.constraint;
  };
  EXPECT_EQ(spec_of("").kind, Kind::kNone);
  EXPECT_EQ(spec_of("json_object {}").kind, Kind::kJsonObject);
  EXPECT_EQ(spec_of("json_schema: '{}'"), (model::ConstraintSpec{Kind::kJsonSchema, "{}", {}}));
  EXPECT_EQ(spec_of("regex: 'a+'"), (model::ConstraintSpec{Kind::kRegex, "a+", {}}));
  EXPECT_EQ(spec_of("choices { texts: 'x' texts: 'y' }"),
            (model::ConstraintSpec{Kind::kChoice, "", {"x", "y"}}));
}

TEST_F(RequestBuilderTest, CountsChoices) {
  for (const auto& [text, choices] :
       {std::pair("text: 'a'", 1u), std::pair("text: 'a' sampling { n: 1 }", 1u),
        std::pair("text: 'a' sampling { n: 16 }", 16u)}) {
    BuiltRequest built;
    ASSERT_FALSE(Build(Parse(text), &built).has_value());
    EXPECT_EQ(built.choices, choices);
  }
}

TEST_F(RequestBuilderTest, LimitsOfLength) {
  const auto field_of = [](const v1::GenerateRequest& request) {
    BuiltRequest built;
    const auto error = Build(request, &built);
    return error && !error->violations.empty() ? error->violations[0].field : "";
  };
  v1::GenerateRequest request = Parse("text: 'a'");
  request.set_request_id(std::string(64, 'x'));
  EXPECT_EQ(field_of(request), "");
  request.set_request_id(std::string(65, 'x'));
  EXPECT_EQ(field_of(request), "request_id");

  request = Parse("text: 'a'");
  for (int i = 0; i < 16; ++i) request.mutable_stop()->add_strings(std::string(256, 's'));
  EXPECT_EQ(field_of(request), "");
  request.mutable_stop()->add_strings("s");
  EXPECT_EQ(field_of(request), "stop.strings");
  request = Parse("text: 'a'");
  request.mutable_stop()->add_strings(std::string(257, 's'));
  EXPECT_EQ(field_of(request), "stop.strings[0]");

  request = Parse("text: 'a'");
  for (int i = 0; i < 65; ++i) request.mutable_stop()->add_token_ids(1);
  EXPECT_EQ(field_of(request), "stop.token_ids");

  request = Parse("text: 'a' scheduling { cache_salt: '' }");
  request.mutable_scheduling()->set_cache_salt(std::string(65, 'c'));
  EXPECT_EQ(field_of(request), "scheduling.cache_salt");

  request = Parse("text: 'a'");
  request.mutable_constraint()->set_regex(std::string(8 << 10, 'x'));
  EXPECT_EQ(field_of(request), "");
  request.mutable_constraint()->set_regex(std::string((8 << 10) + 1, 'x'));
  EXPECT_EQ(field_of(request), "constraint.regex");
  request.mutable_constraint()->set_json_schema(std::string((256 << 10) + 1, ' '));
  EXPECT_EQ(field_of(request), "constraint.json_schema");
  for (int i = 0; i < 1025; ++i) request.mutable_constraint()->mutable_choices()->add_texts("x");
  EXPECT_EQ(field_of(request), "constraint.choices");

  request = Parse("");
  request.set_text(std::string((4 << 20) + 1, 'a'));
  EXPECT_EQ(field_of(request), "text");
}

TEST_F(RequestBuilderTest, WhatIsNotServedYetIsNamed) {
  BuiltRequest built;
  const auto error = Build(Parse("text: 'a' output { echo_prompt: true }"), &built);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->reason, ErrorReason::kUnsupportedFeature);
  EXPECT_EQ(error->violations[0].field, "output.echo_prompt");
}

TEST_F(RequestBuilderTest, AllViolationsAtOnce) {
  BuiltRequest built;
  const auto error =
      Build(Parse("text: 'a' sampling { top_p: 3 min_p: 3 n: 2 } stop { max_tokens: 0 }"), &built);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->reason, ErrorReason::kInvalidField);
  EXPECT_EQ(error->violations.size(), 3u);
}

TEST_F(RequestBuilderTest, OnlyTheServedModel) {
  BuiltRequest built;
  EXPECT_FALSE(Build(Parse("text: 'a' model: ''"), &built).has_value());
  const auto error = Build(Parse("text: 'a' model: 'gpt'"), &built);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->reason, ErrorReason::kModelNotFound);
  EXPECT_EQ(error->resource_name, "gpt");
}

TEST_F(RequestBuilderTest, Conversations) {
  RequestContext context;
  context.model = model_;
  context.fresh_id = "fresh";
  const auto build = [&](const std::string& text) {
    v1::ChatRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    BuiltRequest built;
    const auto error = BuildChat(request, context, &built);
    EXPECT_EQ(error.has_value(), built.request.prompt.empty());
    return error && !error->violations.empty() ? error->violations[0].field : "";
  };
  EXPECT_EQ(build("messages { role: 'user' content: 'hi' }"), "");
  EXPECT_EQ(build(""), "messages");
  EXPECT_EQ(build("messages { role: 'robot' content: 'hi' }"), "messages[0].role");
  EXPECT_EQ(build("messages { role: 'user' content: 'hi' } continue_final: true"),
            "continue_final");
  std::string many;
  for (int i = 0; i < 1025; ++i) many += "messages { role: 'user' content: 'x' } ";
  EXPECT_EQ(build(many), "messages");
}

}  // namespace
}  // namespace scoville::server
