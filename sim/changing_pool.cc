#include "sim/changing_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "scheduler/core/scale_pool.h"

namespace scoville::sim {

absl::Status ChangingPool::Scale(const ScenarioEvent& event, scheduler::Scheduler* scheduler) {
  const auto answer = scheduler::ScalePool(
      pool_, scheduler, event.devices, event.node, [this](std::unique_ptr<device::Device> left) {
        const uint32_t id = left->id().value;
        device::DeviceStatus status = left->Status();
        gone_.emplace(id, Gone{std::move(left), std::move(status)});
      });
  born_.resize(pool_->ids(), loop_->Now() - TimePoint());
  return answer.status();
}

absl::Status ChangingPool::Apply(const ScenarioEvent& event, scheduler::Scheduler* scheduler) {
  if (event.kind == EventKind::kScale) {
    return Scale(event, scheduler);
  }
  const DeviceId id{event.device};
  device::Device* const device = pool_->Find(id);
  if (device == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no device ", id.value, " any more, or yet"));
  }
  switch (event.kind) {
    case EventKind::kKillDevice:
      device->Kill();
      return absl::OkStatus();
    case EventKind::kHangDevice:
      device->Hang();
      return absl::OkStatus();
    case EventKind::kSlowDevice:
      device->SlowDown(event.percent);
      return absl::OkStatus();
    case EventKind::kLosePages:
      return scheduler->LosePages(id, event.pages);
    case EventKind::kFenceDevice:
      return scheduler->FenceDevice(id);
    case EventKind::kDrainDevice:
      // A device that is lost already needs no draining.
      scheduler->DrainDevice(id, event.migrate).IgnoreError();
      return absl::OkStatus();
    case EventKind::kReturnDevice:
      if (device->faulty()) {
        RETURN_IF_ERROR(scheduler->FenceDevice(id));  // perhaps nobody has noticed yet
      }
      return scheduler->ReturnDevice(id);
    default:
      break;
  }
  return absl::InternalError("an event of no device");
}

std::vector<device::Device*> ChangingPool::All() const {
  std::vector<device::Device*> out;
  for (uint32_t id = 0; id < pool_->ids(); ++id) {
    device::Device* const there = pool_->Find(DeviceId{id});
    out.push_back(there != nullptr ? there : gone_.at(id).device.get());
  }
  return out;
}

device::DeviceStatus ChangingPool::StatusOf(device::Device* device) const {
  const auto gone = gone_.find(device->id().value);
  return gone == gone_.end() ? device->Status() : gone->second.status;
}

}  // namespace scoville::sim
