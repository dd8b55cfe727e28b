// SetPowerBudget, GetPowerBudget, SetDevicePowerCap.
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "scheduler/power/fleet_power.h"
#include "server/grpc/calls.h"
#include "server/grpc/services.h"
#include "server/grpc/unary_call.h"
#include "server/request/field_checker.h"

namespace scoville::server {

namespace {

using Pool = v1::Pool::AsyncService;
using SetCall = UnaryCall<Pool, v1::SetPowerBudgetRequest, v1::SetPowerBudgetResponse>;
using GetCall = UnaryCall<Pool, v1::GetPowerBudgetRequest, v1::GetPowerBudgetResponse>;
using CapCall = UnaryCall<Pool, v1::SetDevicePowerCapRequest, v1::SetDevicePowerCapResponse>;

constexpr int64_t kMostMilliwatts = scheduler::ThroughputCurve::kMaxPower.value();
constexpr size_t kMaxNodeName = 256;

v1::DeviceFate ToProto(scheduler::DeviceFate fate) {
  switch (fate) {
    case scheduler::DeviceFate::kRun:
      return v1::DEVICE_FATE_RUN;
    case scheduler::DeviceFate::kPark:
      return v1::DEVICE_FATE_PARK;
    case scheduler::DeviceFate::kDrain:
      return v1::DEVICE_FATE_DRAIN;
    case scheduler::DeviceFate::kPreempt:
      return v1::DEVICE_FATE_PREEMPT;
    case scheduler::DeviceFate::kLost:
      return v1::DEVICE_FATE_LOST;
  }
  return v1::DEVICE_FATE_UNSPECIFIED;
}

v1::BudgetLevel ToProto(scheduler::BudgetLevel level) {
  switch (level) {
    case scheduler::BudgetLevel::kTray:
      return v1::BUDGET_LEVEL_TRAY;
    case scheduler::BudgetLevel::kRack:
      return v1::BUDGET_LEVEL_RACK;
    case scheduler::BudgetLevel::kRow:
      return v1::BUDGET_LEVEL_ROW;
    case scheduler::BudgetLevel::kFleet:
      return v1::BUDGET_LEVEL_FLEET;
  }
  return v1::BUDGET_LEVEL_UNSPECIFIED;
}

std::string Text(absl::string_view text) { return std::string(text); }

void FillRung(const scheduler::RungReport& report, v1::LadderRung* out) {
  out->set_rung(static_cast<uint32_t>(report.rung));
  out->set_name(Text(scheduler::RungName(report.rung)));
  out->set_meaning(Text(scheduler::RungMeaning(report.rung)));
  out->set_who_is_hit(Text(scheduler::RungWhoIsHit(report.rung)));
  out->set_freed_milliwatts(report.freed.value());
  out->set_lost_millitokens_per_second(report.millitokens_per_second_lost);
  if (report.takes < scheduler::kUnknownTime) {
    out->set_takes_ns(report.takes.value());
  }
  for (const uint32_t device : report.devices) {
    out->add_devices(device);
  }
  out->set_interactive_sequences(static_cast<uint64_t>(report.sequences[0]));
  out->set_standard_sequences(static_cast<uint64_t>(report.sequences[1]));
  out->set_batch_sequences(static_cast<uint64_t>(report.sequences[2]));
}

void FillStair(const scheduler::PowerStair& stair, v1::PowerStair* out) {
  out->set_at_ns(stair.at.value());
  out->set_limit_milliwatts(stair.limit.value());
}

void FillAnswer(const scheduler::PowerAnswer& answer, v1::SetPowerBudgetResponse* out) {
  out->set_node(answer.node);
  out->set_device_budget_milliwatts(answer.device_budget.value());
  out->set_usable_milliwatts(answer.usable.value());
  out->set_before_milliwatts(answer.before.value());
  out->set_after_milliwatts(answer.after.value());
  out->set_reachable(answer.reachable);
  out->set_in_time(answer.in_time);
  out->set_would_apply(answer.would_apply);
  if (answer.arrival < scheduler::kUnknownTime) {
    out->set_arrival_ns(answer.arrival.value());
  }
  out->set_lowest_by_deadline_milliwatts(answer.lowest_by_deadline.value());
  out->set_lowest_milliwatts(answer.lowest.value());
  for (const scheduler::RungReport& report : answer.rungs) {
    FillRung(report, out->add_rungs());
  }
  for (const scheduler::DevicePowerChange& change : answer.devices) {
    v1::DevicePowerChange* const device = out->add_devices();
    device->set_device(change.device);
    device->set_fate(ToProto(change.fate));
    device->set_before_milliwatts(change.before.value());
    device->set_after_milliwatts(change.after.value());
  }
  for (const scheduler::PowerStair& stair : answer.stairs) {
    FillStair(stair, out->add_stairs());
  }
  out->set_before_millitokens_per_second(answer.millitokens_per_second_before);
  out->set_after_millitokens_per_second(answer.millitokens_per_second_after);
  out->set_latency_factor_milli(answer.latency_factor_milli);
  out->set_summary(answer.summary);
}

int64_t NanosecondsUntil(TimePoint when, TimePoint now) {
  return when > now ? (when - now).value() : 0;
}

void FillStatus(const scheduler::FleetPowerStatus& status, v1::GetPowerBudgetResponse* out) {
  for (const scheduler::NodePowerStatus& node : status.nodes) {
    v1::BudgetNodeState* const to = out->add_nodes();
    to->set_name(node.name);
    to->set_level(ToProto(node.level));
    to->set_parent(node.parent < 0 ? "" : status.nodes[node.parent].name);
    to->set_devices(node.devices);
    to->set_counted_milliwatts(node.counted.value());
    if (node.budget) {
      to->set_budget_milliwatts(node.budget->value());
      to->set_usable_milliwatts(node.usable->value());
      to->set_in_force_milliwatts(node.in_force->value());
    }
  }
  for (const scheduler::DevicePowerStatus& device : status.devices) {
    if (device.removed) {
      continue;
    }
    v1::DevicePowerState* const to = out->add_devices();
    to->set_device(device.device);
    to->set_node(device.node);
    to->set_fate(ToProto(device.fate));
    to->set_parked(device.parked);
    to->set_cap_milliwatts(device.cap.value());
    to->set_counted_milliwatts(device.counted.value());
    to->set_effective_in_ns(NanosecondsUntil(device.effective_at, status.now));
    to->set_min_cap_milliwatts(device.min_cap.value());
    to->set_max_cap_milliwatts(device.max_cap.value());
    to->set_ceiling_milliwatts(device.ceiling.value());
    to->set_millitokens_per_second(device.millitokens_per_second);
  }
  for (const scheduler::RungReport& report : status.ladder) {
    FillRung(report, out->add_ladder());
  }
  out->set_rung(static_cast<uint32_t>(status.rung));
  out->set_settled(status.settled);
  for (const scheduler::PowerStair& stair : status.stairs) {
    FillStair(stair, out->add_stairs());
  }
  out->set_lowest_milliwatts(status.lowest.value());
  out->set_reserve_ppm(status.reserve_ppm);
}

std::optional<ServiceError> CheckSet(const v1::SetPowerBudgetRequest& in) {
  FieldChecker fields;
  if (in.node().size() > kMaxNodeName) {
    fields.Invalid("node",
                   absl::StrCat("has ", in.node().size(), " bytes, the limit is ", kMaxNodeName));
  }
  if (in.milliwatts() <= 0 || in.milliwatts() > kMostMilliwatts) {
    fields.Invalid("milliwatts",
                   absl::StrCat("is ", in.milliwatts(), ", must be 1 to ", kMostMilliwatts));
  }
  if (!v1::PowerBasis_IsValid(in.basis())) {
    fields.Invalid("basis", absl::StrCat("is ", static_cast<int>(in.basis()),
                                         ", must be POWER_BASIS_DEVICE or POWER_BASIS_WALL"));
  }
  if (in.has_by_ns() && (in.by_ns() <= 0 || in.by_ns() >= scheduler::kUnknownTime.value())) {
    fields.Invalid("by_ns", absl::StrCat("is ", in.by_ns(),
                                         ": nanoseconds from now, above 0; leave it out for no "
                                         "deadline"));
  }
  if (in.ramp_milliwatts_per_second() < 0 || in.ramp_milliwatts_per_second() > kMostMilliwatts) {
    fields.Invalid("ramp_milliwatts_per_second",
                   absl::StrCat("is ", in.ramp_milliwatts_per_second(), ", must be 0 (at once) to ",
                                kMostMilliwatts));
  }
  return fields.Error();
}

scheduler::PowerRequest ToRequest(const v1::SetPowerBudgetRequest& in) {
  scheduler::PowerRequest request;
  request.node = in.node();
  request.watts = Power(in.milliwatts());
  request.basis = in.basis() == v1::POWER_BASIS_WALL ? scheduler::PowerBasis::kWall
                                                     : scheduler::PowerBasis::kDevice;
  if (in.has_by_ns()) {
    request.by = Duration(in.by_ns());
  }
  request.ramp_per_second = Power(in.ramp_milliwatts_per_second());
  request.best_effort = in.best_effort();
  return request;
}

// What the plan refuses although each field is sound by itself: an unknown node, or too few watts.
ServiceError ErrorOfPlan(const absl::Status& status, absl::string_view watts_field) {
  const std::string message(status.message());
  return InvalidField(status.code() == absl::StatusCode::kNotFound ? "node" : watts_field, message);
}

void SetPowerBudget(SetCall* call) {
  if (std::optional<ServiceError> error = CheckSet(call->request())) {
    call->Reply(error);
    return;
  }
  OnDeployment(
      call,
      [call](Deployment& deployment) {
        const scheduler::PowerRequest request = ToRequest(call->request());
        return call->request().dry_run() ? deployment.fleet_power().DryRun(request)
                                         : deployment.fleet_power().Set(request);
      },
      [call](const absl::StatusOr<scheduler::PowerAnswer>& answer) {
        if (!answer.ok()) {
          call->Reply(ErrorOfPlan(answer.status(), "milliwatts"));
          return;
        }
        FillAnswer(*answer, call->response());
        call->Reply(std::nullopt);
      });
}

void GetPowerBudget(GetCall* call) {
  OnDeployment(
      call, [](Deployment& deployment) { return deployment.fleet_power().Get(); },
      [call](const scheduler::FleetPowerStatus& status) {
        FillStatus(status, call->response());
        call->Reply(std::nullopt);
      });
}

struct CapOutcome {
  absl::StatusOr<scheduler::DeviceCapAnswer> answer;
  TimePoint now;
};

void SetDevicePowerCap(CapCall* call) {
  OnDeployment(
      call,
      [call](Deployment& deployment) {
        CapOutcome outcome;
        outcome.answer = deployment.fleet_power().SetDeviceCap(
            call->request().device(), Power(call->request().cap_milliwatts()));
        outcome.now = deployment.scheduler().Status().now;
        return outcome;
      },
      [call](const CapOutcome& outcome) {
        const absl::StatusOr<scheduler::DeviceCapAnswer>& answer = outcome.answer;
        if (!answer.ok()) {
          const bool of_cap = answer.status().code() == absl::StatusCode::kInvalidArgument;
          call->Reply(
              InvalidField(of_cap ? "cap_milliwatts" : "device", Text(answer.status().message())));
          return;
        }
        call->response()->set_ceiling_milliwatts(answer->ceiling.value());
        call->response()->set_cap_milliwatts(answer->cap.value());
        call->response()->set_effective_in_ns(NanosecondsUntil(answer->effective_at, outcome.now));
        call->Reply(std::nullopt);
      });
}

}  // namespace

void ArmPowerCalls(Services* services, CallContext* shared, int count) {
  Pool* const pool = &services->pool;
  for (int i = 0; i < count; ++i) {
    for (size_t thread = 0; thread < shared->threads.size(); ++thread) {
      SetCall::Arm(
          {pool, &Pool::RequestSetPowerBudget, SetPowerBudget, Method::kSetPowerBudget, shared},
          thread);
      GetCall::Arm(
          {pool, &Pool::RequestGetPowerBudget, GetPowerBudget, Method::kGetPowerBudget, shared},
          thread);
      CapCall::Arm({pool, &Pool::RequestSetDevicePowerCap, SetDevicePowerCap,
                    Method::kSetDevicePowerCap, shared},
                   thread);
    }
  }
}

}  // namespace scoville::server
