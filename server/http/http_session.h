// One HTTP connection: reads a request, lets the handler answer, reads the next.
//
// For http_server.cc alone: the Boost headers stay out of everything else.
//
// Ownership: shared by its pending operations, its open exchange and the server's table.
// Threading: HTTP thread only. Errors: a broken connection closes the session and tells the open
// exchange.
#ifndef SCOVILLE_SERVER_HTTP_HTTP_SESSION_H_
#define SCOVILLE_SERVER_HTTP_HTTP_SESSION_H_

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/http/http_server.h"

namespace scoville::server {

class SessionExchange;

// What sessions need of their server.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const HttpLimits& limits() const = 0;
  virtual void Handle(std::shared_ptr<HttpExchange> exchange) = 0;
  virtual void Answered(absl::string_view method, absl::string_view path, int status) = 0;
  virtual void Closed(uint64_t session) = 0;
};

class HttpSession final : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(boost::asio::ip::tcp::socket socket, SessionHost* host, uint64_t id);

  void Start() { ReadHeader(); }
  // Closes the socket; the open exchange hears of it.
  void Close();

 private:
  friend class SessionExchange;
  using ErrorCode = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void ReadHeader();
  void OnHeader(ErrorCode error);
  void SendContinue();
  void ReadBody();
  void OnBody(ErrorCode error);
  void OpenExchange();
  // Answers what could not be parsed and closes.
  void Refuse(ErrorCode error);
  void WatchForClose();
  void OnReadable(ErrorCode error);

  // Called by the exchange.
  void Send(absl::string_view bytes);
  void EndResponse(int status);
  void Abandon(bool started);

  void Flush();
  void OnWritten(ErrorCode error);
  // Reads and drops up to `budget` bytes, then closes.
  void Linger(size_t budget);
  static std::chrono::nanoseconds Std(Duration d) { return std::chrono::nanoseconds(d.value()); }

  boost::beast::tcp_stream stream_;
  SessionHost* const host_;
  const uint64_t id_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::weak_ptr<SessionExchange> exchange_;
  std::string method_;  // of the open exchange
  std::string path_;
  bool open_ = false;   // an exchange is being answered
  bool ended_ = false;  // its last byte has been given to Send
  bool keep_alive_ = true;
  bool watching_ = false;  // a wait for readability is pending
  bool closed_ = false;
  std::string pending_;    // not given to the kernel yet
  std::string in_flight_;  // being written
  std::array<char, 4096> discarded_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_HTTP_SESSION_H_
