// LoadModel, UnloadModel, ScaleModel.
#include "server/grpc/model_calls.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/grpc/calls.h"
#include "server/grpc/services.h"
#include "server/grpc/unary_call.h"

namespace scoville::server {

namespace {

using Pool = v1::Pool::AsyncService;
using LoadCall = UnaryCall<Pool, v1::LoadModelRequest, v1::LoadModelResponse>;
using ScaleCall = UnaryCall<Pool, v1::ScaleModelRequest, v1::ScaleModelResponse>;
using UnloadCall = UnaryCall<Pool, v1::UnloadModelRequest, v1::UnloadModelResponse>;

constexpr size_t kMaxText = 4096;

const char* StateText(DeploymentState state, bool serving) {
  switch (state) {
    case DeploymentState::kLoading:
      return "loading";
    case DeploymentState::kReady:
      return serving ? "ready" : "loading";
    case DeploymentState::kUnloading:
    case DeploymentState::kGone:
      break;
  }
  return "unloading";
}

ModelToLoad ToLoad(const v1::LoadModelRequest& in) {
  ModelToLoad out;
  out.id = in.model();
  out.path = in.path();
  out.card = in.card();
  out.executor = in.executor();
  out.devices = in.devices();
  out.profile = in.profile();
  out.chips_per_device = in.chips_per_device();
  out.kv_blocks = static_cast<int64_t>(in.kv_blocks());
  out.cap_per_device = Power(in.cap_milliwatts_per_device());
  return out;
}

// What cannot be loaded, as what the client sees.
ServiceError ErrorOfLoad(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
      return WrongState(status.message());
    case absl::StatusCode::kUnavailable:
      return ServerDraining();
    default:
      return InvalidField("source", status.message());
  }
}

void LoadModel(LoadCall* call) {
  const v1::LoadModelRequest& in = call->request();
  for (const std::string* text :
       {&in.model(), &in.path(), &in.card(), &in.executor(), &in.profile()}) {
    if (text->size() > kMaxText) {
      call->Reply(InvalidField("source", absl::StrCat("has a text of ", text->size(),
                                                      " bytes, the limit is ", kMaxText)));
      return;
    }
  }
  if (call->shared().draining.load() || !call->shared().models.load) {
    call->Reply(ServerDraining());
    return;
  }
  call->shared().models.load(
      ToLoad(in), [call](absl::StatusOr<std::shared_ptr<Deployment>> loaded) {
        call->thread().Post([call, loaded = std::move(loaded)] {
          if (!loaded.ok()) {
            call->Reply(ErrorOfLoad(loaded.status()));
            return;
          }
          FillModel(**loaded, call->shared().serving.load(), call->response()->mutable_model());
          call->Reply(std::nullopt);
        });
      });
}

void UnloadModel(UnloadCall* call) {
  if (call->request().model().empty()) {
    call->Reply(InvalidField("model", "must name the model to unload"));
    return;
  }
  if (!call->Choose(FindDeployment(*call->shared().engine, call->request().model()))) {
    return;
  }
  if (!call->shared().models.unload(call->deployment())) {
    call->Reply(WrongState(
        absl::StrCat("model '", call->request().model(), "' is being unloaded already")));
    return;
  }
  const bool posted = call->shared().engine->Post([call] {
    const Deployment& deployment = *call->deployment();
    const int64_t live = deployment.open() ? deployment.scheduler().CheckLiveness().unfinished : 0;
    call->thread().Post([call, live] {
      call->response()->set_live_requests(static_cast<uint64_t>(live));
      call->Reply(std::nullopt);
    });
  });
  if (!posted) {
    call->Reply(ServerDraining());
  }
}

// What was done, and how many devices there are then.
struct Scaled {
  absl::StatusOr<scheduler::ScaleAnswer> answer;
  uint32_t devices = 0;
};

Scaled Scale(ScaleCall* call, Deployment& deployment) {
  const v1::ScaleModelRequest& in = call->request();
  Scaled out;
  if (deployment.state() != DeploymentState::kReady) {
    out.answer = absl::FailedPreconditionError(
        absl::StrCat("model '", deployment.id(), "' is being loaded or unloaded"));
    return out;
  }
  out.answer = call->shared().models.scale(deployment, in.devices(), in.budget_node());
  out.devices = in.devices();
  return out;
}

// What cannot be scaled, as what the client sees.
ServiceError ErrorOfScale(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return InvalidField("budget_node", status.message());
    case absl::StatusCode::kInvalidArgument:
      return InvalidField("devices", status.message());
    default:
      return WrongState(status.message());
  }
}

void ScaleModel(ScaleCall* call) {
  if (call->request().budget_node().size() > kMaxText) {
    call->Reply(InvalidField("budget_node", absl::StrCat("has more than ", kMaxText, " bytes")));
    return;
  }
  if (call->shared().draining.load() || !call->shared().models.scale) {
    call->Reply(ServerDraining());
    return;
  }
  OnDeployment(
      call, [call](Deployment& deployment) { return Scale(call, deployment); },
      [call](const Scaled& scaled) {
        if (!scaled.answer.ok()) {
          call->Reply(ErrorOfScale(scaled.answer.status()));
          return;
        }
        call->response()->set_devices(scaled.devices);
        for (const DeviceId device : scaled.answer->added) {
          call->response()->add_added(device.value);
        }
        for (const DeviceId device : scaled.answer->removed) {
          call->response()->add_removed(device.value);
        }
        call->Reply(std::nullopt);
      });
}

}  // namespace

void FillModel(const Deployment& deployment, bool serving, v1::Model* out) {
  const model::LoadedModel& model = deployment.model();
  out->set_id(model.id);
  out->set_state(StateText(deployment.state(), serving));
  out->set_executor(deployment.facts().executor);
  out->set_context(static_cast<uint64_t>(model.config.context));
  out->set_vocabulary(static_cast<uint64_t>(model.config.vocabulary));
  out->set_fingerprint(model.fingerprint);
  out->set_parameters(static_cast<uint64_t>(model.config.parameters));
  if (model.chat_template != nullptr) {
    const absl::string_view family = model.chat_template->family();
    out->set_chat_template(family.data(), family.size());
  }
  out->set_name(model.config.name);
}

void ArmModelCalls(Services* services, CallContext* shared, int count) {
  Pool* const pool = &services->pool;
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      LoadCall::Arm({pool, &Pool::RequestLoadModel, LoadModel, Method::kLoadModel, shared}, thread);
      ScaleCall::Arm({pool, &Pool::RequestScaleModel, ScaleModel, Method::kScaleModel, shared},
                     thread);
      UnloadCall::Arm({pool, &Pool::RequestUnloadModel, UnloadModel, Method::kUnloadModel, shared},
                      thread);
    }
  }
}

}  // namespace scoville::server
