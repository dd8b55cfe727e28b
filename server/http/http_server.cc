#include "server/http/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/http/http_session.h"
#include "server/http/http_text.h"

namespace scoville::server {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

// How long accepting rests after it failed for want of descriptors.
constexpr std::chrono::milliseconds kAcceptPause(100);

}  // namespace

class HttpServer::Impl final : public SessionHost {
 public:
  explicit Impl(const HttpLimits& limits)
      : limits_(limits),
        acceptor_(context_),
        accept_timer_(context_),
        work_(asio::make_work_guard(context_)) {}

  absl::Status Listen(const HostPort& address);
  void Serve(HttpHandler handler, HttpAnswered answered) {
    handler_ = std::move(handler);
    answered_ = std::move(answered);
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  void Stop();
  uint16_t port() const { return port_; }
  asio::io_context& context() { return context_; }

  const HttpLimits& limits() const override { return limits_; }
  void Handle(std::shared_ptr<HttpExchange> exchange) override { handler_(std::move(exchange)); }
  void Answered(absl::string_view method, absl::string_view path, int status) override {
    answered_(method, path, status);
  }
  void Closed(uint64_t session) override { sessions_.erase(session); }

 private:
  void Accept();
  void OnAccept(error_code error, Tcp::socket socket);

  const HttpLimits limits_;
  HttpHandler handler_;
  HttpAnswered answered_;
  uint16_t port_ = 0;
  asio::io_context context_{1};
  Tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::map<uint64_t, std::shared_ptr<HttpSession>> sessions_;  // HTTP thread
  uint64_t next_session_ = 1;
  std::thread thread_;
};

absl::Status HttpServer::Impl::Listen(const HostPort& address) {
  const auto failed = [&](const error_code& error) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen for HTTP on ", address.ToString(), ": ", error.message(),
        error == asio::error::address_in_use
            ? "; another process has the port: stop it or choose another with --http-listen"
            : ""));
  };
  error_code error;
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  const asio::ip::address ip = asio::ip::make_address(host, error);
  if (error) {
    return failed(error);
  }
  const Tcp::endpoint endpoint(ip, address.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) {
    // A port in TIME_WAIT is free; one that somebody listens on is still refused.
    acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  }
  if (!error) {
    acceptor_.bind(endpoint, error);
  }
  if (!error) {
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    return failed(error);
  }
  port_ = acceptor_.local_endpoint(error).port();
  return absl::OkStatus();
}

void HttpServer::Impl::Accept() {
  acceptor_.async_accept(
      [this](error_code error, Tcp::socket socket) { OnAccept(error, std::move(socket)); });
}

void HttpServer::Impl::OnAccept(error_code error, Tcp::socket socket) {
  if (error == asio::error::operation_aborted || !acceptor_.is_open()) {
    return;
  }
  if (error) {
    // Out of descriptors, mostly: trying again at once would spin.
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) {
        Accept();
      }
    });
    return;
  }
  if (static_cast<int64_t>(sessions_.size()) >= limits_.connections) {
    HttpFraming framing;
    framing.keep_alive = false;
    const std::string body =
        OpenAiErrorBody(absl::StrCat("all ", limits_.connections, " connections are in use"),
                        "server_error", "", "too_many_connections");
    framing.content_length = body.size();
    const std::string answer =
        HttpHead(503, "application/json", {{"Retry-After", "1"}}, framing) + body;
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(answer), ignored);
    answered_("_other", "_other", 503);
  } else {
    const uint64_t id = next_session_++;
    auto session = std::make_shared<HttpSession>(std::move(socket), this, id);
    sessions_.emplace(id, session);
    session->Start();
  }
  Accept();
}

void HttpServer::Impl::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  asio::post(context_, [this] {
    error_code ignored;
    acceptor_.close(ignored);
    accept_timer_.cancel();
    while (!sessions_.empty()) {
      sessions_.begin()->second->Close();
    }
    work_.reset();
    context_.stop();
  });
  thread_.join();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { Stop(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const HostPort& address,
                                                               const HttpLimits& limits) {
  auto impl = std::make_unique<Impl>(limits);
  RETURN_IF_ERROR(impl->Listen(address));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::Serve(HttpHandler handler, HttpAnswered answered) {
  impl_->Serve(std::move(handler), std::move(answered));
}

uint16_t HttpServer::port() const { return impl_->port(); }
void HttpServer::Stop() { impl_->Stop(); }

void HttpServer::Post(absl::AnyInvocable<void()> fn) {
  asio::post(impl_->context(), [fn = std::move(fn)]() mutable { fn(); });
}

void HttpServer::PostAfter(Duration delay, absl::AnyInvocable<void()> fn) {
  // asio's handlers are copied in places; the timer and the function live in one shared block.
  struct Pending {
    Pending(asio::io_context& context, absl::AnyInvocable<void()> f)
        : timer(context), fn(std::move(f)) {}
    asio::steady_timer timer;
    absl::AnyInvocable<void()> fn;
  };
  auto pending = std::make_shared<Pending>(impl_->context(), std::move(fn));
  pending->timer.expires_after(std::chrono::nanoseconds(delay.value()));
  pending->timer.async_wait([pending](error_code cancelled) {
    if (!cancelled) {
      pending->fn();
    }
  });
}

}  // namespace scoville::server
