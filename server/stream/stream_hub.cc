#include "server/stream/stream_hub.h"

#include <utility>

#include "base/status_macros.h"

namespace scoville::server {

StreamHub::StreamHub(Engine* engine)
    : engine_(engine), flusher_(std::make_shared<StreamFlusher>()) {
  engine_->SetTurnHook([flusher = flusher_] { flusher->Flush(); });
}

std::shared_ptr<TokenStream> StreamHub::Submit(scheduler::Request request,
                                               const std::shared_ptr<ReaderThread>& thread,
                                               StreamReader* reader) {
  CHECK(request.sink == nullptr);
  auto stream = std::make_shared<TokenStream>(thread, reader);
  request.sink = std::make_unique<StreamSink>(stream, flusher_);
  const bool posted = engine_->Post(
      [engine = engine_, flusher = flusher_, stream, request = std::move(request)]() mutable {
        scheduler::SubmitResult result = engine->scheduler().Submit(std::move(request));
        if (result.refusal) {
          stream->Refuse(*result.refusal);
          flusher->Mark(stream);
        } else {
          stream->id = result.id;
        }
      });
  if (!posted) {
    stream->Refuse(
        {scheduler::RefusalReason::kDraining, "the server has shut down", 0, 0, Seconds(1)});
    thread->Notify({stream});
  }
  return stream;
}

void StreamHub::Cancel(std::shared_ptr<TokenStream> stream, scheduler::Outcome outcome) {
  engine_->Post([engine = engine_, stream = std::move(stream), outcome] {
    if (stream->id.value != 0) {
      engine->scheduler().Cancel(stream->id, outcome);
    }
  });
}

void StreamHub::AfterRead(const std::shared_ptr<TokenStream>& stream) {
  if (stream->TakeCaughtUp()) {
    engine_->Post([engine = engine_, stream] { engine->scheduler().ReaderCaughtUp(stream->id); });
  }
}

}  // namespace scoville::server
