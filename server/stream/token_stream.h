// One request's tokens on their way from the engine to the thread that sends them.
//
// The engine pushes into a queue and never blocks; at the end of a turn of its loop the reader's
// thread is told, once, of all its streams that got something (StreamFlusher). A reader that falls
// behind by more than the limits makes the sequence pause (Congested), and wakes it when it has
// read half of that.
//
// Units: tokens, bytes as held in memory. Ownership: shared by the sink (engine) and the reader;
// borrows the reader until Detach. Threading: three groups below; what stands in none of them is
// constant. Errors: none; how the request ended is a value.
#ifndef SCOVILLE_SERVER_STREAM_TOKEN_STREAM_H_
#define SCOVILLE_SERVER_STREAM_TOKEN_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/ids.h"
#include "base/units.h"
#include "model/sampling_params.h"
#include "scheduler/request.h"
#include "server/engine/deployment.h"
#include "server/stream/spsc_queue.h"

namespace scoville::server {

class TokenStream;

// The reading end. Called on its own thread.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  // Something arrived since the last call: tokens, or the end.
  virtual void OnStreamReady() = 0;
};

// The thread that readers live on.
class ReaderThread {
 public:
  virtual ~ReaderThread() = default;
  // Any thread. Calls Wake() of each on the reader's thread, soon; drops them once that thread has
  // ended.
  virtual void Notify(std::vector<std::shared_ptr<TokenStream>> ready) = 0;
};

struct StreamLimits {
  int64_t tokens = 1024;
  int64_t bytes = 64 << 10;
};

struct StreamToken {
  model::SampledToken sampled;
  TimePoint when;
};

class TokenStream {
 public:
  TokenStream(std::shared_ptr<ReaderThread> thread, StreamReader* reader,
              const StreamLimits& limits = {});

  // --- Reader's thread ---

  void Wake() {
    if (reader_ != nullptr) {
      reader_->OnStreamReady();
    }
  }
  // The reader goes away; Wake does nothing from now on.
  void Detach() { reader_ = nullptr; }

  // False when nothing is pending right now.
  bool Pop(StreamToken* token);
  size_t pending() const { return tokens_.size(); }
  // The end was pushed (tokens may still be pending), and it is known that nothing follows.
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  bool drained() const { return ended() && tokens_.size() == 0; }
  // True once after each pause, when the reader has caught up: tell the scheduler.
  bool TakeCaughtUp();

  // Valid after the first Pop, or once ended. The scores of prompt tokens 1, 2, ….
  absl::Span<const model::SampledToken> prompt_scores() const { return prompt_scores_; }
  // Valid once ended: exactly one of them.
  const std::optional<scheduler::Refusal>& refusal() const { return refusal_; }
  const std::optional<scheduler::RequestRecord>& record() const { return record_; }

  // --- Engine thread ---

  void PushPromptScores(absl::Span<const model::SampledToken> scores);
  void Push(const model::SampledToken& token, TimePoint when);
  void End(const scheduler::RequestRecord& record);
  void Refuse(const scheduler::Refusal& refusal);
  bool Congested();

  // Who computes it; constant from the submission on.
  std::shared_ptr<Deployment> deployment;

  RequestId id;         // zero until admitted
  bool marked = false;  // in the flusher's list

  // --- Any thread ---

  ReaderThread* thread() const { return thread_.get(); }

 private:
  const std::shared_ptr<ReaderThread> thread_;
  const StreamLimits limits_;

  StreamReader* reader_;  // reader's thread

  // Written by the engine before ended_, or before the first token.
  std::vector<model::SampledToken> prompt_scores_;
  std::optional<scheduler::Refusal> refusal_;
  std::optional<scheduler::RequestRecord> record_;

  bool Over(int64_t tokens, int64_t bytes) const;

  SpscQueue<StreamToken> tokens_;
  std::atomic<int64_t> pushed_bytes_{0};
  std::atomic<int64_t> popped_bytes_{0};
  std::atomic<bool> congested_{false};
  std::atomic<bool> ended_{false};
};

// Collects the streams that got something in this turn of the loop, and tells each reader's thread
// once.
//
// Ownership: shared by sinks and the turn hook. Threading: engine thread only. Errors: none.
class StreamFlusher {
 public:
  void Mark(const std::shared_ptr<TokenStream>& stream);
  void Flush();

 private:
  std::vector<std::shared_ptr<TokenStream>> marked_;
};

// The scheduler's end of a stream.
class StreamSink final : public scheduler::TokenSink {
 public:
  StreamSink(std::shared_ptr<TokenStream> stream, std::shared_ptr<StreamFlusher> flusher)
      : stream_(std::move(stream)), flusher_(std::move(flusher)) {}

  void OnPromptScores(int64_t first_index, absl::Span<const model::SampledToken> scores) override;
  void OnToken(const model::SampledToken& token, TimePoint when) override;
  void OnEnd(const scheduler::RequestRecord& record) override;
  bool Congested() const override { return stream_->Congested(); }

 private:
  const std::shared_ptr<TokenStream> stream_;
  const std::shared_ptr<StreamFlusher> flusher_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_STREAM_TOKEN_STREAM_H_
