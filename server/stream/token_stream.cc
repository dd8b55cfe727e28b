#include "server/stream/token_stream.h"

#include "base/status_macros.h"

namespace scoville::server {

namespace {

int64_t BytesOf(const model::SampledToken& token) {
  return static_cast<int64_t>(sizeof(StreamToken) + token.top.size() * sizeof(token.top[0]));
}

}  // namespace

TokenStream::TokenStream(std::shared_ptr<ReaderThread> thread, StreamReader* reader,
                         const StreamLimits& limits)
    : thread_(std::move(thread)), limits_(limits), reader_(reader) {}

bool TokenStream::Pop(StreamToken* token) {
  if (!tokens_.Pop(token)) {
    return false;
  }
  popped_bytes_.fetch_add(BytesOf(token->sampled), std::memory_order_seq_cst);
  return true;
}

bool TokenStream::Over(int64_t tokens, int64_t bytes) const {
  const int64_t pending_bytes = pushed_bytes_.load() - popped_bytes_.load();
  return static_cast<int64_t>(tokens_.size()) >= tokens || pending_bytes >= bytes;
}

bool TokenStream::TakeCaughtUp() {
  // Read after a Pop has published its counts: see Congested.
  return congested_.load(std::memory_order_seq_cst) &&
         !Over(limits_.tokens / 2, limits_.bytes / 2) && congested_.exchange(false);
}

bool TokenStream::Congested() {
  if (!Over(limits_.tokens, limits_.bytes)) {
    return false;
  }
  congested_.store(true, std::memory_order_seq_cst);
  // The reader may have read everything since, seen no flag, and never look again: so look once
  // more. Either this sees its counts, or it sees the flag.
  if (!Over(limits_.tokens / 2, limits_.bytes / 2)) {
    congested_.store(false);
    return false;
  }
  return true;
}

void TokenStream::PushPromptScores(absl::Span<const model::SampledToken> scores) {
  prompt_scores_.insert(prompt_scores_.end(), scores.begin(), scores.end());
}

void TokenStream::Push(const model::SampledToken& token, TimePoint when) {
  pushed_bytes_.fetch_add(BytesOf(token), std::memory_order_relaxed);
  tokens_.Push(StreamToken{token, when});
}

void TokenStream::End(const scheduler::RequestRecord& record) {
  CHECK(!ended_.load(std::memory_order_relaxed));
  record_ = record;
  ended_.store(true, std::memory_order_release);
}

void TokenStream::Refuse(const scheduler::Refusal& refusal) {
  CHECK(!ended_.load(std::memory_order_relaxed));
  refusal_ = refusal;
  ended_.store(true, std::memory_order_release);
}

void StreamFlusher::Mark(const std::shared_ptr<TokenStream>& stream) {
  if (!stream->marked) {
    stream->marked = true;
    marked_.push_back(stream);
  }
}

void StreamFlusher::Flush() {
  // A handful of reader threads: one pass for each.
  while (!marked_.empty()) {
    ReaderThread* const thread = marked_.front()->thread();
    std::vector<std::shared_ptr<TokenStream>> ready;
    std::vector<std::shared_ptr<TokenStream>> others;
    for (std::shared_ptr<TokenStream>& stream : marked_) {
      if (stream->thread() == thread) {
        stream->marked = false;
        ready.push_back(std::move(stream));
      } else {
        others.push_back(std::move(stream));
      }
    }
    marked_ = std::move(others);
    thread->Notify(std::move(ready));
  }
}

void StreamSink::OnPromptScores(int64_t, absl::Span<const model::SampledToken> scores) {
  stream_->PushPromptScores(scores);
}

void StreamSink::OnToken(const model::SampledToken& token, TimePoint when) {
  stream_->Push(token, when);
  flusher_->Mark(stream_);
}

void StreamSink::OnEnd(const scheduler::RequestRecord& record) {
  stream_->End(record);
  flusher_->Mark(stream_);
}

}  // namespace scoville::server
