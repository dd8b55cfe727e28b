#include "server/openai/openai_answer.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_join.h"

namespace scoville::server {

OpenAiAnswer::OpenAiAnswer(std::shared_ptr<HttpExchange> exchange, OpenAiCall call, OutputPlan plan,
                           const model::LoadedModel* model, StreamHub* hub,
                           int64_t created_unix_seconds, std::shared_ptr<std::atomic<int64_t>> open)
    : exchange_(std::move(exchange)),
      call_(std::move(call)),
      request_id_(plan.request_id),
      hub_(hub),
      open_(std::move(open)),
      builder_(model, std::move(plan)),
      response_(call_, request_id_, model->id, model->fingerprint, created_unix_seconds) {
  ++*open_;
}

OpenAiAnswer::~OpenAiAnswer() { --*open_; }

void OpenAiAnswer::Begin(scheduler::Request request, std::shared_ptr<ReaderThread> thread) {
  self_ = shared_from_this();
  exchange_->OnClosed([this] {
    hub_->Cancel(stream_);
    Release();
  });
  exchange_->OnDrained([this] { Pump(); });
  stream_ = hub_->Submit(std::move(request), std::move(thread), this);
}

void OpenAiAnswer::Ping() {
  if (self_ != nullptr && call_.stream && !streaming_) {
    StartStream();
    exchange_->Write(": ping\n\n");
  }
}

HttpHeaders OpenAiAnswer::Headers() const {
  HttpHeaders out = {{"x-request-id", request_id_}};
  if (!call_.ignored.empty()) {
    out.emplace_back("x-scoville-ignored", absl::StrJoin(call_.ignored, ", "));
  }
  return out;
}

void OpenAiAnswer::StartStream() {
  HttpHeaders headers = Headers();
  headers.emplace_back("Cache-Control", "no-cache");
  exchange_->StartStream(200, "text/event-stream; charset=utf-8", headers);
  streaming_ = true;
}

void OpenAiAnswer::Pump() {
  if (self_ == nullptr) {
    return;
  }
  const std::shared_ptr<OpenAiAnswer> alive = self_;
  bool more = true;
  while (more) {
    more = Take();
    if (stream_->drained()) {
      End();
      return;
    }
    if (call_.stream && !chunk_.text().empty()) {
      Send(nullptr);
    }
  }
}

bool OpenAiAnswer::Take() {
  uint32_t taken = 0;
  StreamToken token;
  while (taken < kMaxChunkTokens && exchange_->pending_bytes() < kMostPendingBytes &&
         stream_->Pop(&token)) {
    builder_.Append(token, &chunk_);
    ++taken;
  }
  hub_->AfterRead(stream_);
  // Fewer: the stream is empty, and wakes us; or the client is behind, and OnDrained calls.
  return taken == kMaxChunkTokens;
}

void OpenAiAnswer::End() {
  if (stream_->refusal()) {
    EndBadly(ErrorOfRefusal(*stream_->refusal()));
  } else if (!scheduler::IsCompletion(stream_->record()->outcome)) {
    EndBadly(ErrorOfEnd(*stream_->record()));
  } else {
    EndWell();
  }
}

void OpenAiAnswer::Send(const v1::Final* final) {
  if (!streaming_) {
    StartStream();
  }
  exchange_->Write(response_.Event(chunk_.text(), chunk_.tokens(), final));
  chunk_.Clear();
}

void OpenAiAnswer::EndWell() {
  builder_.Flush(&chunk_);
  v1::Final final;
  builder_.Finish(*stream_->record(), &final);
  if (call_.stream) {
    Send(&final);
    exchange_->Write(response_.Trailer(final));
    exchange_->Finish();
  } else {
    exchange_->Reply(200, "application/json", response_.Body(chunk_.text(), final), Headers());
  }
  Release();
}

void OpenAiAnswer::EndBadly(const ServiceError& error) {
  if (streaming_) {
    exchange_->Write(OpenAiErrorEvent(call_.route, error));
    exchange_->Finish();
  } else {
    HttpHeaders headers = Headers();
    for (auto& header : OpenAiErrorHeaders(error)) {
      headers.push_back(std::move(header));
    }
    exchange_->Reply(error.row().http_status, "application/json", OpenAiError(call_.route, error),
                     headers);
  }
  Release();
}

void OpenAiAnswer::Release() {
  if (stream_ != nullptr) {
    stream_->Detach();
  }
  self_.reset();
}

}  // namespace scoville::server
