// Submits requests to the engine and gives back the stream their tokens come through; every
// protocol uses the one hub of the daemon.
//
// Its byte book bounds what waits, from a message's arrival until it runs.
//
// Takes the engine's turn hook, to tell readers of their tokens once per turn of the loop.
//
// Ownership: borrows the engine, which outlives it. Threading: any thread; a stream's calls come
// from its reader's thread. Errors: a refusal is the stream's end.
#ifndef SCOVILLE_SERVER_STREAM_STREAM_HUB_H_
#define SCOVILLE_SERVER_STREAM_STREAM_HUB_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "scheduler/request.h"
#include "server/engine/engine.h"
#include "server/stream/byte_book.h"
#include "server/stream/token_stream.h"

namespace scoville::server {

class StreamHub {
 public:
  // `most_waiting`: bytes of requests that may wait at a time (byte_book.h); zero: no limit.
  explicit StreamHub(Engine* engine, Bytes most_waiting = Bytes());

  // Where a protocol books a request that it has read, before it builds it.
  ByteBook* bytes() { return &bytes_; }

  // The request is `deployment`'s; `request.sink` must be empty. `reader` is woken on `thread` and
  // must Detach before it goes. Every stream ends, however the engine goes about it.
  std::shared_ptr<TokenStream> Submit(std::shared_ptr<Deployment> deployment,
                                      scheduler::Request request,
                                      const std::shared_ptr<ReaderThread>& thread,
                                      StreamReader* reader);
  // The same for several answers to it (choices.h), a stream each, in their order. They are taken
  // or refused together.
  std::vector<std::shared_ptr<TokenStream>> SubmitChoices(
      const std::shared_ptr<Deployment>& deployment, scheduler::Request request, uint32_t choices,
      const std::shared_ptr<ReaderThread>& thread, StreamReader* reader);

  // Ends the request; its stream still gets its end. Nothing happens if it has ended.
  void Cancel(std::shared_ptr<TokenStream> stream,
              scheduler::Outcome outcome = scheduler::Outcome::kCancelled);

  // After reading: lets a paused sequence go on. Call it after a batch of Pop.
  void AfterRead(const std::shared_ptr<TokenStream>& stream);

 private:
  Engine* const engine_;
  ByteBook bytes_;
  const std::shared_ptr<StreamFlusher> flusher_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_STREAM_STREAM_HUB_H_
