#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/engine/find_deployment.h"
#include "server/grpc/calls.h"
#include "server/grpc/model_calls.h"
#include "server/grpc/pool_state.h"
#include "server/grpc/services.h"
#include "server/grpc/unary_call.h"
#include "server/request/request_builder.h"

namespace scoville::server {

namespace {

constexpr size_t kMaxText = 4 << 20;
constexpr int kMaxDetokenized = 1 << 20;

using Completions = v1::Completions::AsyncService;
using Pool = v1::Pool::AsyncService;
using TokenizeCall = UnaryCall<Completions, v1::TokenizeRequest, v1::TokenizeResponse>;
using DetokenizeCall = UnaryCall<Completions, v1::DetokenizeRequest, v1::DetokenizeResponse>;
using ListModelsCall = UnaryCall<Completions, v1::ListModelsRequest, v1::ListModelsResponse>;
using GetPoolCall = UnaryCall<Pool, v1::GetPoolRequest, v1::GetPoolResponse>;
using ExplainCall = UnaryCall<Pool, v1::ExplainRequest, v1::ExplainResponse>;

// Runs `work` on the call, which nobody else touches meanwhile, and replies: at once if it is
// little, else by way of the background worker.
template <typename Call>
void Work(Call* call, size_t bytes, std::optional<ServiceError> (*work)(Call*)) {
  if (bytes <= kMostTextAtOnce) {
    call->Reply(work(call));
    return;
  }
  BackgroundWorker& worker = call->shared().workers->prompts;
  const bool posted = worker.Post(Bytes(static_cast<int64_t>(bytes)), [call, work] {
    call->thread().Post([call, error = work(call)] { call->Reply(error); });
  });
  if (!posted) {
    call->Reply(PromptQueueFull(worker.waiting(), worker.most_waiting()));
  }
}

std::optional<ServiceError> EncodeText(TokenizeCall* call) {
  const v1::TokenizeRequest& in = call->request();
  const model::Tokenizer& tokenizer = *call->deployment()->model().tokenizer;
  model::EncodeOptions options;
  options.allow_control_tokens = in.allow_control_tokens();
  options.add_bos = tokenizer.add_bos_by_default();
  const model::Encoding encoding = tokenizer.Encode(in.text(), options);
  for (int32_t token : encoding.tokens) {
    const absl::string_view bytes = tokenizer.TokenBytes(token);
    call->response()->add_token_ids(static_cast<uint32_t>(token));
    call->response()->add_tokens(bytes.data(), bytes.size());
  }
  call->response()->set_dropped_bytes(static_cast<uint64_t>(encoding.dropped_bytes));
  return std::nullopt;
}

void Tokenize(TokenizeCall* call) {
  const v1::TokenizeRequest& in = call->request();
  if (!call->Choose(FindReadyDeployment(*call->shared().engine, in.model()))) {
    return;
  }
  if (in.text().size() > kMaxText) {
    call->Reply(InvalidField(
        "text", absl::StrCat("has ", in.text().size(), " bytes, the limit is ", kMaxText)));
    return;
  }
  Work(call, in.text().size(), EncodeText);
}

std::optional<ServiceError> JoinTokens(DetokenizeCall* call) {
  const v1::DetokenizeRequest& in = call->request();
  const model::Tokenizer& tokenizer = *call->deployment()->model().tokenizer;
  for (int i = 0; i < in.token_ids_size(); ++i) {
    if (in.token_ids(i) >= static_cast<uint64_t>(tokenizer.vocabulary())) {
      return InvalidField(
          absl::StrCat("token_ids[", i, "]"),
          absl::StrCat("is ", in.token_ids(i), ", the vocabulary has ", tokenizer.vocabulary()));
    }
    const absl::string_view bytes = tokenizer.TokenBytes(static_cast<int32_t>(in.token_ids(i)));
    call->response()->mutable_text()->append(bytes.data(), bytes.size());
  }
  return std::nullopt;
}

void Detokenize(DetokenizeCall* call) {
  const v1::DetokenizeRequest& in = call->request();
  if (!call->Choose(FindReadyDeployment(*call->shared().engine, in.model()))) {
    return;
  }
  if (in.token_ids_size() > kMaxDetokenized) {
    call->Reply(InvalidField("token_ids", absl::StrCat("has ", in.token_ids_size(),
                                                       " tokens, the limit is ", kMaxDetokenized)));
    return;
  }
  Work(call, sizeof(uint32_t) * static_cast<size_t>(in.token_ids_size()), JoinTokens);
}

void ListModels(ListModelsCall* call) {
  for (const std::shared_ptr<Deployment>& deployment : call->shared().engine->deployments()) {
    FillModel(*deployment, call->shared().serving.load(), call->response()->add_models());
  }
  call->Reply(std::nullopt);
}

void GetPool(GetPoolCall* call) {
  const bool posted =
      QueryPool(&call->shared(), &call->thread(), call->request().include_requests(),
                [call](const PoolSnapshot& snapshot) {
                  FillPoolState(snapshot, &call->shared(), call->response()->mutable_pool());
                  call->Reply(std::nullopt);
                });
  if (!posted) {
    call->Reply(ServerDraining());
  }
}

void Explain(ExplainCall* call) {
  const std::string& id = call->request().request_id();
  if (!IsRequestId(id)) {
    call->Reply(InvalidField("request_id", "must be 1 to 64 of A-Za-z0-9._:-"));
    return;
  }
  Engine* const engine = call->shared().engine;
  const bool posted = engine->Post([engine, call] {
    v1::LiveRequest found;
    for (const std::shared_ptr<Deployment>& deployment : engine->deployments()) {
      if (!deployment->open()) {
        continue;
      }
      const scheduler::Scheduler& scheduler = deployment->scheduler();
      if (const auto status = scheduler.Explain(absl::string_view(call->request().request_id()))) {
        FillLiveRequest(*status, scheduler.Status().now, deployment->id(), &found);
      }
    }
    call->thread().Post([call, found = std::move(found)] {
      if (found.request_id().empty()) {
        call->Reply(RequestNotFound(call->request().request_id()));
        return;
      }
      *call->response()->mutable_request() = found;
      call->Reply(std::nullopt);
    });
  });
  if (!posted) {
    call->Reply(ServerDraining());
  }
}

}  // namespace

void ArmUnaryCalls(Services* services, CallContext* shared, int count) {
  Completions* const completions = &services->completions;
  Pool* const pool = &services->pool;
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      TokenizeCall::Arm(
          {completions, &Completions::RequestTokenize, Tokenize, Method::kTokenize, shared},
          thread);
      DetokenizeCall::Arm(
          {completions, &Completions::RequestDetokenize, Detokenize, Method::kDetokenize, shared},
          thread);
      ListModelsCall::Arm(
          {completions, &Completions::RequestListModels, ListModels, Method::kListModels, shared},
          thread);
      GetPoolCall::Arm({pool, &Pool::RequestGetPool, GetPool, Method::kGetPool, shared}, thread);
      ExplainCall::Arm({pool, &Pool::RequestExplain, Explain, Method::kExplain, shared}, thread);
    }
  }
}

}  // namespace scoville::server
