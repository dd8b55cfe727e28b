// The few texts of HTTP that the server writes itself: status lines, headers, chunks, error bodies.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_SERVER_HTTP_HTTP_TEXT_H_
#define SCOVILLE_SERVER_HTTP_HTTP_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "server/http/http_exchange.h"

namespace scoville::server {

absl::string_view HttpReason(int status);

// How the body that follows a head ends.
struct HttpFraming {
  bool keep_alive = true;
  bool chunked = false;      // else content_length
  bool until_close = false;  // HTTP/1.0 streams: neither
  size_t content_length = 0;
};

std::string HttpHead(int status, absl::string_view content_type, const HttpHeaders& headers,
                     const HttpFraming& framing);

// One chunk of a chunked body; an empty one would end the body and gives nothing.
std::string HttpChunk(absl::string_view bytes);

// {"error": {"message", "type", "param", "code"}} as OpenAI's clients read it; an empty param is
// null.
std::string OpenAiErrorBody(absl::string_view message, absl::string_view type,
                            absl::string_view param, absl::string_view code);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_HTTP_TEXT_H_
