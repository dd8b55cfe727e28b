// The OpenAI API: POST /v1/chat/completions and /v1/completions, GET /v1/models.
//
// Ownership: borrows what it is built with, which outlives it; the worker may be stopped earlier.
// Threading: built before the server serves, then HTTP thread; open_streams from any thread.
// Errors: answered to the client.
#ifndef SCOVILLE_SERVER_OPENAI_OPENAI_ENDPOINTS_H_
#define SCOVILLE_SERVER_OPENAI_OPENAI_ENDPOINTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "server/engine/engine.h"
#include "server/http/http_router.h"
#include "server/http/http_server.h"
#include "server/openai/openai_request.h"
#include "server/runtime/background_worker.h"
#include "server/stream/stream_hub.h"

namespace scoville::server {

class OpenAiEndpoints {
 public:
  // A client that waits longer than this for its first token gets the head and a comment.
  static constexpr Duration kPingAfter = Seconds(15);

  struct Options {
    Duration max_request_duration = Seconds(600);
    double start_unix_seconds = 0;
    uint64_t salt = 0;  // what sets this start's ids and seeds apart from another's
  };

  OpenAiEndpoints(const Options& options, Engine* engine, StreamHub* hub, HttpServer* http,
                  BackgroundWorkers* workers);

  // The routes refer to this object.
  void AddTo(HttpRouter* router);

  int64_t open_streams() const { return open_->load(); }

 private:
  // A request between its arrival and its admission.
  struct Pending;

  void Serve(OpenAiRoute route, std::shared_ptr<HttpExchange> exchange);
  // Parses and builds the request; any thread.
  void Build(Pending* pending, absl::FunctionRef<bool()> abandoned) const;
  // The same on a background worker; goes on with CompileAndAdmit unless the request ends before.
  void BuildAside(std::unique_ptr<Pending> pending);
  // Goes on with Admit, by way of another worker if there is a constraint to compile.
  void CompileAndAdmit(std::unique_ptr<Pending> pending);
  // Runs `work` on a request there and then `next` here.
  using Step = void (OpenAiEndpoints::*)(std::unique_ptr<Pending> pending);
  void PostAside(std::unique_ptr<Pending> pending, BackgroundWorker* worker, Bytes weight,
                 void (*work)(const OpenAiEndpoints&, Pending*, absl::FunctionRef<bool()>),
                 Step next);
  // Answers the error, or submits the request.
  void Admit(std::unique_ptr<Pending> pending);
  void Models(const std::shared_ptr<HttpExchange>& exchange);
  TimePoint DeadlineOf(const HttpRequest& request) const;
  // A number nobody else gets: for ids and, with another purpose, for seeds.
  uint64_t Fresh(uint64_t purpose) const;

  const Options options_;
  Engine* const engine_;
  StreamHub* const hub_;
  HttpServer* const http_;
  BackgroundWorkers* const workers_;
  const std::shared_ptr<ReaderThread> thread_;
  const std::shared_ptr<std::atomic<int64_t>> open_;
  uint64_t requests_ = 0;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_ENDPOINTS_H_
