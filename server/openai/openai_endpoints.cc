#include "server/openai/openai_endpoints.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "server/engine/find_deployment.h"
#include "server/openai/openai_answer.h"
#include "server/openai/openai_response.h"
#include "server/request/request_builder.h"
#include "server/request/request_constraint.h"

namespace scoville::server {

namespace {

constexpr char kJson[] = "application/json";
constexpr absl::string_view kModels = "/v1/models/";

// No request waits longer than this for the background worker, whose queue is bounded: a later
// deadline is the scheduler's to keep.
constexpr Duration kLongestBuild = Seconds(120);

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

struct OpenAiEndpoints::Pending {
  OpenAiRoute route = OpenAiRoute::kChat;
  std::shared_ptr<HttpExchange> exchange;
  std::shared_ptr<Deployment> deployment;
  RequestContext context;
  OpenAiCall call;
  BuiltRequest built;
  std::optional<ServiceError> error;
};

OpenAiEndpoints::OpenAiEndpoints(const Options& options, Engine* engine, StreamHub* hub,
                                 HttpServer* http, BackgroundWorkers* workers)
    : options_(options),
      engine_(engine),
      hub_(hub),
      http_(http),
      workers_(workers),
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
    router->Add("GET", path, {200, 404, 503},
                [this](const std::shared_ptr<HttpExchange>& e) { Models(e); });
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
  ++requests_;
  auto pending = std::make_unique<Pending>();
  pending->route = route;
  pending->context.metadata_id = std::string(http.Header("x-request-id"));
  pending->context.tenant = std::string(http.Header("x-scoville-tenant"));
  pending->context.fresh_id = absl::StrFormat("h-%016x", Fresh(1));
  pending->context.fresh_seed = Fresh(2);
  pending->context.deadline = DeadlineOf(http);
  pending->exchange = std::move(exchange);
  // Booked before anything is made of it.
  const Bytes size(static_cast<int64_t>(http.body.size()));
  ByteBook* const book = hub_->bytes();
  pending->context.bytes = size.value();
  pending->context.booking = book->Take(size, engine_->Now());
  if (pending->context.booking == nullptr) {
    ReplyError(*pending->exchange, route,
               BytesWaiting(book->booked(), size, book->most(),
                            book->RetryAfter(size, engine_->Now(), Fresh(3))));
    return;
  }
  if (http.body.size() > kMostTextAtOnce) {
    BuildAside(std::move(pending));
    return;
  }
  Build(pending.get(), [] { return false; });
  CompileAndAdmit(std::move(pending));
}

void OpenAiEndpoints::Build(Pending* pending, absl::FunctionRef<bool()> abandoned) const {
  const std::string& body = pending->exchange->request().body;
  pending->error = ParseOpenAiRequest(pending->route, body, &pending->call);
  if (pending->error || abandoned()) {
    return;
  }
  const bool chat = pending->route == OpenAiRoute::kChat;
  FoundDeployment found = FindReadyDeployment(
      *engine_, chat ? pending->call.chat.model() : pending->call.generate.model());
  if (found.error) {
    pending->error = std::move(found.error);
    return;
  }
  pending->deployment = std::move(found.deployment);
  pending->context.model = &pending->deployment->model();
  pending->error = chat ? BuildChat(pending->call.chat, pending->context, &pending->built)
                        : BuildGenerate(pending->call.generate, pending->context, &pending->built);
  if (pending->call.best_of > 0) {
    // What choices are ranked by.
    model::SamplingParams& sampling = pending->built.request.sampling;
    sampling.logprobs = std::max(sampling.logprobs, 0);
  }
}

void OpenAiEndpoints::BuildAside(std::unique_ptr<Pending> pending) {
  const Bytes weight(static_cast<int64_t>(pending->exchange->request().body.size()));
  PostAside(
      std::move(pending), &workers_->prompts, weight,
      [](const OpenAiEndpoints& self, Pending* job, absl::FunctionRef<bool()> abandoned) {
        self.Build(job, abandoned);
      },
      &OpenAiEndpoints::CompileAndAdmit);
}

void OpenAiEndpoints::CompileAndAdmit(std::unique_ptr<Pending> pending) {
  if (pending->error ||
      !NeedsCompiling(pending->deployment->constraints(), &pending->built, &pending->error)) {
    Admit(std::move(pending));
    return;
  }
  PostAside(
      std::move(pending), &workers_->constraints, kConstraintWeight,
      [](const OpenAiEndpoints&, Pending* job, absl::FunctionRef<bool()> abandoned) {
        job->error = CompileFor(job->deployment->constraints(), &job->built, abandoned);
      },
      &OpenAiEndpoints::Admit);
}

void OpenAiEndpoints::PostAside(
    std::unique_ptr<Pending> pending, BackgroundWorker* worker, Bytes weight,
    void (*work)(const OpenAiEndpoints&, Pending*, absl::FunctionRef<bool()>), Step next) {
  const std::shared_ptr<HttpExchange> exchange = pending->exchange;
  const OpenAiRoute route = pending->route;
  const TimePoint deadline = pending->context.deadline;
  // Written on the HTTP thread: the client left, or has its answer.
  auto over = std::make_shared<std::atomic<bool>>(false);
  open_->fetch_add(1);
  const bool posted =
      worker->Post(weight, [this, over, work, next, pending = std::move(pending)]() mutable {
        const auto abandoned = [&] { return over->load(std::memory_order_relaxed); };
        if (!abandoned()) {
          work(*this, pending.get(), abandoned);
        }
        // Whatever is left of it goes on the HTTP thread, where the exchange is at home.
        http_->Post([this, over = std::move(over), next, pending = std::move(pending)]() mutable {
          if (!over->exchange(true)) {
            (this->*next)(std::move(pending));
          }
          open_->fetch_sub(1);
        });
      });
  if (!posted) {
    open_->fetch_sub(1);
    ReplyError(*exchange, route, PromptQueueFull(worker->waiting(), worker->most_waiting()));
    return;
  }
  exchange->OnClosed([over] { over->store(true, std::memory_order_relaxed); });
  const Duration left = deadline - engine_->Now();
  if (left > kLongestBuild) {
    return;
  }
  http_->PostAfter(left, [over, route, weak = std::weak_ptr(exchange)] {
    const std::shared_ptr<HttpExchange> waiting = weak.lock();
    if (waiting != nullptr && !over->exchange(true)) {
      ReplyError(*waiting, route, DeadlineBeforeAdmission());
    }
  });
}

void OpenAiEndpoints::Admit(std::unique_ptr<Pending> pending) {
  if (pending->error) {
    ReplyError(*pending->exchange, pending->route, *pending->error);
    return;
  }
  const auto created =
      static_cast<int64_t>(options_.start_unix_seconds + ToSeconds(engine_->Now() - TimePoint()));
  const bool stream = pending->call.stream;
  pending->exchange->ReleaseBody();
  // Not make_shared: the ping's weak pointer would hold the whole of it.
  const std::shared_ptr<OpenAiAnswer> answer(new OpenAiAnswer(
      std::move(pending->exchange), std::move(pending->call), pending->built.output,
      pending->built.choices, std::move(pending->deployment), hub_, created, open_));
  answer->Begin(std::move(pending->built.request), thread_);
  if (stream) {
    http_->PostAfter(kPingAfter, [weak = std::weak_ptr<OpenAiAnswer>(answer)] {
      if (const std::shared_ptr<OpenAiAnswer> waiting = weak.lock()) {
        waiting->Ping();
      }
    });
  }
}

void OpenAiEndpoints::Models(const std::shared_ptr<HttpExchange>& exchange) {
  const absl::string_view path = exchange->request().path;
  const auto created = static_cast<int64_t>(options_.start_unix_seconds);
  if (path.size() <= kModels.size()) {
    std::vector<ModelEntry> models;
    for (const std::shared_ptr<Deployment>& deployment : engine_->deployments()) {
      if (deployment->state() == DeploymentState::kReady) {
        models.push_back({deployment->id(), deployment->model().config.context});
      }
    }
    exchange->Reply(200, kJson, OpenAiModels(models, created));
    return;
  }
  const FoundDeployment found = FindReadyDeployment(*engine_, path.substr(kModels.size()));
  if (found.error) {
    ReplyError(*exchange, OpenAiRoute::kChat, *found.error);
    return;
  }
  const Deployment& deployment = *found.deployment;
  exchange->Reply(200, kJson,
                  OpenAiModel({deployment.id(), deployment.model().config.context}, created));
}

}  // namespace scoville::server
