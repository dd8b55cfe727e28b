// Requests as bytes from the wire: whatever parses is either refused with a field's name or becomes
// a request within the limits.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "base/status_macros.h"
#include "scoville/v1/completions.pb.h"
#include "server/request/request_builder.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

namespace {

using server::BuiltRequest;
using server::ErrorReason;
using server::ServiceError;

void CheckError(const ServiceError& error) {
  CHECK(!error.message.empty());
  switch (error.reason) {
    case ErrorReason::kInvalidField:
    case ErrorReason::kUnsupportedFeature:
      CHECK(!error.violations.empty());
      CHECK_LE(error.violations.size(), size_t{64});
      return;
    case ErrorReason::kModelNotFound:
      CHECK(!error.resource_name.empty());
      return;
    default:
      CHECK(false);
  }
}

void CheckRequest(const BuiltRequest& built, const model::LoadedModel& model) {
  const scheduler::Request& request = built.request;
  const auto vocabulary = static_cast<int32_t>(model.tokenizer->vocabulary());
  const auto known = [&](int32_t token) { return token >= 0 && token < vocabulary; };
  CHECK(!request.prompt.empty());
  CHECK(std::all_of(request.prompt.begin(), request.prompt.end(), known));
  CHECK(std::all_of(request.stop_tokens.begin(), request.stop_tokens.end(), known));
  CHECK_GE(request.max_tokens, 0);
  CHECK_GE(request.min_tokens, 0);
  CHECK(request.energy_limit >= Energy());
  CHECK(server::IsRequestId(request.external_id));
  CHECK(request.stop_strings.empty() || request.tokenizer != nullptr);
  const model::SamplingParams& s = request.sampling;
  CHECK(s.temperature >= 0 && s.temperature <= 2);
  CHECK(s.top_p > 0 && s.top_p <= 1);
  CHECK(s.min_p >= 0 && s.min_p <= 1);
  CHECK_GE(s.top_k, 0);
  CHECK(s.repetition_penalty > 0 && s.repetition_penalty <= 2);
  CHECK(std::abs(s.presence_penalty) <= 2 && std::abs(s.frequency_penalty) <= 2);
  CHECK_LE(s.logit_bias.size(), size_t{1024});
  CHECK(std::is_sorted(s.logit_bias.begin(), s.logit_bias.end()));
  for (const auto& [token, bias] : s.logit_bias) {
    CHECK(known(token) && std::abs(bias) <= 100);
  }
  CHECK(s.logprobs >= -1 && s.logprobs <= 20);
  CHECK(s.prompt_logprobs >= -1 && s.prompt_logprobs <= 20);
  CHECK(built.choices >= 1 && built.choices <= 16);
  CHECK(request.ttft_target >= Duration() && request.ttft_target <= Seconds(86'400));
  CHECK(request.itl_target >= Duration() && request.itl_target <= Seconds(86'400));
  CHECK_LE(request.cache_salt.size(), size_t{64});
  CHECK(request.constraint == nullptr);  // compiled later
  CHECK_LE(built.constraint.text.size(), size_t{256 << 10});
  CHECK_LE(built.constraint.choices.size(), size_t{1024});
  if (built.constraint.kind != model::ConstraintSpec::Kind::kNone) {
    CHECK_EQ(request.min_tokens, 0);
    CHECK(!request.stop_tokens.empty());  // the answer can end
  }
  CHECK(built.output.stream_interval >= 1 &&
        built.output.stream_interval <= server::kMaxChunkTokens);
}

template <typename Request, typename Builder>
void Check(absl::Span<const uint8_t> input, const model::LoadedModel& model, Builder build) {
  Request in;
  if (!in.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    return;
  }
  server::RequestContext context;
  context.model = &model;
  context.fresh_id = "fresh";
  BuiltRequest built;
  if (const auto error = build(in, context, &built)) {
    CheckError(*error);
  } else {
    CheckRequest(built, model);
  }
}

template <typename Message>
std::vector<uint8_t> Bytes(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  return {bytes.begin(), bytes.end()};
}

// What both kinds of request have.
template <typename Request>
void FillShared(Request& request) {
  request.set_request_id("id-1");
  auto& sampling = *request.mutable_sampling();
  sampling.set_temperature(0.5);
  sampling.set_top_p(0.9);
  sampling.set_min_p(0.1);
  sampling.set_top_k(40);
  sampling.set_repetition_penalty(1.1);
  sampling.set_presence_penalty(1);
  sampling.set_frequency_penalty(-1);
  sampling.set_seed(1);
  sampling.set_n(3);
  (*sampling.mutable_logit_bias())[7] = -3;
  auto& stop = *request.mutable_stop();
  stop.set_max_tokens(8);
  stop.set_min_tokens(1);
  stop.add_strings("\n\n");
  stop.add_token_ids(5);
  request.mutable_output()->set_logprobs(3);
  request.mutable_output()->set_prompt_logprobs(0);
  request.mutable_output()->set_stream_interval(4);
  request.mutable_scheduling()->set_energy_limit_microjoules(1000);
  request.mutable_scheduling()->set_cache_salt("salt");
  request.mutable_scheduling()->set_ttft_target_ns(200'000'000);
  request.mutable_scheduling()->set_itl_target_ns(20'000'000);
  request.mutable_scheduling()->set_no_drafts(true);
  request.mutable_scheduling()->set_bypass_prefix_cache(true);
  request.mutable_scheduling()->set_service_class(v1::SERVICE_CLASS_BATCH);
}

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  // Else the library writes a line for each text that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  static const model::LoadedModel& model = *[] {
    auto loaded = model::LoadModel(WriteTinyModel(MakeTempDir(), 1), model::LoadWeights::kNo);
    CHECK(loaded.ok());
    return std::move(*loaded).release();
  }();
  Check<v1::GenerateRequest>(input, model, server::BuildGenerate);
  Check<v1::ChatRequest>(input, model, server::BuildChat);
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  v1::GenerateRequest text;
  text.set_text("Once upon a time");
  v1::GenerateRequest ids;
  FillShared(ids);
  for (uint32_t i = 0; i < 9; ++i) {
    ids.mutable_token_ids()->add_ids(i * 30);
  }
  v1::ChatRequest chat;
  FillShared(chat);
  for (const char* role : {"system", "user", "assistant", "user"}) {
    auto* message = chat.add_messages();
    message->set_role(role);
    message->set_content("words <|im_end|>");
  }
  std::vector<std::vector<uint8_t>> out = {Bytes(text), Bytes(ids), Bytes(chat)};
  v1::Constraint* constraint = text.mutable_constraint();
  constraint->set_json_schema(R"({"type":"object"})");
  out.push_back(Bytes(text));
  constraint->set_regex("[a-z]{1,8}");
  out.push_back(Bytes(text));
  constraint->mutable_choices()->add_texts("yes");
  out.push_back(Bytes(text));
  chat.mutable_constraint()->mutable_json_object();
  chat.mutable_stop()->clear_min_tokens();
  out.push_back(Bytes(chat));
  return out;
}

}  // namespace scoville::tests
