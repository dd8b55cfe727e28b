// The choices of one answer: a stream and a chunk builder each, and the end of all of them.
//
// A choice that ends badly ends the others; the answer is over when all have ended, and then either
// has a failure or a final message.
//
// Ownership: shares the streams; borrows the hub and the model. Threading: the reader's thread.
// Errors: Failure.
#ifndef SCOVILLE_SERVER_GRPC_CHOICE_SET_H_
#define SCOVILLE_SERVER_GRPC_CHOICE_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "model/loaded_model.h"
#include "scheduler/request.h"
#include "server/errors/service_error.h"
#include "server/grpc/chunk_builder.h"
#include "server/request/request_builder.h"
#include "server/stream/stream_hub.h"

namespace scoville::server {

struct Choice {
  Choice(const model::LoadedModel* model, const OutputPlan& plan, uint32_t index)
      : builder(model, plan, index) {}

  // Prompt scores there are to send; known once a token has come.
  size_t prompt_scores() const {
    return builder.plan().prompt_logprobs ? stream->prompt_scores().size() : 0;
  }

  std::shared_ptr<TokenStream> stream;
  ChunkBuilder builder;
  size_t prompt_sent = 0;   // of prompt_scores
  bool token_sent = false;  // a chunk with tokens went out
  bool flushed = false;     // the held-back text did
};

class ChoiceSet {
 public:
  ChoiceSet(const model::LoadedModel* model, const OutputPlan& plan, uint32_t count);

  // Once. `reader` is woken for any of them; Detach before it goes.
  void Submit(StreamHub* hub, const std::shared_ptr<Deployment>& deployment,
              scheduler::Request request, const std::shared_ptr<ReaderThread>& thread,
              StreamReader* reader);
  bool submitted() const { return hub_ != nullptr; }

  size_t size() const { return choices_.size(); }
  Choice& operator[](size_t i) { return choices_[i]; }

  // Ends those that have not ended.
  void Cancel(scheduler::Outcome outcome = scheduler::Outcome::kCancelled);
  // Ends the others if one ended badly: call it whenever the reader is woken.
  void EndTogether();
  // Forgets what is pending.
  void Drop();
  void Detach();

  bool ended() const;    // all of them; tokens may still be pending
  bool drained() const;  // and none are

  // What follows asks for ended().
  std::optional<ServiceError> Failure() const;
  // Precondition: no failure.
  void Finish(v1::Final* out) const;

 private:
  std::vector<scheduler::RequestRecord> Records() const;

  const model::LoadedModel* const model_;
  std::vector<Choice> choices_;
  std::shared_ptr<const model::CompiledConstraint> constraint_;
  StreamHub* hub_ = nullptr;
  bool ending_ = false;  // one ended badly, the others were told
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_CHOICE_SET_H_
