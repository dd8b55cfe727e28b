// HTTP/1.1 on one thread: parses requests within limits and hands them to a handler.
//
// Keep-alive, chunked streaming, one request at a time per connection. What is malformed or too
// large is answered here (400, 413, 431) and never reaches the handler.
//
// Units: in the types. Ownership: owns its thread and connections. Threading: Listen, Serve and
// Stop by the owner, Post and port from any thread; the handler and everything posted run on the
// HTTP thread and must not block. Errors: Listen says which address could not be bound and why.
#ifndef SCOVILLE_SERVER_HTTP_HTTP_SERVER_H_
#define SCOVILLE_SERVER_HTTP_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/units.h"
#include "server/config/address.h"
#include "server/http/http_exchange.h"

namespace scoville::server {

struct HttpLimits {
  int64_t connections = 256;
  Bytes header = Bytes(16 << 10);
  Bytes body = Bytes(8 << 20);
  Duration idle = Seconds(60);  // between requests, and for a whole header
  Duration body_read = Seconds(30);
  Duration write = Seconds(60);  // for the kernel to take what is pending
};

using HttpHandler = absl::AnyInvocable<void(std::shared_ptr<HttpExchange>)>;

// Told of every answer, 499 for a client that left before it; "_other" for what has no path. HTTP
// thread.
using HttpAnswered =
    absl::AnyInvocable<void(absl::string_view method, absl::string_view path, int status)>;

class HttpServer {
 public:
  // Takes the address; connections wait until Serve.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const HostPort& address,
                                                            const HttpLimits& limits);
  // Once.
  void Serve(HttpHandler handler, HttpAnswered answered);
  ~HttpServer();

  uint16_t port() const;

  // Runs `fn` on the HTTP thread; dropped once the server has stopped.
  void Post(absl::AnyInvocable<void()> fn);
  // The same after `delay`.
  void PostAfter(Duration delay, absl::AnyInvocable<void()> fn);

  // Closes the listener and every connection, and joins the thread. Called by the destructor.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_HTTP_SERVER_H_
