#include "server/http/http_session.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/http/http_text.h"

namespace scoville::server {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

// Bytes; Linux doubles it.
constexpr int kSendBuffer = 128 << 10;

}  // namespace

// The exchange a handler sees; ends when its last byte is sent or the client goes.
class SessionExchange final : public HttpExchange {
 public:
  SessionExchange(std::shared_ptr<HttpSession> session, HttpRequest request, bool http_1_0,
                  bool keep_alive)
      : session_(std::move(session)),
        request_(std::move(request)),
        http_1_0_(http_1_0),
        keep_alive_(keep_alive) {}

  ~SessionExchange() override {
    if (session_ != nullptr) {
      session_->Abandon(started_);
    }
  }

  const HttpRequest& request() const override { return request_; }
  void ReleaseBody() override { std::string().swap(request_.body); }

  void Reply(int status, absl::string_view content_type, absl::string_view body,
             const HttpHeaders& headers) override {
    if (session_ == nullptr || started_) {
      return;
    }
    HttpFraming framing;
    framing.keep_alive = keep_alive_;
    framing.content_length = body.size();
    std::string bytes = HttpHead(status, content_type, headers, framing);
    if (request_.method != "HEAD") {
      absl::StrAppend(&bytes, body);
    }
    started_ = true;
    session_->Send(bytes);
    End(status);
  }

  void StartStream(int status, absl::string_view content_type,
                   const HttpHeaders& headers) override {
    if (session_ == nullptr || started_) {
      return;
    }
    started_ = true;
    status_ = status;
    HttpFraming framing;
    framing.keep_alive = keep_alive_;
    framing.chunked = !http_1_0_;
    framing.until_close = http_1_0_;
    session_->Send(HttpHead(status, content_type, headers, framing));
  }

  void Write(absl::string_view bytes) override {
    if (session_ == nullptr || !started_) {
      return;
    }
    session_->Send(http_1_0_ ? std::string(bytes) : HttpChunk(bytes));
  }

  void Finish() override {
    if (session_ == nullptr || !started_) {
      return;
    }
    if (!http_1_0_) {
      session_->Send("0\r\n\r\n");
    }
    End(status_);
  }

  size_t pending_bytes() const override {
    return session_ == nullptr ? 0 : session_->pending_.size() + session_->in_flight_.size();
  }
  void OnDrained(absl::AnyInvocable<void()> drained) override { drained_ = std::move(drained); }
  void OnClosed(absl::AnyInvocable<void()> closed) override { closed_ = std::move(closed); }

  void NotifyDrained() {
    // Taken out while it runs: it may end the exchange, which drops it.
    absl::AnyInvocable<void()> drained = std::move(drained_);
    drained_ = nullptr;
    if (drained && session_ != nullptr) {
      drained();
    }
    if (session_ != nullptr && !drained_) {
      drained_ = std::move(drained);
    }
  }
  void NotifyClosed() {
    session_.reset();
    drained_ = nullptr;
    absl::AnyInvocable<void()> closed = std::move(closed_);
    closed_ = nullptr;
    if (closed) {
      closed();
    }
  }

 private:
  void End(int status) {
    std::shared_ptr<HttpSession> session = std::move(session_);
    session_ = nullptr;
    drained_ = nullptr;
    closed_ = nullptr;
    session->EndResponse(status);
  }

  std::shared_ptr<HttpSession> session_;  // null once the exchange has ended
  HttpRequest request_;
  const bool http_1_0_;
  const bool keep_alive_;
  bool started_ = false;
  int status_ = 0;
  absl::AnyInvocable<void()> drained_;
  absl::AnyInvocable<void()> closed_;
};

HttpSession::HttpSession(asio::ip::tcp::socket socket, SessionHost* host, uint64_t id)
    : stream_(std::move(socket)),
      host_(host),
      id_(id),
      buffer_(static_cast<size_t>(host->limits().header.value()) + 65'536) {
  ErrorCode ignored;
  // Tokens are small and must not wait for each other.
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  // The kernel would take megabytes for a client that reads nothing, and a whole answer with them.
  stream_.socket().set_option(asio::socket_base::send_buffer_size(kSendBuffer), ignored);
}

void HttpSession::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(host_->limits().header.value()));
  parser_->body_limit(static_cast<uint64_t>(host_->limits().body.value()));
  stream_.expires_after(Std(host_->limits().idle));
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](ErrorCode error, size_t) { self->OnHeader(error); });
}

void HttpSession::OnHeader(ErrorCode error) {
  if (error) {
    Refuse(error);
    return;
  }
  if (absl::EqualsIgnoreCase(absl::string_view((*parser_).get()[http::field::expect].data(),
                                               (*parser_).get()[http::field::expect].size()),
                             "100-continue")) {
    SendContinue();
    return;
  }
  ReadBody();
}

void HttpSession::SendContinue() {
  static constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  stream_.expires_after(Std(host_->limits().write));
  asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                    [self = shared_from_this()](ErrorCode error, size_t) {
                      if (error) {
                        self->Close();
                      } else {
                        self->ReadBody();
                      }
                    });
}

void HttpSession::ReadBody() {
  stream_.expires_after(Std(host_->limits().body_read));
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode error, size_t) { self->OnBody(error); });
}

void HttpSession::OnBody(ErrorCode error) {
  if (error) {
    Refuse(error);
    return;
  }
  stream_.expires_never();
  OpenExchange();
}

void HttpSession::Refuse(ErrorCode error) {
  int status = 400;
  std::string message = "the request could not be parsed: " + error.message();
  const ErrorCode end = http::make_error_code(http::error::end_of_stream);
  if (error == end || error.category() != end.category()) {
    Close();  // gone, timed out, or reset: nobody to tell
    return;
  }
  if (error == http::error::body_limit) {
    status = 413;
    message = absl::StrCat("the body is larger than ", host_->limits().body.value(), " bytes");
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    status = 431;
    message = absl::StrCat("the header is larger than ", host_->limits().header.value(), " bytes");
  }
  exchange_.reset();
  method_ = "_other";
  path_ = "_other";
  keep_alive_ = false;
  open_ = true;
  HttpFraming framing;
  framing.keep_alive = false;
  const std::string body = OpenAiErrorBody(message, "invalid_request_error", "",
                                           status == 413 ? "body_too_large" : "invalid_field");
  framing.content_length = body.size();
  Send(HttpHead(status, "application/json", {}, framing) + body);
  EndResponse(status);
}

void HttpSession::OpenExchange() {
  const Parser::value_type& message = parser_->get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  const absl::string_view target(message.target().data(), message.target().size());
  request.path = std::string(target.substr(0, target.find('?')));
  for (const auto& field : message) {
    const absl::string_view name(field.name_string().data(), field.name_string().size());
    request.headers[absl::AsciiStrToLower(name)] = std::string(field.value());
  }
  const bool http_1_0 = message.version() < 11;
  keep_alive_ = message.keep_alive() && !http_1_0;
  request.body = std::move(parser_->get().body());
  method_ = request.method;
  path_ = request.path;
  open_ = true;
  ended_ = false;
  auto exchange = std::make_shared<SessionExchange>(shared_from_this(), std::move(request),
                                                    http_1_0, keep_alive_);
  exchange_ = exchange;
  WatchForClose();
  host_->Handle(std::move(exchange));
}

void HttpSession::WatchForClose() {
  if (watching_ || closed_) {
    return;
  }
  watching_ = true;
  stream_.socket().async_wait(
      asio::ip::tcp::socket::wait_read,
      [self = shared_from_this()](ErrorCode error) { self->OnReadable(error); });
}

void HttpSession::OnReadable(ErrorCode error) {
  watching_ = false;
  if (error || closed_ || !open_) {
    return;
  }
  char byte;
  const ssize_t n = recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    // Closed. Half closed looks the same, and is taken as the client's having lost interest.
    Close();
  }
  // n > 0: the next request is here already; a later close shows as a failed write.
}

void HttpSession::Send(absl::string_view bytes) {
  if (closed_) {
    return;
  }
  absl::StrAppend(&pending_, bytes);
  Flush();
}

void HttpSession::EndResponse(int status) {
  if (!open_) {
    return;
  }
  ended_ = true;
  host_->Answered(method_, path_, status);
  Flush();
}

void HttpSession::Abandon(bool started) {
  if (closed_ || !open_ || ended_) {
    return;
  }
  keep_alive_ = false;
  if (started) {
    Close();
    return;
  }
  HttpFraming framing;
  framing.keep_alive = false;
  const std::string body =
      OpenAiErrorBody("the request was dropped; this is a bug", "server_error", "", "internal");
  framing.content_length = body.size();
  Send(HttpHead(500, "application/json", {}, framing) + body);
  EndResponse(500);
}

void HttpSession::Flush() {
  if (!in_flight_.empty() || closed_) {
    return;
  }
  if (!pending_.empty()) {
    in_flight_.swap(pending_);
    stream_.expires_after(Std(host_->limits().write));
    asio::async_write(
        stream_, asio::buffer(in_flight_),
        [self = shared_from_this()](ErrorCode error, size_t) { self->OnWritten(error); });
    return;
  }
  if (!ended_) {
    return;
  }
  open_ = false;
  ended_ = false;
  if (keep_alive_) {
    ReadHeader();
    return;
  }
  ErrorCode ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.expires_after(std::chrono::seconds(1));
  Linger(static_cast<size_t>(2 * host_->limits().body.value()));
}

void HttpSession::OnWritten(ErrorCode error) {
  in_flight_.clear();
  stream_.expires_never();
  if (error) {
    Close();
    return;
  }
  if (pending_.empty() && !ended_) {
    if (const std::shared_ptr<SessionExchange> exchange = exchange_.lock()) {
      exchange->NotifyDrained();
    }
  }
  Flush();
}

void HttpSession::Close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  const std::shared_ptr<HttpSession> self = shared_from_this();
  if (open_ && !ended_) {
    host_->Answered(method_, path_, 499);
    if (const std::shared_ptr<SessionExchange> exchange = exchange_.lock()) {
      exchange->NotifyClosed();
    }
  }
  ErrorCode ignored;
  stream_.socket().close(ignored);
  host_->Closed(id_);
}

void HttpSession::Linger(size_t budget) {
  // Closing with unread bytes in the kernel would reset the connection and take the answer along.
  if (closed_ || budget == 0) {
    Close();
    return;
  }
  stream_.async_read_some(asio::buffer(discarded_),
                          [self = shared_from_this(), budget](ErrorCode error, size_t n) {
                            if (error) {
                              self->Close();
                            } else {
                              self->Linger(budget - std::min(n, budget));
                            }
                          });
}

}  // namespace scoville::server
