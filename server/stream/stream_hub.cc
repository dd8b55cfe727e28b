#include "server/stream/stream_hub.h"

#include <utility>

#include "base/status_macros.h"
#include "server/stream/choices.h"

namespace scoville::server {

StreamHub::StreamHub(Engine* engine, Bytes most_waiting)
    : engine_(engine), bytes_(most_waiting), flusher_(std::make_shared<StreamFlusher>()) {
  engine_->SetTurnHook([flusher = flusher_] { flusher->Flush(); });
}

std::shared_ptr<TokenStream> StreamHub::Submit(std::shared_ptr<Deployment> deployment,
                                               scheduler::Request request,
                                               const std::shared_ptr<ReaderThread>& thread,
                                               StreamReader* reader) {
  return SubmitChoices(deployment, std::move(request), 1, thread, reader).front();
}

std::vector<std::shared_ptr<TokenStream>> StreamHub::SubmitChoices(
    const std::shared_ptr<Deployment>& deployment, scheduler::Request request, uint32_t choices,
    const std::shared_ptr<ReaderThread>& thread, StreamReader* reader) {
  std::vector<scheduler::Request> requests = ChoicesOf(std::move(request), choices);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (scheduler::Request& choice : requests) {
    CHECK(choice.sink == nullptr);
    streams.push_back(std::make_shared<TokenStream>(thread, reader));
    streams.back()->deployment = deployment;
    choice.sink = std::make_unique<StreamSink>(streams.back(), flusher_);
  }
  const bool posted = engine_->Post(
      [deployment, flusher = flusher_, streams, requests = std::move(requests)]() mutable {
        scheduler::SubmitChoicesResult result;
        if (deployment->open()) {
          result = deployment->scheduler().SubmitChoices(std::move(requests));
        } else {
          result.refusal = scheduler::Refusal{scheduler::RefusalReason::kDraining,
                                              "the model has been unloaded", 0, 0, Seconds(1)};
        }
        for (size_t i = 0; i < streams.size(); ++i) {
          if (result.refusal) {
            streams[i]->Refuse(*result.refusal);
            flusher->Mark(streams[i]);
          } else {
            streams[i]->id = result.ids[i];
          }
        }
      });
  if (!posted) {
    for (const std::shared_ptr<TokenStream>& stream : streams) {
      stream->Refuse(
          {scheduler::RefusalReason::kDraining, "the server has shut down", 0, 0, Seconds(1)});
    }
    thread->Notify(streams);
  }
  return streams;
}

void StreamHub::Cancel(std::shared_ptr<TokenStream> stream, scheduler::Outcome outcome) {
  engine_->Post([stream = std::move(stream), outcome] {
    if (stream->id.value != 0 && stream->deployment->open()) {
      stream->deployment->scheduler().Cancel(stream->id, outcome);
    }
  });
}

void StreamHub::AfterRead(const std::shared_ptr<TokenStream>& stream) {
  if (stream->TakeCaughtUp()) {
    engine_->Post([stream] {
      if (stream->deployment->open()) {
        stream->deployment->scheduler().ReaderCaughtUp(stream->id);
      }
    });
  }
}

}  // namespace scoville::server
