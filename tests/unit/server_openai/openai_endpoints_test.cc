// The OpenAI API over real sockets, on a synthetic engine.
#include "server/openai/openai_endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/loaded_model.h"
#include "server/metrics/metrics_observer.h"
#include "tests/unit/server_http/raw_client.h"

namespace scoville::server {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::RawClient;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";

class OpenAiEndpointsTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(EngineOptions()); }

  void Start(EngineOptions options) {
    Stop();
    auto model = model::SyntheticModel();
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    model_->config.context = 32768;  // of single bytes: the synthetic model knows few words
    options.pool.executor = device::ExecutorKind::kSynthetic;
    options.pool.devices = 1;
    auto engine = Engine::Start(options, model_.get(), &observer_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    hub_ = std::make_unique<StreamHub>(engine_.get());
    workers_ = std::make_unique<BackgroundWorkers>(Bytes(1 << 20));
    auto http = HttpServer::Listen(HostPort{"127.0.0.1", 0}, {});
    ASSERT_TRUE(http.ok()) << http.status();
    http_ = *std::move(http);
    endpoints_ = std::make_unique<OpenAiEndpoints>(OpenAiEndpoints::Options(), engine_.get(),
                                                   hub_.get(), http_.get(), workers_.get());
    router_ = std::make_unique<HttpRouter>();
    endpoints_->AddTo(router_.get());
    http_->Serve(
        [this](std::shared_ptr<HttpExchange> exchange) { router_->Handle(std::move(exchange)); },
        [](absl::string_view, absl::string_view, int) {});
  }
  void Stop() {
    if (http_ != nullptr) {
      http_->Stop();
    }
    workers_.reset();
    engine_.reset();
  }
  void TearDown() override { Stop(); }

  static std::string Post(const char* path, const std::string& body,
                          const std::string& headers = "") {
    return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", headers,
                        "Content-Length: ", body.size(), "\r\n\r\n", body);
  }
  std::string Ask(const std::string& bytes) {
    RawClient client(http_->port());
    client.Send(bytes);
    return client.ReadAll();
  }
  static json BodyOf(const std::string& answer) {
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  }
  // The data lines of a chunked event stream.
  static std::vector<std::string> EventsOf(const std::string& answer) {
    std::vector<std::string> out;
    for (const absl::string_view line : absl::StrSplit(answer, '\n')) {
      if (absl::StartsWith(line, "data: ")) {
        out.emplace_back(line.substr(6));
      }
    }
    return out;
  }
  // Waits until the engine is idle and all KV is back.
  ::testing::AssertionResult ComesToRest() {
    for (int i = 0; i < 500; ++i) {
      std::promise<int64_t> used;
      engine_->Post([&] {
        const scheduler::PoolStatus status = engine_->scheduler().Status();
        used.set_value(status.devices[0].kv_blocks_used + status.waiting + status.running[0]);
      });
      if (used.get_future().get() == 0 && endpoints_->open_streams() == 0) {
        return ::testing::AssertionSuccess();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return ::testing::AssertionFailure() << "requests, blocks or streams are left after 5 s";
  }

  MetricsObserver observer_{1};
  std::unique_ptr<model::LoadedModel> model_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpRouter> router_;
  std::unique_ptr<StreamHub> hub_;
  std::unique_ptr<BackgroundWorkers> workers_;
  std::unique_ptr<OpenAiEndpoints> endpoints_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(OpenAiEndpointsTest, AnswersAWholeCompletionWithUsageAndJoules) {
  const std::string answer =
      Ask(Post(kCompletions, R"({"prompt": "hello", "max_tokens": 5, "ignore_eos": true})"));
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 200"));
  const json body = BodyOf(answer);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 5);
  EXPECT_GT(body["usage"]["energy"]["joules"], 0);
  EXPECT_EQ(body["model"], model_->id);
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, TheSameSeedGivesTheSameTextStreamedOrNot) {
  const std::string request =
      R"({"prompt": "hello", "max_tokens": 40, "seed": 7, "ignore_eos": true)";
  const std::string whole = BodyOf(Ask(Post(kCompletions, request + "}")))["choices"][0]["text"];
  const std::string answer = Ask(Post(kCompletions, request + R"(, "stream": true})"));
  EXPECT_THAT(answer, HasSubstr("text/event-stream"));
  const std::vector<std::string> events = EventsOf(answer);
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string streamed;
  std::string finish;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json choice = json::parse(events[i])["choices"][0];
    streamed += choice["text"].get<std::string>();
    EXPECT_EQ(finish, "");
    finish = choice["finish_reason"].is_null() ? "" : choice["finish_reason"].get<std::string>();
  }
  EXPECT_EQ(streamed, whole);
  EXPECT_EQ(finish, "length");
}

TEST_F(OpenAiEndpointsTest, StreamedUsageComesOnceWithEmptyChoices) {
  const std::vector<std::string> events =
      EventsOf(Ask(Post(kCompletions, R"({"prompt": "x", "max_tokens": 3, "stream": true,
                               "ignore_eos": true, "stream_options": {"include_usage": true}})")));
  ASSERT_GE(events.size(), 3u);
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_EQ(usage["choices"], json::array());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 3);
}

TEST_F(OpenAiEndpointsTest, SeveralChoicesStreamedOrNot) {
  const std::string request =
      R"({"prompt": "hello", "max_tokens": 40, "seed": 7, "n": 3, "ignore_eos": true)";
  const json whole = BodyOf(Ask(Post(kCompletions, request + "}")));
  ASSERT_EQ(whole["choices"].size(), 3u) << whole;
  EXPECT_EQ(whole["usage"]["completion_tokens"], 120);
  EXPECT_NE(whole["choices"][0]["text"], whole["choices"][1]["text"]);
  const std::vector<std::string> events =
      EventsOf(Ask(Post(kCompletions, request + R"(, "stream": true, "stream_options":
                               {"include_usage": true, "continuous_usage_stats": true}})")));
  ASSERT_GE(events.size(), 5u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::vector<std::string> texts(3);
  std::vector<int> ends(3);
  json last;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    last = json::parse(events[i]);
    const json& choice = last["choices"][0];
    const auto index = choice["index"].get<size_t>();
    EXPECT_EQ(ends.at(index), 0);
    texts[index] += choice["text"].get<std::string>();
    ends[index] += choice["finish_reason"].is_null() ? 0 : 1;
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ends[i], 1);
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
  }
  EXPECT_EQ(last["usage"]["total_tokens"], whole["usage"]["total_tokens"]);
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_EQ(usage["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"]);
  EXPECT_EQ(usage["usage"]["completion_tokens"], 120);
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, BestOfAnswersWithSomeOfWhatAllWouldBe) {
  const std::string request =
      R"({"prompt": "hello", "max_tokens": 6, "seed": 7, "ignore_eos": true, )";
  const json all = BodyOf(Ask(Post(kCompletions, request + R"("n": 5})")));
  const json best = BodyOf(Ask(Post(kCompletions, request + R"("n": 2, "best_of": 5})")));
  ASSERT_EQ(best["choices"].size(), 2u) << best;
  // What was drawn is paid for, whether or not it is shown.
  EXPECT_EQ(best["usage"]["completion_tokens"], 30);
  std::set<std::string> texts;
  for (const json& choice : all["choices"]) {
    texts.insert(choice["text"].get<std::string>());
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(best["choices"][i]["index"], i);
    EXPECT_EQ(texts.count(best["choices"][i]["text"].get<std::string>()), 1u);
  }
}

TEST_F(OpenAiEndpointsTest, ErrorsAreRealStatuses) {
  const std::string field = Ask(Post(kCompletions, R"({"prompt": "x", "top_p": 7})"));
  EXPECT_THAT(field, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(BodyOf(field)["error"]["param"], "top_p");
  const std::string model = Ask(Post(kCompletions, R"({"prompt": "x", "model": "other"})"));
  EXPECT_THAT(model, StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(BodyOf(model)["error"]["code"], "model_not_found");
  const std::string context =
      Ask(Post(kCompletions, R"({"prompt": "x", "max_tokens": 99999999, "stream": true})"));
  EXPECT_THAT(context, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(BodyOf(context)["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(Ask(Post(kChat, "{")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 405"));
}

TEST_F(OpenAiEndpointsTest, AFullQueueSaysWhenToComeBack) {
  EngineOptions options;
  options.scheduler.max_queued.requests = 1;
  options.scheduler.max_running = 1;
  Start(options);
  const std::string endless =
      Post(kCompletions, R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true,
                            "stream": true})");
  RawClient running(http_->port());
  running.Send(endless);
  running.ReadUntil("data: ");
  RawClient waiting(http_->port());
  waiting.Send(endless);
  std::string answer;
  for (int i = 0; i < 100 && !absl::StartsWith(answer, "HTTP/1.1 429"); ++i) {
    answer = Ask(
        Post(kCompletions, R"({"prompt": "x", "max_tokens": 1})", "x-request-timeout-ms: 20\r\n"));
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: "));
  EXPECT_THAT(answer, HasSubstr("x-should-retry: true"));
  running.Close();
  waiting.Close();
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, AnswersMatchWhatTheyWereToldToMatch) {
  const std::string schema =
      R"({"prompt": "x", "max_tokens": 90, "seed": 4, "response_format": {"type": "json_schema",
          "json_schema": {"name": "n", "strict": true, "schema": {"type": "object",
          "properties": {"z": {"type": "boolean"}, "a": {"enum": [1, 22]}},
          "required": ["z", "a"], "additionalProperties": false}}})";
  const std::string whole = BodyOf(Ask(Post(kCompletions, schema + "}")))["choices"][0]["text"];
  const json value = json::parse(whole);
  EXPECT_TRUE(value["z"].is_boolean());
  EXPECT_TRUE(value["a"] == 1 || value["a"] == 22) << whole;
  EXPECT_LT(whole.find("\"z\""), whole.find("\"a\""));
  std::string streamed;
  for (const std::string& event :
       EventsOf(Ask(Post(kCompletions, schema + R"(, "stream": true})")))) {
    if (event != "[DONE]") {
      streamed += json::parse(event)["choices"][0]["text"].get<std::string>();
    }
  }
  EXPECT_EQ(streamed, whole);
  const json choice =
      BodyOf(Ask(Post(kChat, R"({"messages": [{"role": "user", "content": "x"}], "n": 2,
                 "guided_choice": ["yes", "no way"]})")))["choices"];
  ASSERT_EQ(choice.size(), 2u);
  for (const json& each : choice) {
    const std::string text = each["message"]["content"];
    EXPECT_TRUE(text == "yes" || text == "no way") << text;
    EXPECT_EQ(each["finish_reason"], "stop");
  }
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, WrongConstraintsAreNamedAsTheClientWroteThem) {
  std::string answer = Ask(Post(kCompletions, R"({"prompt": "x", "guided_regex": "ab(c"})"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(BodyOf(answer)["error"]["param"], "guided_regex");
  EXPECT_THAT(BodyOf(answer)["error"]["message"].get<std::string>(), HasSubstr("offset"));
  answer = Ask(Post(kCompletions, R"({"prompt": "x", "response_format": {"type": "json_schema",
      "json_schema": {"schema": {"properties": {"a": {"minimum": "x"}}}}}})"));
  EXPECT_EQ(BodyOf(answer)["error"]["param"], "response_format");
  EXPECT_THAT(BodyOf(answer)["error"]["message"].get<std::string>(), HasSubstr("#/properties/a"));
  answer = Ask(Post(kCompletions, R"({"prompt": "x", "response_format": {"type": "json_object"},
      "ignore_eos": true})"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(BodyOf(answer)["error"]["param"], "ignore_eos");
}

TEST_F(OpenAiEndpointsTest, AQuotaSaysWhenToComeBack) {
  EngineOptions options;
  options.scheduler.max_queued_by_tenant.requests = 1;
  options.scheduler.max_running = 1;
  Start(options);
  const std::string endless =
      Post(kCompletions, R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true,
                            "stream": true})");
  RawClient running(http_->port());
  running.Send(endless);
  running.ReadUntil("data: ");
  RawClient waiting(http_->port());
  waiting.Send(endless);
  std::string answer;
  for (int i = 0; i < 100 && !absl::StartsWith(answer, "HTTP/1.1 429"); ++i) {
    answer = Ask(
        Post(kCompletions, R"({"prompt": "x", "max_tokens": 1})", "x-request-timeout-ms: 20\r\n"));
  }
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 429"));
  EXPECT_EQ(BodyOf(answer)["error"]["code"], "rate_limit_exceeded");
  EXPECT_THAT(answer, HasSubstr("Retry-After: "));
  EXPECT_THAT(answer, HasSubstr("x-should-retry: true"));
}

TEST_F(OpenAiEndpointsTest, AHopelessDeadlineIsRefusedAtOnce) {
  EngineOptions options;
  options.pool.max_step_tokens = 1;
  Start(options);
  const std::string body = absl::StrCat(R"({"max_tokens": 1, "prompt": [5)",
                                        [] {
                                          std::string ids;
                                          for (int i = 0; i < 6000; ++i) ids += ",7";
                                          return ids;
                                        }(),
                                        "]}");
  const std::string answer = Ask(Post(kCompletions, body, "x-request-timeout-ms: 60\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 504"));
  EXPECT_EQ(BodyOf(answer)["error"]["code"], "deadline_infeasible");
  // Alone it is too late as well.
  EXPECT_THAT(answer, HasSubstr("x-should-retry: false"));
}

TEST_F(OpenAiEndpointsTest, ATimeoutWhileStreamingIsAnEventAndThenDone) {
  const std::string answer = Ask(Post(
      kCompletions, R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true, "stream": true})",
      "x-request-timeout-ms: 100\r\n"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  const std::vector<std::string> events = EventsOf(answer);
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(json::parse(events[events.size() - 2])["error"]["code"], "deadline_exceeded");
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, ClientsThatLeaveGiveEverythingBack) {
  for (int i = 0; i < 50; ++i) {
    RawClient client(http_->port());
    client.Send(Post(i % 2 == 0 ? kCompletions : kChat,
                     i % 2 == 0 ? R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true,
                               "stream": true, "n": 3})"
                                : R"({"messages": [{"role": "user", "content": "x"}],
                               "max_tokens": 8000, "ignore_eos": true})"));
    if (i % 6 == 0) {
      client.ReadUntil("data: ");
    }
  }
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, AClientThatDoesNotReadPausesItsSequence) {
  RawClient client(http_->port(), /*receive_buffer=*/4096);
  client.Send(Post(kCompletions, R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true,
                                    "stream": true})"));
  bool paused = false;
  for (int i = 0; i < 1000 && !paused; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::promise<int64_t> count;
    engine_->Post([&] { count.set_value(engine_->scheduler().Status().paused); });
    paused = count.get_future().get() == 1;
  }
  EXPECT_TRUE(paused);
  // Reading on, it gets everything.
  const std::vector<std::string> events = EventsOf(client.ReadAll());
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(json::parse(events[events.size() - 2])["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, AClientThatNeverReadsIsCutAndToldSo) {
  EngineOptions options;
  options.scheduler.slow_reader_timeout = Milliseconds(300);
  Start(options);
  RawClient client(http_->port(), /*receive_buffer=*/4096);
  client.Send(Post(kCompletions, R"({"prompt": "x", "max_tokens": 8000, "ignore_eos": true,
                                    "stream": true})"));
  bool ended = false;
  for (int i = 0; i < 1000 && !ended; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::promise<int64_t> cut;
    engine_->Post([&] {
      cut.set_value(
          observer_.counters().ended[static_cast<size_t>(scheduler::Outcome::kSlowConsumer)]);
    });
    ended = cut.get_future().get() == 1;
  }
  EXPECT_TRUE(ended);
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  const std::vector<std::string> events = EventsOf(answer);
  ASSERT_GE(events.size(), 2u);
  const json error = json::parse(events[events.size() - 2])["error"];
  EXPECT_EQ(error["code"], "slow_consumer");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_TRUE(ComesToRest());
}

// A body that the background worker builds; the tests' worker takes 1 MiB of them.
std::string LongBody(size_t bytes) {
  return absl::StrCat(R"({"max_tokens": 2, "ignore_eos": true, "prompt": ")",
                      std::string(bytes, 'a'), R"("})");
}

TEST_F(OpenAiEndpointsTest, ALongPromptHoldsUpNobodyAndEndsWithItsClientOrDeadline) {
  std::promise<void> go;
  ASSERT_TRUE(workers_->prompts.Post(Bytes(), [may_go = std::make_shared<std::shared_future<void>>(
                                                   go.get_future())] { may_go->wait(); }));
  RawClient waiting(http_->port());
  waiting.Send(Post(kCompletions, LongBody(20'000)));
  auto leaving = std::make_unique<RawClient>(http_->port());
  leaving->Send(Post(kCompletions, LongBody(20'000)));
  const auto short_one = [&] {
    return Ask(Post(kCompletions, R"({"prompt":"x","max_tokens":1})"));
  };
  EXPECT_THAT(short_one(), StartsWith("HTTP/1.1 200"));
  // The deadline does not wait for the worker.
  const std::string late =
      Ask(Post(kCompletions, LongBody(20'000), "x-request-timeout-ms: 50\r\n"));
  EXPECT_THAT(late, StartsWith("HTTP/1.1 504"));
  EXPECT_EQ(BodyOf(late)["error"]["code"], "deadline_exceeded");
  const std::string refused = Ask(Post(kCompletions, LongBody(1 << 20)));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
  leaving.reset();
  EXPECT_THAT(short_one(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(endpoints_->open_streams(), 3);
  go.set_value();
  EXPECT_EQ(BodyOf(waiting.ReadAll())["usage"]["completion_tokens"], 2);
  EXPECT_TRUE(ComesToRest());
}

TEST_F(OpenAiEndpointsTest, ADrainedEngineRefusesWithServiceUnavailable) {
  engine_->Post([this] { engine_->scheduler().StartDrain(); });
  const std::string answer = Ask(Post(kCompletions, R"({"prompt": "x", "stream": true})"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(BodyOf(answer)["error"]["code"], "server_draining");
}

TEST_F(OpenAiEndpointsTest, EchoesAGoodRequestIdAndNamesIgnoredFields) {
  const std::string good = Ask(Post(kCompletions, R"({"prompt": "x", "max_tokens": 1, "zz": 1})",
                                    "x-request-id: abc-1\r\n"));
  EXPECT_THAT(good, HasSubstr("x-request-id: abc-1\r\n"));
  EXPECT_THAT(good, HasSubstr("x-scoville-ignored: zz\r\n"));
  EXPECT_EQ(BodyOf(good)["id"], "cmpl-abc-1");
  const std::string bad =
      Ask(Post(kCompletions, R"({"prompt": "x", "max_tokens": 1})", "x-request-id: not an id\r\n"));
  EXPECT_THAT(bad, HasSubstr("x-request-id: h-"));
}

TEST_F(OpenAiEndpointsTest, ListsTheModel) {
  const auto get = [&](const std::string& path) {
    return Ask("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  };
  const json list = BodyOf(get("/v1/models"));
  EXPECT_EQ(list["data"][0]["id"], model_->id);
  EXPECT_EQ(list["data"][0]["max_model_len"], model_->config.context);
  EXPECT_EQ(BodyOf(get("/v1/models/" + model_->id))["id"], model_->id);
  EXPECT_THAT(get("/v1/models/other"), StartsWith("HTTP/1.1 404"));
}

}  // namespace
}  // namespace scoville::server
