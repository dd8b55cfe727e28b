#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/http/http_router.h"
#include "tests/unit/server_http/raw_client.h"

namespace scoville::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using tests::RawClient;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpLimits limits = {}) {
    router_.Add("POST", "/echo", {200}, [](const std::shared_ptr<HttpExchange>& exchange) {
      exchange->Reply(200, "text/plain", exchange->request().body);
    });
    router_.Add("GET", "/hello", {200}, [](const std::shared_ptr<HttpExchange>& exchange) {
      exchange->Reply(200, "text/plain", "hello");
    });
    router_.Add("GET", "/forget", {500}, [](const std::shared_ptr<HttpExchange>&) {});
    router_.Add("GET", "/stream", {200}, [this](const std::shared_ptr<HttpExchange>& exchange) {
      exchange->StartStream(200, "text/event-stream");
      exchange->Write("one ");
      exchange->OnClosed([this] { closed_.set_value(); });
      held_ = exchange;
    });
    auto server = HttpServer::Listen(HostPort{"127.0.0.1", 0}, limits);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Serve(
        [this](std::shared_ptr<HttpExchange> exchange) { router_.Handle(std::move(exchange)); },
        [this](absl::string_view method, absl::string_view path, int status) {
          router_.Count(method, path, status);
        });
  }
  // Runs `fn` on the HTTP thread and waits for it.
  void OnServer(std::function<void()> fn) {
    std::promise<void> done;
    server_->Post([&] {
      fn();
      done.set_value();
    });
    done.get_future().wait();
  }
  std::string Ask(const std::string& bytes) {
    RawClient client(server_->port());
    client.Send(bytes);
    return client.ReadAll();
  }
  int64_t Counted(const std::string& route, const std::string& code) {
    int64_t out = 0;
    OnServer([&] {
      for (const HttpRequestCount& row : router_.counts()) {
        out += row.route == route && row.code == code ? row.count : 0;
      }
    });
    return out;
  }

  HttpRouter router_;
  std::shared_ptr<HttpExchange> held_;
  std::promise<void> closed_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOnOneConnection) {
  Start();
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(client.ReadUntil("abc"), "abc");
  }
  EXPECT_EQ(Counted("/echo", "200"), 3);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  Start();
  const std::string answer =
      Ask("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
          "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_THAT(answer, HasSubstr("hello"));
  EXPECT_THAT(answer, EndsWith("hi"));
  EXPECT_LT(answer.find("hello"), answer.rfind("hi"));
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  Start();
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
              EndsWith("\r\n\r\nabcdefg"));
}

TEST_F(HttpServerTest, HeadHasTheLengthButNoBody) {
  Start();
  const std::string answer = Ask("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, UnknownPathsAndMethodsAreNamed) {
  Start();
  const std::string missing = Ask("GET /helo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(missing, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(missing, HasSubstr("'/hello'"));
  const std::string method = Ask("DELETE /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(method, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(method, HasSubstr("Allow: GET"));
  EXPECT_EQ(Counted("_other", "404"), 1);
}

TEST_F(HttpServerTest, RefusesABodyBeyondTheLimitBothWays) {
  HttpLimits limits;
  limits.body = Bytes(1000);
  Start(limits);
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" +
                  std::string(1001, 'x')),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "7d0\r\n" +
                  std::string(2000, 'x') + "\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                  "1000\r\n\r\n" +
                  std::string(1000, 'x')),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AMuchTooLargeBodyStillGetsItsAnswer) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
  client.Send(std::string(10'000'000, 'x'));
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, RefusesAHeaderBeyondTheLimit) {
  Start();
  EXPECT_THAT(
      Ask("GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(17'000, 'a') + "\r\n\r\n"),
      StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Ask("GET /" + std::string(17'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  Start();
  for (const char* bytes :
       {"\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n",
        "GET /hello HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_THAT(Ask(bytes), StartsWith("HTTP/1.1 400")) << bytes;
  }
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, TwoLengthsAreRefused) {
  Start();
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n"
                  "\r\nabcde"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
}

TEST_F(HttpServerTest, ConnectionsBeyondTheLimitAreTurnedAway) {
  HttpLimits limits;
  limits.connections = 2;
  Start(limits);
  RawClient first(server_->port());
  RawClient second(server_->port());
  first.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  second.Send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.ReadUntil("hello"), EndsWith("hello"));
  EXPECT_THAT(second.ReadUntil("hello"), EndsWith("hello"));
  RawClient third(server_->port());
  EXPECT_THAT(third.ReadAll(), StartsWith("HTTP/1.1 503"));
  first.Close();
  // The place is free as soon as the server has noticed.
  std::string answer;
  for (int i = 0; i < 100 && answer.find("hello") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    answer = Ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  EXPECT_THAT(answer, EndsWith("hello"));
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosed) {
  HttpLimits limits;
  limits.idle = Milliseconds(50);
  Start(limits);
  RawClient client(server_->port());
  client.Send("GET /hello HTTP/1.1\r\nHos");
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

TEST_F(HttpServerTest, StreamsInChunksAndEnds) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_EQ(client.ReadUntil("one \r\n"), "4\r\none \r\n");
  OnServer([&] {
    held_->Write("");
    held_->Write("two");
    held_->Finish();
    held_->Write("three");
  });
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
  client.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("hello"));
}

TEST_F(HttpServerTest, HttpOneZeroStreamsEndWithTheConnection) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("one "), Not(HasSubstr("chunked")));
  OnServer([&] { held_->Finish(); });
  EXPECT_THAT(client.ReadAll(), IsEmpty());
}

TEST_F(HttpServerTest, AClientThatLeavesIsNoticed) {
  Start();
  {
    RawClient client(server_->port());
    client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    client.ReadUntil("one ");
  }
  ASSERT_EQ(closed_.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
  OnServer([&] {
    held_->Write("ignored");
    held_->Finish();
  });
  EXPECT_EQ(Counted("/stream", "other"), 1);
}

TEST_F(HttpServerTest, ADroppedExchangeAnswersInternalError) {
  Start();
  EXPECT_THAT(Ask("GET /forget HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 500"));
}

TEST_F(HttpServerTest, APortInUseIsNamed) {
  Start();
  const auto second = HttpServer::Listen(HostPort{"127.0.0.1", server_->port()}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(server_->port())));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--http-listen"));
}

TEST_F(HttpServerTest, StopsWhileAStreamIsOpen) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("one ");
  server_->Stop();
  ASSERT_EQ(closed_.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
  held_.reset();
}

}  // namespace
}  // namespace scoville::server
