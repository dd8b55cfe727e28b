// Any bytes as the body of an OpenAI request: an error that names a field, or a request of bounded
// size; never a crash, a hang or an exception.
#include <cstring>
#include <string>

#include "base/status_macros.h"
#include "server/openai/openai_request.h"
#include "server/openai/openai_response.h"
#include "tests/fuzz/fuzz_target.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const absl::string_view body(reinterpret_cast<const char*>(input.data()), input.size());
  for (const server::OpenAiRoute route :
       {server::OpenAiRoute::kChat, server::OpenAiRoute::kCompletions}) {
    server::OpenAiCall call;
    if (const auto error = server::ParseOpenAiRequest(route, body, &call)) {
      CHECK(!error->message.empty());
      // What is said about foreign bytes must itself be JSON of one line.
      const std::string answer = server::OpenAiError(route, *error);
      CHECK(answer.find('\n') == std::string::npos);
      continue;
    }
    CHECK_LE(call.ignored.size(), size_t{16});
    for (const std::string& name : call.ignored) {
      CHECK(name.find_first_of("\r\n\t ") == std::string::npos);
    }
    CHECK(call.best_of == 0 || (call.best_of > call.n && call.best_of <= 16));
    if (route == server::OpenAiRoute::kChat) {
      CHECK_GT(call.chat.messages_size(), 0);
    }
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  const char* const texts[] = {
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":5,"stream":true})",
      R"({"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"stop":["a","b"]})",
      R"({"temperature":0.5,"top_p":1,"top_k":-1,"seed":-3,"logit_bias":{"1":2.5},"n":1})",
      R"({"prompt":"hi","stream_options":{"include_usage":true,"continuous_usage_stats":false}})",
      R"({"prompt":[[1,2,3]],"stop_token_ids":[4],"ignore_eos":true,"min_tokens":1e2,"x\r\n":1})",
      R"({"prompt":["h\u00e9\ud83d\ude00"],"echo":false,"logprobs":null,"best_of":1})",
      R"({"prompt":"x","n":2,"best_of":4,"service_class":"batch","ttft_target_ms":2.5,
          "drafts":false})",
      R"({"prompt":"x","response_format":{"type":"json_schema","json_schema":{"name":"n",
          "strict":true,"schema":{"type":"object","properties":{"z":{},"a":{}}}}},"priority":-1})",
      R"({"prompt":"x","guided_regex":"a+","guided_choice":["x","y"],"service_tier":"flex"})",
      R"({"response_format":1,
          "response_format":{"type":"json_schema","json_schema":{"schema":{}}}})",
      R"([[[[{"a":[}]]]])",
  };
  std::vector<std::vector<uint8_t>> out;
  for (const char* text : texts) {
    out.emplace_back(text, text + std::strlen(text));
  }
  return out;
}

}  // namespace scoville::tests
