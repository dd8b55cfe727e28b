// DrainDevice, ReturnDevice, FenceDevice, InjectFault.
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/grpc/calls.h"
#include "server/grpc/pool_state.h"
#include "server/grpc/services.h"
#include "server/grpc/unary_call.h"
#include "server/request/field_checker.h"

namespace scoville::server {

namespace {

using Pool = v1::Pool::AsyncService;
using DrainCall = UnaryCall<Pool, v1::DrainDeviceRequest, v1::DrainDeviceResponse>;
using ReturnCall = UnaryCall<Pool, v1::ReturnDeviceRequest, v1::ReturnDeviceResponse>;
using FenceCall = UnaryCall<Pool, v1::FenceDeviceRequest, v1::FenceDeviceResponse>;
using FaultCall = UnaryCall<Pool, v1::InjectFaultRequest, v1::InjectFaultResponse>;

constexpr uint32_t kNormalPercent = 100;
constexpr uint32_t kMostPercent = 100'000;

struct Outcome {
  absl::Status status;
  DeploymentView view;
};

// Runs `command` on the engine thread and answers with the device as it stands then.
template <typename Call, typename Run>
void Command(Call* call, Run command) {
  OnDeployment(
      call,
      [call, command](Deployment& deployment) {
        const DeviceId device{call->request().device()};
        const uint32_t ids = deployment.pool().ids();
        Outcome outcome;
        if (deployment.pool().Find(device) != nullptr) {
          outcome.status = command(deployment, device);
        } else if (device.value < ids) {
          outcome.status =
              absl::NotFoundError(absl::StrCat("device ", device.value, " was removed"));
        } else {
          outcome.status = absl::NotFoundError(
              absl::StrCat("there is no device ", device.value, ", the pool has 0 to ", ids - 1));
        }
        outcome.view = ViewOf(deployment, /*requests=*/0);
        return outcome;
      },
      [call](const Outcome& outcome) {
        const uint32_t device = call->request().device();
        const absl::string_view message = outcome.status.message();
        switch (outcome.status.code()) {
          case absl::StatusCode::kOk:
            FillDevice(outcome.view, device, call->response()->mutable_device());
            call->Reply(std::nullopt);
            break;
          case absl::StatusCode::kNotFound:
            call->Reply(DeviceNotFound(device, message));
            break;
          case absl::StatusCode::kInvalidArgument:
            call->Reply(InvalidField("pages", message));
            break;
          default:
            call->Reply(WrongState(message));
        }
      });
}

void DrainDevice(DrainCall* call) {
  Command(call, [migrate = call->request().migrate()](Deployment& d, DeviceId device) {
    return d.scheduler().DrainDevice(device, migrate);
  });
}

void ReturnDevice(ReturnCall* call) {
  Command(call, [](Deployment& d, DeviceId device) { return d.scheduler().ReturnDevice(device); });
}

void FenceDevice(FenceCall* call) {
  Command(call, [](Deployment& d, DeviceId device) { return d.scheduler().FenceDevice(device); });
}

std::optional<ServiceError> CheckFault(const v1::InjectFaultRequest& in) {
  FieldChecker fields;
  if (!v1::FaultKind_IsValid(in.kind()) || in.kind() == v1::FAULT_KIND_UNSPECIFIED) {
    fields.Invalid("kind", "must be FAULT_KIND_KILL, _HANG, _SLOW or _LOSE_PAGES");
  }
  if (in.kind() == v1::FAULT_KIND_SLOW &&
      (in.percent() < kNormalPercent || in.percent() > kMostPercent)) {
    fields.Invalid("percent", absl::StrCat("is ", in.percent(), ", must be ", kNormalPercent,
                                           " (as it should be) to ", kMostPercent));
  }
  if (in.kind() == v1::FAULT_KIND_LOSE_PAGES && in.pages() == 0) {
    fields.Invalid("pages", "is 0, at least 1 is needed");
  }
  return fields.Error();
}

absl::Status LosePages(Deployment& deployment, DeviceId id, const v1::InjectFaultRequest& in) {
  const int64_t all = deployment.pool().Find(id)->kv().capacity_blocks();
  if (int64_t{in.first_page()} + in.pages() > all) {
    return absl::InvalidArgumentError(absl::StrCat("from page ", in.first_page(), ", ", in.pages(),
                                                   " pages: the device has ", all));
  }
  std::vector<uint32_t> pages(in.pages());
  std::iota(pages.begin(), pages.end(), in.first_page());
  return deployment.scheduler().LosePages(id, pages);
}

absl::Status Inject(Deployment& deployment, DeviceId id, const v1::InjectFaultRequest& in) {
  device::Device* const device = deployment.pool().Find(id);
  if (device->fenced()) {
    return absl::FailedPreconditionError(
        absl::StrCat("device ", id.value, " is lost: nothing more can happen to it"));
  }
  switch (in.kind()) {
    case v1::FAULT_KIND_KILL:
      device->Kill();
      break;
    case v1::FAULT_KIND_HANG:
      device->Hang();
      break;
    case v1::FAULT_KIND_SLOW:
      device->SlowDown(in.percent());
      break;
    default:
      return LosePages(deployment, id, in);
  }
  return absl::OkStatus();
}

void InjectFault(FaultCall* call) {
  if (!call->shared().options.fault_injection) {
    call->Reply(FaultsDisabled());
    return;
  }
  if (std::optional<ServiceError> error = CheckFault(call->request())) {
    call->Reply(error);
    return;
  }
  Command(call,
          [call](Deployment& d, DeviceId device) { return Inject(d, device, call->request()); });
}

}  // namespace

void ArmDeviceCalls(Services* services, CallContext* shared, int count) {
  Pool* const pool = &services->pool;
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      DrainCall::Arm({pool, &Pool::RequestDrainDevice, DrainDevice, Method::kDrainDevice, shared},
                     thread);
      ReturnCall::Arm(
          {pool, &Pool::RequestReturnDevice, ReturnDevice, Method::kReturnDevice, shared}, thread);
      FenceCall::Arm({pool, &Pool::RequestFenceDevice, FenceDevice, Method::kFenceDevice, shared},
                     thread);
      FaultCall::Arm({pool, &Pool::RequestInjectFault, InjectFault, Method::kInjectFault, shared},
                     thread);
    }
  }
}

}  // namespace scoville::server
