#include "server/openai/openai_answer.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "absl/strings/str_join.h"

namespace scoville::server {

OpenAiAnswer::OpenAiAnswer(std::shared_ptr<HttpExchange> exchange, OpenAiCall call,
                           const OutputPlan& plan, uint32_t choices,
                           std::shared_ptr<Deployment> deployment, StreamHub* hub,
                           int64_t created_unix_seconds, std::shared_ptr<std::atomic<int64_t>> open)
    : exchange_(std::move(exchange)),
      call_(std::move(call)),
      request_id_(plan.request_id),
      hub_(hub),
      open_(std::move(open)),
      deployment_(std::move(deployment)),
      choices_(&deployment_->model(), plan, choices),
      parts_(choices),
      response_(call_, request_id_, deployment_->id(), deployment_->model().fingerprint,
                created_unix_seconds) {
  ++*open_;
}

OpenAiAnswer::~OpenAiAnswer() { --*open_; }

void OpenAiAnswer::Begin(scheduler::Request request, std::shared_ptr<ReaderThread> thread) {
  self_ = shared_from_this();
  exchange_->OnClosed([this] {
    choices_.Cancel();
    Release();
  });
  exchange_->OnDrained([this] { Pump(); });
  response_.set_prompt_tokens(request.prompt.size());
  choices_.Submit(hub_, deployment_, std::move(request), thread, this);
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
  choices_.EndTogether();
  bool more = true;
  while (more) {
    more = false;
    for (size_t i = 0; i < choices_.size(); ++i) {
      more = Take(i) || more;
      if (call_.stream && !choices_.drained()) {
        SendSome(i);
      }
    }
    if (choices_.drained()) {
      End();
      return;
    }
  }
}

bool OpenAiAnswer::Take(size_t choice) {
  uint32_t taken = 0;
  StreamToken token;
  const std::shared_ptr<TokenStream>& stream = choices_[choice].stream;
  while (taken < kMaxChunkTokens && exchange_->pending_bytes() < kMostPendingBytes &&
         stream->Pop(&token)) {
    choices_[choice].builder.Append(token, &parts_[choice].chunk);
    parts_[choice].logprobs += static_cast<double>(token.sampled.logprob);
    ++taken;
  }
  hub_->AfterRead(stream);
  // Fewer: the stream is empty, and wakes us; or the client is behind, and OnDrained calls.
  return taken == kMaxChunkTokens;
}

void OpenAiAnswer::SendSome(size_t choice) {
  Part& part = parts_[choice];
  const TokenStream& stream = *choices_[choice].stream;
  // The last ones end with the answer.
  const bool ends = !part.ended && stream.drained() && !choices_.ended() && stream.record() &&
                    scheduler::IsCompletion(stream.record()->outcome);
  if (ends) {
    choices_[choice].builder.Flush(&part.chunk);
    v1::ChoiceEnd end;
    choices_[choice].builder.FinishChoice(*stream.record(), &end);
    Send(choice, OpenAiFinishReason(end.finish_reason()), nullptr);
    part.ended = true;
  } else if (!part.chunk.text().empty()) {
    Send(choice, nullptr, nullptr);
  }
}

void OpenAiAnswer::End() {
  if (const std::optional<ServiceError> failure = choices_.Failure()) {
    EndBadly(*failure);
  } else {
    EndWell();
  }
}

void OpenAiAnswer::Send(size_t choice, const char* finish_reason, const v1::Final* final) {
  if (!streaming_) {
    StartStream();
  }
  v1::Chunk& chunk = parts_[choice].chunk;
  exchange_->Write(response_.Event({.index = static_cast<uint32_t>(choice),
                                    .text = chunk.text(),
                                    .tokens = chunk.tokens(),
                                    .finish_reason = finish_reason,
                                    .final = final}));
  chunk.Clear();
}

std::vector<uint32_t> OpenAiAnswer::Chosen(const v1::Final& final) const {
  std::vector<uint32_t> out(parts_.size());
  std::iota(out.begin(), out.end(), 0u);
  if (call_.best_of == 0) {
    return out;
  }
  const auto mean = [&](uint32_t i) {
    const uint64_t tokens = final.choices(static_cast<int>(i)).tokens();
    return tokens == 0 ? 0.0 : parts_[i].logprobs / static_cast<double>(tokens);
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](uint32_t a, uint32_t b) { return mean(a) > mean(b); });
  out.resize(std::min<size_t>(out.size(), call_.n));
  return out;
}

void OpenAiAnswer::EndWell() {
  v1::Final final;
  choices_.Finish(&final);
  std::vector<size_t> open;  // choices whose last event has not gone
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!parts_[i].ended) {
      choices_[i].builder.Flush(&parts_[i].chunk);
      open.push_back(i);
    }
  }
  if (call_.stream) {
    for (const size_t i : open) {
      Send(i, OpenAiFinishReason(final.choices(static_cast<int>(i)).finish_reason()),
           i == open.back() ? &final : nullptr);
    }
    exchange_->Write(response_.Trailer(final));
    exchange_->Finish();
  } else {
    const std::vector<uint32_t> chosen = Chosen(final);
    std::vector<std::string> texts;
    for (const uint32_t i : chosen) {
      texts.push_back(parts_[i].chunk.text());
    }
    exchange_->Reply(200, "application/json", response_.Body(texts, chosen, final), Headers());
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
  choices_.Detach();
  self_.reset();
}

}  // namespace scoville::server
