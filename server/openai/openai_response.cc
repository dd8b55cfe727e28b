#include "server/openai/openai_response.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/http/http_text.h"

namespace scoville::server {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string Dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string Data(absl::string_view line) { return absl::StrCat("data: ", line, "\n\n"); }

double Joules(const v1::Energy& e) {
  return static_cast<double>(e.microjoules()) * 1e-6 + static_cast<double>(e.picojoules()) * 1e-12;
}

ordered_json UsageOf(const v1::Final& final) {
  const v1::Usage& usage = final.usage();
  return {{"prompt_tokens", usage.prompt_tokens()},
          {"completion_tokens", usage.completion_tokens()},
          {"total_tokens", usage.prompt_tokens() + usage.completion_tokens()},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens()}}},
          {"energy",
           {{"joules", Joules(final.energy().total())},
            {"prefill_joules", Joules(final.energy().prefill())},
            {"decode_joules", Joules(final.energy().decode())},
            {"emulated", true}}}};
}

}  // namespace

OpenAiResponse::OpenAiResponse(const OpenAiCall& call, absl::string_view request_id,
                               absl::string_view model, absl::string_view fingerprint,
                               int64_t created_unix_seconds)
    : route_(call.route),
      include_usage_(call.include_usage),
      continuous_usage_(call.include_usage && call.continuous_usage),
      id_(absl::StrCat(route_ == OpenAiRoute::kChat ? "chatcmpl-" : "cmpl-", request_id)),
      model_(model),
      fingerprint_(fingerprint),
      created_(created_unix_seconds) {}

std::string OpenAiResponse::Head(absl::string_view object) const {
  const ordered_json head = {{"id", id_},
                             {"object", std::string(object)},
                             {"created", created_},
                             {"model", model_},
                             {"system_fingerprint", fingerprint_}};
  std::string out = Dump(head);
  out.pop_back();
  return out + ",\"choices\":";
}

std::string OpenAiResponse::Event(const Delta& delta) {
  tokens_ += delta.tokens;
  ordered_json choice = {{"index", delta.index}};
  if (route_ == OpenAiRoute::kChat) {
    ordered_json message = ordered_json::object();
    if ((roles_sent_ >> delta.index & 1) == 0) {
      message["role"] = "assistant";
      roles_sent_ |= 1u << delta.index;
    }
    if (!delta.text.empty() || delta.finish_reason == nullptr) {
      message["content"] = std::string(delta.text);
    }
    choice["delta"] = std::move(message);
  } else {
    choice["text"] = std::string(delta.text);
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] =
      delta.finish_reason == nullptr ? ordered_json(nullptr) : ordered_json(delta.finish_reason);
  std::string line =
      Head(route_ == OpenAiRoute::kChat ? "chat.completion.chunk" : "text_completion");
  absl::StrAppend(&line, "[", Dump(choice), "]");
  if (continuous_usage_) {
    const ordered_json running = {{"prompt_tokens", prompt_tokens_},
                                  {"completion_tokens", tokens_},
                                  {"total_tokens", prompt_tokens_ + tokens_}};
    absl::StrAppend(
        &line, ",\"usage\":", delta.final == nullptr ? Dump(running) : Dump(UsageOf(*delta.final)));
  } else if (include_usage_) {
    absl::StrAppend(&line, ",\"usage\":null");
  }
  return Data(line + "}");
}

std::string OpenAiResponse::Trailer(const v1::Final& final) const {
  std::string out;
  if (include_usage_) {
    out = Data(absl::StrCat(
        Head(route_ == OpenAiRoute::kChat ? "chat.completion.chunk" : "text_completion"),
        "[],\"usage\":", Dump(UsageOf(final)), "}"));
  }
  return out + "data: [DONE]\n\n";
}

std::string OpenAiResponse::Body(absl::Span<const std::string> texts,
                                 absl::Span<const uint32_t> order, const v1::Final& final) const {
  ordered_json choices = ordered_json::array();
  for (size_t i = 0; i < texts.size(); ++i) {
    ordered_json choice = {{"index", i}};
    if (route_ == OpenAiRoute::kChat) {
      choice["message"] = {{"role", "assistant"}, {"content", texts[i]}};
    } else {
      choice["text"] = texts[i];
    }
    choice["logprobs"] = nullptr;
    choice["finish_reason"] =
        OpenAiFinishReason(final.choices(static_cast<int>(order[i])).finish_reason());
    choices.push_back(std::move(choice));
  }
  return absl::StrCat(Head(route_ == OpenAiRoute::kChat ? "chat.completion" : "text_completion"),
                      Dump(choices), ",\"usage\":", Dump(UsageOf(final)), "}");
}

const char* OpenAiFinishReason(v1::FinishReason reason) {
  return reason == v1::FINISH_REASON_STOP ? "stop" : "length";
}

std::string OpenAiError(OpenAiRoute route, const ServiceError& error) {
  const ErrorRow& row = error.row();
  std::string param;
  std::string message = error.message;
  if (!error.violations.empty()) {
    param = OpenAiFieldName(route, error.violations[0].field);
    // The message may begin with the native name of the field.
    const std::string native = absl::StrCat(error.violations[0].field, ": ");
    if (message.rfind(native, 0) == 0) {
      message = absl::StrCat(param, ": ", message.substr(native.size()));
    }
  }
  return OpenAiErrorBody(message, row.openai_type, param, row.openai_code);
}

HttpHeaders OpenAiErrorHeaders(const ServiceError& error) {
  if (error.retry_after <= Duration()) {
    return {{"x-should-retry", "false"}};
  }
  const int64_t ms = (error.retry_after.value() + 999'999) / 1'000'000;
  return {{"x-should-retry", "true"},
          {"retry-after-ms", absl::StrCat(ms)},
          {"Retry-After", absl::StrCat((ms + 999) / 1000)}};
}

std::string OpenAiErrorEvent(OpenAiRoute route, const ServiceError& error) {
  return Data(OpenAiError(route, error)) + "data: [DONE]\n\n";
}

std::string OpenAiModel(const ModelEntry& model, int64_t created) {
  return Dump({{"id", model.id},
               {"object", "model"},
               {"created", created},
               {"owned_by", "scoville"},
               {"max_model_len", model.max_model_len}});
}

std::string OpenAiModels(absl::Span<const ModelEntry> models, int64_t created) {
  return absl::StrCat("{\"object\":\"list\",\"data\":[",
                      absl::StrJoin(models, ",",
                                    [created](std::string* out, const ModelEntry& model) {
                                      absl::StrAppend(out, OpenAiModel(model, created));
                                    }),
                      "]}");
}

}  // namespace scoville::server
