// DrainDevice, ReturnDevice, FenceDevice, InjectFault.
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/grpc/calls.h"
#include "server/request/field_checker.h"
#include "server/grpc/pool_state.h"
#include "server/grpc/services.h"
#include "server/grpc/unary_call.h"

namespace scoville::server {

namespace {

using Pool = v1::Pool::AsyncService;
using DrainCall = UnaryCall<Pool, v1::DrainDeviceRequest, v1::DrainDeviceResponse>;
using ReturnCall = UnaryCall<Pool, v1::ReturnDeviceRequest, v1::ReturnDeviceResponse>;
using FenceCall = UnaryCall<Pool, v1::FenceDeviceRequest, v1::FenceDeviceResponse>;
using FaultCall = UnaryCall<Pool, v1::InjectFaultRequest, v1::InjectFaultResponse>;

constexpr uint32_t kNormalPercent = 100;
constexpr uint32_t kMostPercent = 100'000;

// Runs `command` on the engine thread and answers with the device as it stands then.
template <typename Call>
void Command(Call* call, absl::Status (*command)(Engine*, DeviceId, Call*)) {
  Engine* const engine = call->shared().engine;
  const bool posted = engine->Post([engine, call, command] {
    const DeviceId device{call->request().device()};
    absl::Status status;
    if (device.value >= engine->pool().devices().size()) {
      status = absl::NotFoundError(absl::StrCat("there is no device ", device.value,
                                                ", the pool has 0 to ",
                                                engine->pool().devices().size() - 1));
    } else {
      status = command(engine, device, call);
    }
    PoolSnapshot snapshot = TakePoolSnapshot(&call->shared(), /*include_requests=*/false);
    call->thread().Post([call, status, snapshot = std::move(snapshot)] {
      const uint32_t id = call->request().device();
      if (status.code() == absl::StatusCode::kNotFound) {
        call->Reply(DeviceNotFound(id, status.message()));
      } else if (status.code() == absl::StatusCode::kInvalidArgument) {
        call->Reply(InvalidField("pages", status.message()));
      } else if (!status.ok()) {
        call->Reply(WrongState(status.message()));
      } else {
        FillDevice(snapshot, id, &call->shared(), call->response()->mutable_device());
        call->Reply(std::nullopt);
      }
    });
  });
  if (!posted) {
    call->Reply(ServerDraining());
  }
}

void DrainDevice(DrainCall* call) {
  Command<DrainCall>(call, [](Engine* engine, DeviceId device, DrainCall* c) {
    return engine->scheduler().DrainDevice(device, c->request().migrate());
  });
}

void ReturnDevice(ReturnCall* call) {
  Command<ReturnCall>(call, [](Engine* engine, DeviceId device, ReturnCall*) {
    return engine->scheduler().ReturnDevice(device);
  });
}

void FenceDevice(FenceCall* call) {
  Command<FenceCall>(call, [](Engine* engine, DeviceId device, FenceCall*) {
    return engine->scheduler().FenceDevice(device);
  });
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

absl::Status LosePages(Engine* engine, DeviceId id, const v1::InjectFaultRequest& in) {
  const int64_t all = engine->pool().devices()[id.value]->kv().capacity_blocks();
  if (int64_t{in.first_page()} + in.pages() > all) {
    return absl::InvalidArgumentError(absl::StrCat("from page ", in.first_page(), ", ", in.pages(),
                                                   " pages: the device has ", all));
  }
  std::vector<uint32_t> pages(in.pages());
  std::iota(pages.begin(), pages.end(), in.first_page());
  return engine->scheduler().LosePages(id, pages);
}

absl::Status Inject(Engine* engine, DeviceId id, FaultCall* call) {
  const v1::InjectFaultRequest& in = call->request();
  device::Device* const device = engine->pool().devices()[id.value];
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
      return LosePages(engine, id, in);
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
  Command<FaultCall>(call, Inject);
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
