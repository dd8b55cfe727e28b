// Writes answers as OpenAI's clients and the load generators that imitate them read them.
//
// Streaming: "data: " + one line of JSON + an empty line. The role rides in the first content delta
// and finish_reason in the last one, since clients take each chunk with choices for a token.
//
// Units: joules as doubles, for display. Ownership: a plain value per request. Threading: one
// thread. Errors: none; text that is not UTF-8 is replaced.
#ifndef SCOVILLE_SERVER_OPENAI_OPENAI_RESPONSE_H_
#define SCOVILLE_SERVER_OPENAI_OPENAI_RESPONSE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "scoville/v1/completions.pb.h"
#include "server/errors/service_error.h"
#include "server/http/http_exchange.h"
#include "server/openai/openai_request.h"

namespace scoville::server {

class OpenAiResponse {
 public:
  OpenAiResponse(const OpenAiCall& call, absl::string_view request_id, absl::string_view model,
                 absl::string_view fingerprint, int64_t created_unix_seconds);

  // What one event says of one choice.
  struct Delta {
    uint32_t index = 0;
    absl::string_view text;
    uint64_t tokens = 0;
    const char* finish_reason = nullptr;  // with the choice's last event, which may have no text
    const v1::Final* final = nullptr;     // with the answer's last one
  };

  // What running usage says of the prompt, before the first event.
  void set_prompt_tokens(uint64_t tokens) { prompt_tokens_ = tokens; }

  std::string Event(const Delta& delta);
  // What follows the last event: usage if asked for, then [DONE].
  std::string Trailer(const v1::Final& final) const;
  // The whole answer; final.choices(order[i]) ended what texts[i] says.
  std::string Body(absl::Span<const std::string> texts, absl::Span<const uint32_t> order,
                   const v1::Final& final) const;

 private:
  std::string Head(absl::string_view object) const;  // up to and including "choices":

  const OpenAiRoute route_;
  const bool include_usage_;
  const bool continuous_usage_;
  const std::string id_;
  const std::string model_;
  const std::string fingerprint_;
  const int64_t created_;
  uint32_t roles_sent_ = 0;  // bit i: of choice i
  uint64_t prompt_tokens_ = 0;
  uint64_t tokens_ = 0;
};

// "stop" or "length".
const char* OpenAiFinishReason(v1::FinishReason reason);

// Error body and headers for an error before the first token, and as an event after it.
std::string OpenAiError(OpenAiRoute route, const ServiceError& error);
HttpHeaders OpenAiErrorHeaders(const ServiceError& error);
std::string OpenAiErrorEvent(OpenAiRoute route, const ServiceError& error);

// The list of models, or one of them.
struct ModelEntry {
  std::string id;
  int64_t max_model_len = 0;
};
std::string OpenAiModels(absl::Span<const ModelEntry> models, int64_t created);
std::string OpenAiModel(const ModelEntry& model, int64_t created);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_RESPONSE_H_
