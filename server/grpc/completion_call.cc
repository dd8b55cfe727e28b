#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/engine/find_deployment.h"
#include "server/grpc/calls.h"
#include "server/grpc/choice_set.h"
#include "server/grpc/chunk_builder.h"
#include "server/grpc/grpc_error.h"
#include "server/grpc/services.h"
#include "server/request/request_builder.h"
#include "server/request/request_constraint.h"

namespace scoville::server {

namespace {

struct GenerateRpc {
  using Request = v1::GenerateRequest;
  using Response = v1::GenerateResponse;
  static constexpr Method kMethod = Method::kGenerate;
  static constexpr auto kAwait = &v1::Completions::AsyncService::RequestGenerate;
  static constexpr auto kBuild = &BuildGenerate;
};

struct ChatRpc {
  using Request = v1::ChatRequest;
  using Response = v1::ChatResponse;
  static constexpr Method kMethod = Method::kChat;
  static constexpr auto kAwait = &v1::Completions::AsyncService::RequestChat;
  static constexpr auto kBuild = &BuildChat;
};

// One streamed completion, from waiting for a request to the last event about it.
//
// Ownership: owns itself; freed when gRPC has given back every event and the stream has ended (so
// nothing can wake it any more). Threading: its queue's thread, apart from the arrival. At most one
// operation is under way; what arrives meanwhile stays in the stream and leaves in the next chunk.
template <typename Rpc>
class CompletionCall final : public StreamReader {
 public:
  static void Arm(Services* services, CallContext* shared, size_t thread) {
    auto* call = new CompletionCall(services, shared, thread);
    call->context_.AsyncNotifyWhenDone(&call->done_event_);
    (services->completions.*Rpc::kAwait)(&call->context_, &call->request_, &call->writer_,
                                         shared->threads[thread]->queue(),
                                         shared->threads[0]->queue(), &call->arrived_event_);
  }

  void OnStreamReady() override { Advance(); }

 private:
  CompletionCall(Services* services, CallContext* shared, size_t thread)
      : services_(services), shared_(shared), thread_(thread) {}

  // On the first queue's thread, where all arrivals are. Nothing else of this call is touched
  // there: its other events may already come in on its own thread.
  void OnArrived(bool ok) {
    if (!ok) {
      delete this;  // the server shuts down; no other event will come
      return;
    }
    shared_->live_calls.fetch_add(1);
    shared_->open_streams.fetch_add(1);
    shared_->stats.Started(Rpc::kMethod);
    shared_->Rearm([this] { Arm(services_, shared_, thread_); });
    shared_->threads[thread_]->Post([this] { Begin(); });
  }

  void Begin() {
    begun_ = true;
    if (context_over_) {
      Advance();
      return;
    }
    FoundDeployment found = FindReadyDeployment(*shared_->engine, request_.model());
    if (found.error) {
      Fail(*found.error);
      return;
    }
    deployment_ = std::move(found.deployment);
    // Booked before anything is made of it: what does not get in costs no more than being read.
    const Bytes size(static_cast<int64_t>(request_.ByteSizeLong()));
    ByteBook* const book = shared_->hub->bytes();
    const TimePoint now = shared_->engine->Now();
    RequestContext context;
    context.bytes = size.value();
    context.booking = book->Take(size, now);
    if (context.booking == nullptr) {
      Refuse(BytesWaiting(book->booked(), size, book->most(),
                          book->RetryAfter(size, now, shared_->Draw())));
      return;
    }
    context.model = &deployment_->model();
    context.metadata_id = Metadata("x-request-id");
    context.tenant = Metadata("x-scoville-tenant");
    context.fresh_id = shared_->FreshId();
    context.fresh_seed = shared_->Draw();
    context.deadline = shared_->DeadlineOf(context_.deadline());
    const size_t text = TextBytes(request_);
    auto built = std::make_unique<BuiltRequest>();
    if (text > kMostTextAtOnce) {
      BuildAside(Bytes(static_cast<int64_t>(text)), context, std::move(built));
      return;
    }
    std::optional<ServiceError> error = Rpc::kBuild(request_, context, built.get());
    CompileAndSubmit(std::move(error), std::move(built));
  }

  std::string Metadata(const char* name) const {
    const auto found = context_.client_metadata().find(name);
    return found == context_.client_metadata().end()
               ? std::string()
               : std::string(found->second.data(), found->second.size());
  }

  // Builds the request on a background worker, which alone reads it until it is built.
  void BuildAside(Bytes weight, const RequestContext& context,
                  std::unique_ptr<BuiltRequest> built) {
    const std::string id = RequestIdOf(request_.request_id(), context);
    PostAside(&shared_->workers->prompts, weight, id,
              [this, context, built = std::move(built)]() mutable {
                std::optional<ServiceError> error;
                if (!abandoned()) {
                  error = Rpc::kBuild(request_, context, built.get());
                }
                GoOnHere([this, error = std::move(error), built = std::move(built)]() mutable {
                  CompileAndSubmit(std::move(error), std::move(built));
                });
              });
  }

  void CompileAndSubmit(std::optional<ServiceError> error, std::unique_ptr<BuiltRequest> built) {
    if (error || !NeedsCompiling(deployment_->constraints(), built.get(), &error)) {
      OnBuilt(error, built.get());
      return;
    }
    const std::string id = built->output.request_id;
    PostAside(&shared_->workers->constraints, kConstraintWeight, id,
              [this, built = std::move(built)]() mutable {
                std::optional<ServiceError> failure;
                if (!abandoned()) {
                  failure = CompileFor(deployment_->constraints(), built.get(),
                                       [this] { return abandoned(); });
                }
                GoOnHere([this, failure = std::move(failure), built = std::move(built)] {
                  OnBuilt(failure, built.get());
                });
              });
  }

  // `job` ends with GoOnHere; a call that ends meanwhile waits for that.
  void PostAside(BackgroundWorker* worker, Bytes weight, const std::string& id,
                 BackgroundWorker::Job job) {
    building_ = true;
    if (!worker->Post(weight, std::move(job))) {
      building_ = false;
      request_id_ = id;
      Fail(PromptQueueFull(worker->waiting(), worker->most_waiting()));
    }
  }

  void GoOnHere(absl::AnyInvocable<void()> then) {
    shared_->threads[thread_]->Post([this, then = std::move(then)]() mutable {
      building_ = false;
      if (context_over_) {
        Advance();
      } else {
        then();
      }
    });
  }

  bool abandoned() const { return abandoned_.load(std::memory_order_relaxed); }

  void OnBuilt(const std::optional<ServiceError>& error, BuiltRequest* built) {
    request_id_ = built->output.request_id;
    typename Rpc::Request().Swap(&request_);  // Clear would keep its memory
    if (error) {
      Fail(*error);
      return;
    }
    choices_.emplace(&deployment_->model(), built->output, built->choices);
    choices_->Submit(shared_->hub, deployment_, std::move(built->request),
                     shared_->threads[thread_], this);
  }

  // gRPC is done with the call: it ended, or the client went away.
  void OnDone(bool) {
    context_over_ = true;
    abandoned_.store(true, std::memory_order_relaxed);
    if (choices_) {
      choices_->Cancel(TimeLeft(context_.deadline(), Seconds(1)) <= Duration()
                           ? scheduler::Outcome::kDeadlineExceeded
                           : scheduler::Outcome::kCancelled);
    }
    Advance();
  }

  void OnWritten(bool) {
    // A failed write means that the client is gone; OnDone says so as well.
    busy_ = false;
    Advance();
  }

  void OnFinished(bool) {
    busy_ = false;
    Advance();
  }

  // The one place that decides what happens next.
  void Advance() {
    if (busy_ || !begun_) {
      return;
    }
    if (context_over_ && !finishing_) {
      Finish(grpc::Status::CANCELLED);
      return;
    }
    if (finishing_) {
      FreeIfOver();
      return;
    }
    if (!choices_) {
      return;
    }
    choices_->EndTogether();
    if (!WriteSomething() && choices_->drained()) {
      End();
    }
  }

  // True if a chunk went out. The choices take turns.
  bool WriteSomething() {
    for (size_t tried = 0; tried < choices_->size(); ++tried) {
      Choice& choice = (*choices_)[turn_];
      turn_ = (turn_ + 1) % choices_->size();
      if (WriteChunk(choice)) {
        return true;
      }
    }
    return false;
  }

  bool WriteChunk(Choice& choice) {
    TokenStream& stream = *choice.stream;
    const bool ended = stream.ended();
    const size_t pending = stream.pending();
    // Nothing goes out before there is a first token to follow it.
    if (pending > 0 && choice.prompt_sent < choice.prompt_scores()) {
      return WritePromptScores(choice);
    }
    if (pending == 0 ||
        (!ended && choice.token_sent && pending < choice.builder.plan().stream_interval)) {
      return ended && pending == 0 && WriteHeldBack(choice);
    }
    v1::Chunk* chunk = FreshChunk();
    StreamToken token;
    while (chunk->tokens() < kMaxChunkTokens && stream.Pop(&token)) {
      choice.builder.Append(token, chunk);
    }
    choice.token_sent = true;
    shared_->hub->AfterRead(choice.stream);
    if (stream.drained()) {
      Flush(choice, chunk);
    }
    Write();
    return true;
  }

  bool WritePromptScores(Choice& choice) {
    const auto all = choice.stream->prompt_scores();
    const auto scores = all.subspan(choice.prompt_sent, std::min(ChunkBuilder::kScoresPerChunk,
                                                                 all.size() - choice.prompt_sent));
    choice.prompt_sent += scores.size();
    choice.builder.AppendPromptScores(scores, FreshChunk());
    Write();
    return true;
  }

  // Text that was held back until the end came after the last token.
  bool WriteHeldBack(Choice& choice) {
    if (choice.flushed || !choice.token_sent) {
      return false;
    }
    v1::Chunk* chunk = FreshChunk();
    Flush(choice, chunk);
    if (chunk->text().empty()) {
      return false;
    }
    Write();
    return true;
  }

  static void Flush(Choice& choice, v1::Chunk* chunk) {
    choice.flushed = true;
    choice.builder.Flush(chunk);
  }

  v1::Chunk* FreshChunk() {
    response_.Clear();
    return response_.mutable_chunk();
  }

  void Write() {
    if (!sent_) {
      sent_ = true;
      context_.AddInitialMetadata("x-request-id", request_id_);
    }
    busy_ = true;
    shared_->stats.Sent(Rpc::kMethod);
    writer_.Write(response_, &written_event_);
  }

  void End() {
    if (const std::optional<ServiceError> failure = choices_->Failure()) {
      Fail(*failure);
      return;
    }
    response_.Clear();
    choices_->Finish(response_.mutable_final());
    AddTrailer("x-request-id", request_id_);
    finishing_ = true;
    busy_ = true;
    shared_->stats.Sent(Rpc::kMethod);
    shared_->stats.Handled(Rpc::kMethod, grpc::StatusCode::OK);
    writer_.WriteAndFinish(response_, grpc::WriteOptions(), grpc::Status::OK, &finished_event_);
  }

  // Before the request was built.
  void Refuse(const ServiceError& error) {
    RequestContext context;
    context.metadata_id = Metadata("x-request-id");
    context.fresh_id = shared_->FreshId();
    request_id_ = RequestIdOf(request_.request_id(), context);
    typename Rpc::Request().Swap(&request_);
    Fail(error);
  }

  void Fail(const ServiceError& error) {
    for (const auto& [key, value] : TrailersOf(error, request_id_)) {
      AddTrailer(key, value);
    }
    Finish(ToGrpcStatus(error));
  }

  void AddTrailer(const std::string& key, const std::string& value) {
    context_.AddTrailingMetadata(key, value);
  }

  void Finish(const grpc::Status& status) {
    finishing_ = true;
    busy_ = true;
    shared_->stats.Handled(Rpc::kMethod, status.error_code());
    writer_.Finish(status, &finished_event_);
  }

  void FreeIfOver() {
    if (building_) {
      return;
    }
    if (choices_) {
      choices_->Drop();
      if (!choices_->ended()) {
        return;  // the engine's end is still to come
      }
    }
    if (!context_over_) {
      return;
    }
    if (choices_) {
      choices_->Detach();
    }
    shared_->open_streams.fetch_sub(1);
    shared_->live_calls.fetch_sub(1);
    delete this;
  }

  // Constant after construction.
  Services* const services_;
  CallContext* const shared_;
  const size_t thread_;

  // gRPC's.
  grpc::ServerContext context_;
  typename Rpc::Request request_;
  typename Rpc::Response response_;
  grpc::ServerAsyncWriter<typename Rpc::Response> writer_{&context_};
  MemberEvent<CompletionCall> arrived_event_{this, &CompletionCall::OnArrived};
  MemberEvent<CompletionCall> done_event_{this, &CompletionCall::OnDone};
  MemberEvent<CompletionCall> written_event_{this, &CompletionCall::OnWritten};
  MemberEvent<CompletionCall> finished_event_{this, &CompletionCall::OnFinished};

  // State.
  std::string request_id_;
  std::shared_ptr<Deployment> deployment_;  // before what is built from its model
  std::optional<ChoiceSet> choices_;
  size_t turn_ = 0;            // whose chunk is next
  bool begun_ = false;         // the request arrived on this thread
  bool building_ = false;      // a background worker has the request
  bool busy_ = false;          // a write or the finish is under way
  bool sent_ = false;          // some chunk went out
  bool finishing_ = false;     // the finish began: nothing is written any more
  bool context_over_ = false;  // gRPC is done

  // For the background workers: nobody wants the request any more.
  std::atomic<bool> abandoned_{false};
};

}  // namespace

void ArmCompletionCalls(Services* services, CallContext* shared, int count) {
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      CompletionCall<GenerateRpc>::Arm(services, shared, thread);
      CompletionCall<ChatRpc>::Arm(services, shared, thread);
    }
  }
}

}  // namespace scoville::server
