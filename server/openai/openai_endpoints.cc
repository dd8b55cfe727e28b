#include "server/openai/openai_endpoints.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "server/grpc/request_builder.h"
#include "server/openai/openai_answer.h"
#include "server/openai/openai_response.h"

namespace scoville::server {

namespace {

constexpr char kJson[] = "application/json";
constexpr absl::string_view kModels = "/v1/models/";

// Streams are read on the HTTP server's one thread.
class HttpReaderThread final : public ReaderThread {
 public:
  explicit HttpReaderThread(HttpServer* http) : http_(http) {}
  void Notify(std::vector<std::shared_ptr<TokenStream>> ready) override {
    http_->Post([ready = std::move(ready)] {
      for (const std::shared_ptr<TokenStream>& stream : ready) {
        stream->Wake();
      }
    });
  }

 private:
  HttpServer* const http_;
};

void ReplyError(HttpExchange& exchange, OpenAiRoute route, const ServiceError& error) {
  exchange.Reply(error.row().http_status, kJson, OpenAiError(route, error),
                 OpenAiErrorHeaders(error));
}

}  // namespace

OpenAiEndpoints::OpenAiEndpoints(const Options& options, Engine* engine, StreamHub* hub,
                                 HttpServer* http, const model::LoadedModel* model)
    : options_(options),
      engine_(engine),
      hub_(hub),
      http_(http),
      model_(model),
      thread_(std::make_shared<HttpReaderThread>(http)),
      open_(std::make_shared<std::atomic<int64_t>>(0)) {}

void OpenAiEndpoints::AddTo(HttpRouter* router) {
  const std::vector<int> codes = {200, 400, 404, 429, 499, 500, 503, 504};
  router->Add("POST", "/v1/chat/completions", codes,
              [this](std::shared_ptr<HttpExchange> e) { Serve(OpenAiRoute::kChat, std::move(e)); });
  router->Add("POST", "/v1/completions", codes, [this](std::shared_ptr<HttpExchange> e) {
    Serve(OpenAiRoute::kCompletions, std::move(e));
  });
  for (const char* path : {"/v1/models", "/v1/models/"}) {
    router->Add("GET", path, {200, 404},
                [this](std::shared_ptr<HttpExchange> e) { Models(std::move(e)); });
  }
}

uint64_t OpenAiEndpoints::Fresh(uint64_t purpose) const {
  StableHasher hasher;
  hasher.Add(options_.salt);
  hasher.Add(requests_);
  hasher.Add(purpose);
  return hasher.hash().low;
}

TimePoint OpenAiEndpoints::DeadlineOf(const HttpRequest& request) const {
  Duration limit = options_.max_request_duration;
  for (const char* name : {"x-request-timeout-ms", "x-envoy-expected-rq-timeout-ms"}) {
    int64_t ms = 0;
    if (absl::SimpleAtoi(request.Header(name), &ms) && ms > 0 && ms < limit.value() / 1'000'000) {
      limit = Milliseconds(ms);
    }
  }
  return engine_->Now() + limit;
}

void OpenAiEndpoints::Serve(OpenAiRoute route, std::shared_ptr<HttpExchange> exchange) {
  const HttpRequest& http = exchange->request();
  OpenAiCall call;
  if (const auto error = ParseOpenAiRequest(route, http.body, &call)) {
    ReplyError(*exchange, route, *error);
    return;
  }
  ++requests_;
  RequestContext context;
  context.model = model_;
  context.metadata_id = std::string(http.Header("x-request-id"));
  context.fresh_id = absl::StrFormat("h-%016x", Fresh(1));
  context.fresh_seed = Fresh(2);
  context.deadline = DeadlineOf(http);
  BuiltRequest built;
  const auto error = route == OpenAiRoute::kChat ? BuildChat(call.chat, context, &built)
                                                 : BuildGenerate(call.generate, context, &built);
  if (error) {
    ReplyError(*exchange, route, *error);
    return;
  }
  const auto created =
      static_cast<int64_t>(options_.start_unix_seconds + ToSeconds(engine_->Now() - TimePoint()));
  const bool stream = call.stream;
  // Not make_shared: the ping's weak pointer would hold the whole of it.
  const std::shared_ptr<OpenAiAnswer> answer(new OpenAiAnswer(
      std::move(exchange), std::move(call), std::move(built.output), model_, hub_, created, open_));
  answer->Begin(std::move(built.request), thread_);
  if (stream) {
    http_->PostAfter(kPingAfter, [weak = std::weak_ptr<OpenAiAnswer>(answer)] {
      if (const std::shared_ptr<OpenAiAnswer> waiting = weak.lock()) {
        waiting->Ping();
      }
    });
  }
}

void OpenAiEndpoints::Models(std::shared_ptr<HttpExchange> exchange) {
  const absl::string_view path = exchange->request().path;
  const auto created = static_cast<int64_t>(options_.start_unix_seconds);
  if (path.size() <= kModels.size()) {
    exchange->Reply(200, kJson, OpenAiModels(model_->id, model_->config.context, created));
    return;
  }
  const absl::string_view asked = path.substr(kModels.size());
  if (const auto error = CheckModel(asked, *model_)) {
    ReplyError(*exchange, OpenAiRoute::kChat, *error);
    return;
  }
  exchange->Reply(200, kJson, OpenAiModel(model_->id, model_->config.context, created));
}

}  // namespace scoville::server
