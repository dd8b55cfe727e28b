// One OpenAI request from its body to the last byte of its answer.
//
// Takes tokens off the request's stream as far as the client takes bytes; what it leaves makes the
// sequence pause. A client that goes away cancels the request.
//
// Ownership: keeps itself alive until the answer is complete or the client is gone. Threading: HTTP
// thread only. Errors: answered to the client.
#ifndef SCOVILLE_SERVER_OPENAI_OPENAI_ANSWER_H_
#define SCOVILLE_SERVER_OPENAI_OPENAI_ANSWER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "scoville/v1/completions.pb.h"
#include "server/grpc/chunk_builder.h"
#include "server/http/http_exchange.h"
#include "server/openai/openai_request.h"
#include "server/openai/openai_response.h"
#include "server/stream/stream_hub.h"

namespace scoville::server {

class OpenAiAnswer final : public StreamReader, public std::enable_shared_from_this<OpenAiAnswer> {
 public:
  // Bytes the client has not taken, beyond which tokens stay in the stream.
  static constexpr size_t kMostPendingBytes = 64 << 10;

  // `open` is counted up from the beginning of the answer to its end.
  OpenAiAnswer(std::shared_ptr<HttpExchange> exchange, OpenAiCall call, OutputPlan plan,
               const model::LoadedModel* model, StreamHub* hub, int64_t created_unix_seconds,
               std::shared_ptr<std::atomic<int64_t>> open);
  ~OpenAiAnswer() override;

  // Once, on a shared object.
  void Begin(scheduler::Request request, std::shared_ptr<ReaderThread> thread);
  // Shows a client that waits for its first token that the request is alive.
  void Ping();

  void OnStreamReady() override { Pump(); }

 private:
  void Pump();
  // Moves up to a chunk of tokens from the stream; true if there may be more.
  bool Take();
  void End();
  void Send(const v1::Final* final);
  void EndWell();
  void EndBadly(const ServiceError& error);
  void Release();
  void StartStream();
  HttpHeaders Headers() const;

  const std::shared_ptr<HttpExchange> exchange_;
  const OpenAiCall call_;
  const std::string request_id_;
  StreamHub* const hub_;
  const std::shared_ptr<std::atomic<int64_t>> open_;
  ChunkBuilder builder_;
  OpenAiResponse response_;
  std::shared_ptr<TokenStream> stream_;
  std::shared_ptr<OpenAiAnswer> self_;  // until the end
  v1::Chunk chunk_;                     // not sent yet
  bool streaming_ = false;              // the head has been sent
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_ANSWER_H_
