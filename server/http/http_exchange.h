// One HTTP request and the way to answer it, at once or in parts.
//
// A handler gets a shared pointer and answers now or later, always on the HTTP thread
// (HttpServer::Post gets there). Letting go of the last pointer without an answer answers 500, or
// cuts a stream that was begun.
//
// Units: bytes. Ownership: shared by the handler and whatever it starts; the callback given to
// OnClosed is dropped when the exchange ends, so it may hold the exchange. Threading: HTTP thread
// only. Errors: after the client has gone, everything is ignored.
#ifndef SCOVILLE_SERVER_HTTP_HTTP_EXCHANGE_H_
#define SCOVILLE_SERVER_HTTP_HTTP_EXCHANGE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"

namespace scoville::server {

struct HttpRequest {
  std::string method;
  std::string path;                            // without the query
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal ones
  std::string body;

  absl::string_view Header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? absl::string_view() : absl::string_view(it->second);
  }
};

// Values must be free of line breaks: nothing a client sent goes in unchecked.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const HttpRequest& request() const = 0;
  // Frees the request's body, once it has been read.
  virtual void ReleaseBody() = 0;

  // The whole answer.
  virtual void Reply(int status, absl::string_view content_type, absl::string_view body,
                     const HttpHeaders& headers = {}) = 0;

  // An answer in parts: StartStream once, Write any number of times, Finish once.
  virtual void StartStream(int status, absl::string_view content_type,
                           const HttpHeaders& headers = {}) = 0;
  virtual void Write(absl::string_view bytes) = 0;
  virtual void Finish() = 0;

  // Bytes given to Write that the kernel has not taken yet.
  virtual size_t pending_bytes() const = 0;
  // Called each time they are all taken, while the exchange is open.
  virtual void OnDrained(absl::AnyInvocable<void()> drained) = 0;
  // Called once if the client goes away before the answer is complete.
  virtual void OnClosed(absl::AnyInvocable<void()> closed) = 0;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_HTTP_EXCHANGE_H_
