#include "server/openai/openai_request.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/openai/json_fields.h"
#include "server/openai/openai_constraint.h"

namespace scoville::server {

namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxIgnoredNames = 16;
constexpr uint32_t kMostChoices = 16;
constexpr int kMostTargetMs = 86'400'000;  // a day
// What OpenAI's completions endpoint draws when nothing is said.
constexpr uint32_t kDefaultCompletionTokens = 16;
constexpr char kNoLogprobs[] = "log probabilities are served over gRPC only";

void ReadSampling(JsonFields& in, v1::Sampling* out) {
  const auto number = [&](const char* name, auto set) {
    float value = 0;
    if (in.Read(name, &value)) {
      (out->*set)(value);
    }
  };
  number("temperature", &v1::Sampling::set_temperature);
  number("top_p", &v1::Sampling::set_top_p);
  number("min_p", &v1::Sampling::set_min_p);
  number("repetition_penalty", &v1::Sampling::set_repetition_penalty);
  number("presence_penalty", &v1::Sampling::set_presence_penalty);
  number("frequency_penalty", &v1::Sampling::set_frequency_penalty);
  // -1 is how vLLM's clients say "off".
  const json* top_k = in.Find("top_k");
  uint32_t k = 0;
  if (top_k != nullptr && *top_k == json(-1)) {
    out->set_top_k(0);
  } else if (in.Read("top_k", &k)) {
    out->set_top_k(k);
  }
  uint64_t seed = 0;
  if (in.ReadSeed("seed", &seed)) {
    out->set_seed(seed);
  }
  uint32_t n = 0;
  if (in.Read("n", &n)) {
    out->set_n(n);
  }
  const json* bias = in.Find("logit_bias");
  if (bias == nullptr) {
    return;
  }
  if (!bias->is_object()) {
    in.Fail("logit_bias", "must map token ids to numbers");
    return;
  }
  for (const auto& [token, value] : bias->items()) {
    uint32_t id = 0;
    if (!absl::SimpleAtoi(token, &id) || !value.is_number()) {
      in.Fail("logit_bias", "must map token ids to numbers");
      return;
    }
    (*out->mutable_logit_bias())[id] = value.get<float>();
  }
}

void ReadStop(JsonFields& in, v1::Stop* out) {
  uint32_t count = 0;
  if (in.Read("max_tokens", &count)) {
    out->set_max_tokens(count);
  }
  if (in.Read("max_completion_tokens", &count)) {
    out->set_max_tokens(count);
  }
  if (in.Read("min_tokens", &count)) {
    out->set_min_tokens(count);
  }
  bool flag = false;
  if (in.Read("ignore_eos", &flag)) {
    out->set_ignore_eos(flag);
  }
  if (in.Read("include_stop_str_in_output", &flag)) {
    out->set_keep_match(flag);
  }
  std::vector<uint32_t> ids;
  if (in.Read("stop_token_ids", &ids)) {
    out->mutable_token_ids()->Add(ids.begin(), ids.end());
  }
  const json* stop = in.Find("stop");
  if (stop == nullptr) {
    return;
  }
  if (stop->is_string()) {
    out->add_strings(stop->get<std::string>());
    return;
  }
  if (!stop->is_array()) {
    in.Fail("stop", "must be a string or a list of strings");
    return;
  }
  for (const json& text : *stop) {
    if (!text.is_string()) {
      in.Fail("stop", "must be a string or a list of strings");
      return;
    }
    out->add_strings(text.get<std::string>());
  }
}

void ReadStreamOptions(JsonFields& in, OpenAiCall* out) {
  in.Read("stream", &out->stream);
  const json* options = in.Find("stream_options");
  if (options == nullptr) {
    return;
  }
  if (!options->is_object()) {
    in.Fail("stream_options", "must be an object");
    return;
  }
  JsonFields fields(options, "stream_options.");
  fields.Read("include_usage", &out->include_usage);
  fields.Read("continuous_usage_stats", &out->continuous_usage);
  if (fields.error()) {
    in.Fail(*fields.error());
  }
}

// A time in milliseconds, as clients write it, to nanoseconds.
void ReadMilliseconds(JsonFields& in, const char* name, v1::Scheduling* out,
                      void (v1::Scheduling::*set)(uint64_t)) {
  float ms = 0;
  if (!in.Read(name, &ms)) {
    return;
  }
  if (!(ms >= 0 && ms <= kMostTargetMs)) {
    in.Fail(name, absl::StrCat("must be 0 to ", kMostTargetMs, " milliseconds"));
    return;
  }
  (out->*set)(static_cast<uint64_t>(static_cast<double>(ms) * 1e6 + 0.5));
}

// Three ways to say how urgent it is: our own, vLLM's (the lower, the sooner) and OpenAI's.
void ReadClass(JsonFields& in, v1::Scheduling* out) {
  std::string tier;
  if (in.Read("service_tier", &tier) && (tier == "flex" || tier == "priority")) {
    out->set_service_class(tier == "flex" ? v1::SERVICE_CLASS_BATCH
                                          : v1::SERVICE_CLASS_INTERACTIVE);
  }
  if (const json* priority = in.Find("priority")) {
    if (!priority->is_number_integer()) {
      in.Fail("priority", "must be a whole number");
      return;
    }
    // Negative numbers are never parsed as unsigned ones.
    const bool sooner = !priority->is_number_unsigned();
    out->set_service_class(sooner                 ? v1::SERVICE_CLASS_INTERACTIVE
                           : *priority == json(0) ? v1::SERVICE_CLASS_STANDARD
                                                  : v1::SERVICE_CLASS_BATCH);
  }
  std::string name;
  if (!in.Read("service_class", &name)) {
    return;
  }
  if (name == "interactive") {
    out->set_service_class(v1::SERVICE_CLASS_INTERACTIVE);
  } else if (name == "standard") {
    out->set_service_class(v1::SERVICE_CLASS_STANDARD);
  } else if (name == "batch") {
    out->set_service_class(v1::SERVICE_CLASS_BATCH);
  } else {
    in.Fail("service_class", "must be interactive, standard or batch");
  }
}

void ReadScheduling(JsonFields& in, v1::Scheduling* out) {
  in.Read("cache_salt", out->mutable_cache_salt());
  ReadClass(in, out);
  ReadMilliseconds(in, "ttft_target_ms", out, &v1::Scheduling::set_ttft_target_ns);
  ReadMilliseconds(in, "itl_target_ms", out, &v1::Scheduling::set_itl_target_ns);
  bool drafts = true;
  if (in.Read("drafts", &drafts)) {
    out->set_no_drafts(!drafts);
  }
}

// What is the same in both endpoints.
template <typename Proto>
void ReadCommon(JsonFields& in, absl::string_view body, Proto* proto, OpenAiCall* out) {
  in.Read("model", proto->mutable_model());
  ReadSampling(in, proto->mutable_sampling());
  ReadStop(in, proto->mutable_stop());
  ReadStreamOptions(in, out);
  bool skip_special = true;
  if (in.Read("skip_special_tokens", &skip_special)) {
    proto->mutable_output()->set_keep_special_tokens(!skip_special);
  }
  v1::Constraint constraint;
  ReadOpenAiConstraint(in, body, &constraint);
  if (constraint.kind_case() != v1::Constraint::KIND_NOT_SET) {
    *proto->mutable_constraint() = std::move(constraint);
  }
  ReadScheduling(in, proto->mutable_scheduling());
  for (const char* name : {"logprobs", "top_logprobs", "prompt_logprobs"}) {
    // As numbers these two ask for the chosen tokens' even when they are 0.
    const json* value = in.Find(name);
    if (name != absl::string_view("top_logprobs") && value != nullptr && value->is_number()) {
      in.Fail(UnsupportedFeature(name, kNoLogprobs));
    }
    in.RefuseUnless(name, json(nullptr), kNoLogprobs);
  }
  in.RefuseUnless("return_token_ids", json(nullptr), "token ids are served over gRPC only");
  // Named so that they are not reported as ignored: they ask for nothing.
  for (const char* name : {"user", "metadata", "store"}) {
    in.Find(name);
  }
}

// A message's content: a string, or a list of {"type": "text", "text": …}.
std::optional<ServiceError> ReadContent(const json& content, const std::string& where,
                                        std::string* out) {
  if (content.is_null()) {
    return std::nullopt;
  }
  if (content.is_string()) {
    *out = content.get<std::string>();
    return std::nullopt;
  }
  if (!content.is_array()) {
    return InvalidField(where, "must be a string or a list of text parts");
  }
  bool first = true;
  for (const json& part : content) {
    const bool object = part.is_object();
    if (object && part.value("type", json("text")) != json("text")) {
      return UnsupportedFeature(where, "only text parts are served");
    }
    const auto text = object ? part.find("text") : part.end();
    if (!object || text == part.end() || !text->is_string()) {
      return InvalidField(where, "must be a string or a list of text parts");
    }
    // A line each, as vLLM joins them.
    absl::StrAppend(out, first ? "" : "\n", text->get_ref<const std::string&>());
    first = false;
  }
  return std::nullopt;
}

std::optional<ServiceError> ReadMessages(const json* messages, v1::ChatRequest* out) {
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    return InvalidField("messages", "must be a list of at least one message");
  }
  size_t index = 0;
  for (const json& message : *messages) {
    const std::string where = absl::StrCat("messages[", index++, "].");
    if (!message.is_object()) {
      return InvalidField(absl::StripSuffix(where, "."), "must be an object");
    }
    JsonFields fields(&message, where);
    v1::ChatMessage* turn = out->add_messages();
    fields.Read("role", turn->mutable_role());
    if (turn->role() == "developer") {
      turn->set_role("system");  // OpenAI's newer name for it
    }
    fields.Read("name", turn->mutable_name());
    fields.RefuseUnless("tool_calls", json(nullptr), "tools are not served");
    if (fields.error()) {
      return fields.error();
    }
    const auto content = message.find("content");
    if (content != message.end()) {
      if (auto error = ReadContent(*content, where + "content", turn->mutable_content())) {
        return error;
      }
    }
  }
  return std::nullopt;
}

// A string, a list of token ids, or a list of one of either.
std::optional<ServiceError> ReadPrompt(const json* prompt, v1::GenerateRequest* out) {
  if (prompt == nullptr) {
    return InvalidField("prompt", "is missing");
  }
  const bool one_of_list =
      prompt->is_array() && prompt->size() == 1 && !prompt->front().is_number();
  const json& value = one_of_list ? prompt->front() : *prompt;
  if (value.is_string()) {
    out->set_text(value.get<std::string>());
    return std::nullopt;
  }
  if (value.is_array() && !value.empty() && (value[0].is_string() || value[0].is_array())) {
    return UnsupportedFeature("prompt", "one prompt a request is served; send several requests");
  }
  const json wrapped = {{"prompt", value}};
  JsonFields fields(&wrapped, "");
  std::vector<uint32_t> ids;
  fields.Read("prompt", &ids);
  if (fields.error()) {
    return InvalidField("prompt", "must be a string or a list of token ids");
  }
  out->mutable_token_ids()->mutable_ids()->Add(ids.begin(), ids.end());
  return std::nullopt;
}

std::optional<ServiceError> ParseChat(JsonFields& in, absl::string_view body, OpenAiCall* out) {
  ReadCommon(in, body, &out->chat, out);
  bool add_prompt = true;
  bool continue_final = false;
  in.Read("add_generation_prompt", &add_prompt);
  in.Read("continue_final_message", &continue_final);
  out->chat.set_continue_final(continue_final);
  if (!add_prompt && !continue_final) {
    in.Fail(UnsupportedFeature("add_generation_prompt",
                               "false is served with continue_final_message only"));
  }
  for (const char* name : {"tools", "functions", "modalities", "audio"}) {
    in.RefuseUnless(name,
                    name == absl::string_view("modalities") ? json::array({"text"}) : json(nullptr),
                    "only text is served");
  }
  in.RefuseUnless("tool_choice", json("none"), "tools are not served");
  const json* messages = in.Find("messages");
  if (in.error()) {
    return in.error();
  }
  return ReadMessages(messages, &out->chat);
}

// So many are drawn; the answer keeps n of them.
void ReadBestOf(JsonFields& in, OpenAiCall* out) {
  v1::Sampling* sampling = out->generate.mutable_sampling();
  out->n = sampling->has_n() ? sampling->n() : 1;
  uint32_t best_of = 0;
  if (!in.Read("best_of", &best_of) || out->n == 0 || out->n > kMostChoices) {
    return;
  }
  if (best_of < out->n || best_of > kMostChoices) {
    in.Fail("best_of",
            absl::StrCat("is ", best_of, ", must be n (", out->n, ") to ", kMostChoices));
  } else if (out->stream && best_of > out->n) {
    in.Fail("best_of", "must be n when streaming: the best are known at the end only");
  } else if (best_of > out->n) {
    out->best_of = best_of;
    sampling->set_n(best_of);
  }
}

std::optional<ServiceError> ParseCompletions(JsonFields& in, absl::string_view body,
                                             OpenAiCall* out) {
  ReadCommon(in, body, &out->generate, out);
  in.RefuseUnless("echo", json(nullptr), "the prompt is not repeated");
  in.RefuseUnless("suffix", json(nullptr), "insertion is not served");
  ReadBestOf(in, out);
  if (!out->generate.stop().has_max_tokens()) {
    out->generate.mutable_stop()->set_max_tokens(kDefaultCompletionTokens);
  }
  const json* prompt = in.Find("prompt");
  if (in.error()) {
    return in.error();
  }
  return ReadPrompt(prompt, &out->generate);
}

}  // namespace

std::optional<ServiceError> ParseOpenAiRequest(OpenAiRoute route, absl::string_view body,
                                               OpenAiCall* out) {
  json object;
  if (auto error = ParseJsonObject(body, kMaxDepth, &object)) {
    return error;
  }
  *out = OpenAiCall();
  out->route = route;
  JsonFields fields(&object, "");
  auto error = route == OpenAiRoute::kChat ? ParseChat(fields, body, out)
                                           : ParseCompletions(fields, body, out);
  out->ignored = fields.Unknown(kMaxIgnoredNames);
  return error;
}

std::string OpenAiFieldName(OpenAiRoute route, absl::string_view native) {
  if (native == "stop.strings" || absl::StartsWith(native, "stop.strings[")) {
    return "stop";
  }
  if (native == "stop.token_ids" || absl::StartsWith(native, "stop.token_ids[")) {
    return "stop_token_ids";
  }
  if (route == OpenAiRoute::kCompletions &&
      (native == "text" || native == "token_ids" || absl::StartsWith(native, "token_ids"))) {
    return "prompt";
  }
  if (native == "scheduling.ttft_target_ns" || native == "scheduling.itl_target_ns") {
    return native == "scheduling.ttft_target_ns" ? "ttft_target_ms" : "itl_target_ms";
  }
  if (native == "constraint.json_schema" || native == "constraint.json_object") {
    return "response_format";
  }
  if (native == "constraint.regex") {
    return "guided_regex";
  }
  if (absl::StartsWith(native, "constraint.choices")) {
    return "guided_choice";
  }
  for (const char* prefix : {"sampling.", "stop.", "output.", "scheduling."}) {
    if (absl::StartsWith(native, prefix)) {
      return std::string(absl::StripPrefix(native, prefix));
    }
  }
  return std::string(native);
}

}  // namespace scoville::server
