#include "sim/request_factory.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::sim {

namespace {

absl::StatusOr<std::vector<int32_t>> PromptOf(const WrittenRequest& written,
                                              const model::LoadedModel& model) {
  if (!written.text.empty()) {
    model::EncodeOptions encode;
    encode.add_bos = model.tokenizer->add_bos_by_default();
    return model.tokenizer->Encode(written.text, encode).tokens;
  }
  if (model.chat_template == nullptr) {
    return model.chat_error;
  }
  std::vector<model::ChatMessage> messages = written.messages;
  if (!written.chat.empty()) {
    messages.push_back({"user", written.chat});
  }
  ASSIGN_OR_RETURN(model::Encoding encoding, model.chat_template->Render(messages, false));
  return std::move(encoding.tokens);
}

}  // namespace

absl::StatusOr<scheduler::Request> MakeRequest(const WrittenRequest& written,
                                               const model::LoadedModel& model) {
  scheduler::Request request;
  request.external_id = written.id;
  absl::StatusOr<std::vector<int32_t>> prompt = PromptOf(written, model);
  if (!prompt.ok()) {
    return absl::Status(prompt.status().code(),
                        absl::StrCat("request '", written.id, "': ", prompt.status().message()));
  }
  request.prompt = *std::move(prompt);
  request.sampling = written.sampling;
  request.max_tokens = written.max_tokens;
  request.min_tokens = written.min_tokens;
  if (!written.ignore_eos) {
    const absl::Span<const int32_t> ends = model.tokenizer->end_tokens();
    request.stop_tokens.assign(ends.begin(), ends.end());
  }
  request.stop_strings = model::StopMatcher(written.stop);
  request.tokenizer = model.tokenizer.get();
  if (written.deadline > Duration()) {
    request.deadline = written.at + written.deadline;
  }
  return request;
}

scheduler::Request MakeRequest(const client::WorkloadRequest& shape, TimePoint arrival,
                               const model::LoadedModel& model) {
  scheduler::Request request;
  request.prompt = client::PromptOf(shape, model.config.vocabulary);
  request.bytes = static_cast<int64_t>(request.prompt.size() * sizeof(int32_t));
  request.max_tokens = shape.output_tokens;
  request.sampling.seed = shape.seed;
  request.sampling.temperature = static_cast<float>(shape.sampling.temperature);
  request.sampling.top_p = static_cast<float>(shape.sampling.top_p);
  request.sampling.min_p = static_cast<float>(shape.sampling.min_p);
  request.sampling.top_k = static_cast<int32_t>(shape.sampling.top_k);
  if (shape.deadline > Duration()) {
    request.deadline = arrival + shape.deadline;
  }
  return request;
}

}  // namespace scoville::sim
