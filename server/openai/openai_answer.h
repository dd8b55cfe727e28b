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
#include <vector>

#include "scoville/v1/completions.pb.h"
#include "server/grpc/choice_set.h"
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
  OpenAiAnswer(std::shared_ptr<HttpExchange> exchange, OpenAiCall call, const OutputPlan& plan,
               uint32_t choices, std::shared_ptr<Deployment> deployment, StreamHub* hub,
               int64_t created_unix_seconds, std::shared_ptr<std::atomic<int64_t>> open);
  ~OpenAiAnswer() override;

  // Once, on a shared object.
  void Begin(scheduler::Request request, std::shared_ptr<ReaderThread> thread);
  // Shows a client that waits for its first token that the request is alive.
  void Ping();

  void OnStreamReady() override { Pump(); }

 private:
  // What has been taken of a choice and not been sent yet.
  struct Part {
    v1::Chunk chunk;
    double logprobs = 0;  // sum over its tokens, where they are ranked by it
    bool ended = false;   // its last event has gone
  };

  void Pump();
  // Moves up to a chunk of tokens of a choice from its stream; true if there may be more.
  bool Take(size_t choice);
  // Sends what there is of a choice, with its end if it has ended well.
  void SendSome(size_t choice);
  void End();
  void Send(size_t choice, const char* finish_reason, const v1::Final* final);
  void EndWell();
  void EndBadly(const ServiceError& error);
  void Release();
  void StartStream();
  HttpHeaders Headers() const;
  // The choices to answer with, best first if more were drawn than asked for.
  std::vector<uint32_t> Chosen(const v1::Final& final) const;

  const std::shared_ptr<HttpExchange> exchange_;
  const OpenAiCall call_;
  const std::string request_id_;
  StreamHub* const hub_;
  const std::shared_ptr<std::atomic<int64_t>> open_;
  const std::shared_ptr<Deployment> deployment_;
  ChoiceSet choices_;
  std::vector<Part> parts_;
  OpenAiResponse response_;
  std::shared_ptr<OpenAiAnswer> self_;  // until the end
  bool streaming_ = false;              // the head has been sent
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_OPENAI_OPENAI_ANSWER_H_
