// One call with one request and one answer.
//
// A call waits armed for a request, arms its successor, moves to its own queue's thread, runs the
// handler there, and is freed when the answer has left and gRPC is done with it.
//
// Ownership: owns itself from Arm on. Threading: its queue's thread, apart from the arrival.
// Errors: the handler answers exactly once, with a message or an error.
#ifndef SCOVILLE_SERVER_GRPC_UNARY_CALL_H_
#define SCOVILLE_SERVER_GRPC_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/find_deployment.h"
#include "server/grpc/call_context.h"
#include "server/grpc/grpc_error.h"

namespace scoville::server {

template <typename Service, typename Request, typename Response>
class UnaryCall {
 public:
  using Writer = grpc::ServerAsyncResponseWriter<Response>;
  using Await = void (Service::*)(grpc::ServerContext*, Request*, Writer*, grpc::CompletionQueue*,
                                  grpc::ServerCompletionQueue*, void*);
  // Runs on the call's thread; calls Reply there, now or later.
  using Handler = void (*)(UnaryCall*);

  struct Kind {
    Service* service;
    Await await;
    Handler handler;
    Method method;
    CallContext* shared;
  };

  static void Arm(const Kind& kind, size_t thread) {
    (new UnaryCall(kind, thread))->WaitForRequest();
  }

  const Request& request() const { return request_; }
  Response* response() { return &response_; }
  // The deployment that the request is about; it lives as long as the call.
  const std::shared_ptr<Deployment>& deployment() const { return deployment_; }
  // False if there is none, which has then been answered.
  bool Choose(FoundDeployment found) {
    deployment_ = std::move(found.deployment);
    if (found.error) {
      Reply(found.error);
    }
    return deployment_ != nullptr;
  }
  CallContext& shared() { return *kind_.shared; }
  QueueThread& thread() { return *kind_.shared->threads[thread_]; }

  void Reply(const std::optional<ServiceError>& error) {
    grpc::Status status;
    if (error) {
      status = ToGrpcStatus(*error);
      for (const auto& [key, value] : TrailersOf(*error, "")) {
        context_.AddTrailingMetadata(key, value);
      }
    }
    kind_.shared->stats.Handled(kind_.method, status.error_code());
    if (status.ok()) {
      kind_.shared->stats.Sent(kind_.method);
      writer_.Finish(response_, status, &finished_);
    } else {
      writer_.FinishWithError(status, &finished_);
    }
  }

 private:
  UnaryCall(const Kind& kind, size_t thread) : kind_(kind), thread_(thread) {}

  void WaitForRequest() {
    CallContext& shared = *kind_.shared;
    (kind_.service->*kind_.await)(&context_, &request_, &writer_, shared.threads[thread_]->queue(),
                                  shared.threads[0]->queue(), &arrived_);
  }

  // On the first queue's thread, where all arrivals are.
  void OnArrived(bool ok) {
    if (!ok) {
      delete this;  // the server shuts down
      return;
    }
    kind_.shared->live_calls.fetch_add(1);
    kind_.shared->stats.Started(kind_.method);
    kind_.shared->Rearm([this] { Arm(kind_, thread_); });
    thread().Post([this] { kind_.handler(this); });
  }

  void OnFinished(bool) {
    kind_.shared->live_calls.fetch_sub(1);
    delete this;
  }

  const Kind kind_;
  const size_t thread_;
  grpc::ServerContext context_;
  Request request_;
  Response response_;
  std::shared_ptr<Deployment> deployment_;
  Writer writer_{&context_};
  MemberEvent<UnaryCall> arrived_{this, &UnaryCall::OnArrived};
  MemberEvent<UnaryCall> finished_{this, &UnaryCall::OnFinished};
};

// For a call about one deployment: finds it by the request's `model`. `ask` runs on the engine
// thread and returns what `reply`, on the call's thread, gets. The call is replied to by `reply`,
// or with an error if there is no such deployment.
template <typename Call, typename Ask, typename Reply>
void OnDeployment(Call* call, Ask ask, Reply reply) {
  FoundDeployment found = FindDeployment(*call->shared().engine, call->request().model());
  if (found.error) {
    call->Reply(found.error);
    return;
  }
  const bool posted =
      call->shared().engine->Post([call, ask, reply, deployment = std::move(found.deployment)] {
        if (!deployment->open()) {
          call->thread().Post([call, id = deployment->id()] {
            call->Reply(ModelNotReady(absl::StrCat("model '", id, "' has been unloaded")));
          });
          return;
        }
        call->thread().Post([reply, answer = ask(*deployment)] { reply(answer); });
      });
  if (!posted) {
    call->Reply(ServerDraining());
  }
}

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_GRPC_UNARY_CALL_H_
