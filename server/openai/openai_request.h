// Translates the JSON of /v1/chat/completions and /v1/completions into the native contract.
//
// An adapter: it reworded fields and owns no policy. Ranges, the model's name, templates and token
// limits are judged where native requests are.
//
// Units: as in proto/scoville/v1/completions.proto. Ownership: plain values. Threading: pure
// functions. Errors: a ServiceError that names the field as the client wrote it.
#ifndef SCOVILLE_SERVER_OPENAI_OPENAI_REQUEST_H_
#define SCOVILLE_SERVER_OPENAI_OPENAI_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "scoville/v1/completions.pb.h"
#include "server/errors/service_error.h"

namespace scoville::server {

enum class OpenAiRoute : uint8_t { kChat, kCompletions };

struct OpenAiCall {
  OpenAiRoute route = OpenAiRoute::kChat;
  v1::ChatRequest chat;          // kChat
  v1::GenerateRequest generate;  // kCompletions
  bool stream = false;
  uint32_t n = 1;              // choices to answer with
  uint32_t best_of = 0;        // choices to draw, of which the n likeliest are answered; 0: n of n
  bool include_usage = false;  // a last chunk with usage
  bool continuous_usage = false;     // running counts in each chunk, beside it
  std::vector<std::string> ignored;  // fields we do not know, safe to write in a header
};

std::optional<ServiceError> ParseOpenAiRequest(OpenAiRoute route, absl::string_view body,
                                               OpenAiCall* out);

// The name a native field ("sampling.top_p", "stop.max_tokens") has in this API.
std::string OpenAiFieldName(OpenAiRoute route, absl::string_view native);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_REQUEST_H_
