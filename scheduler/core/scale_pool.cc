#include "scheduler/core/scale_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

absl::StatusOr<ScaleAnswer> Grow(device::DevicePool* pool, Scheduler* scheduler, int32_t count,
                                 absl::string_view budget_node) {
  ASSIGN_OR_RETURN(const std::vector<device::Device*> made, pool->Add(count));
  if (const absl::Status added = scheduler->AddDevices(made, budget_node); !added.ok()) {
    pool->DropNewest(count);
    return added;
  }
  ScaleAnswer answer;
  for (const device::Device* device : made) {
    answer.added.push_back(device->id());
  }
  return answer;
}

}  // namespace

absl::StatusOr<ScaleAnswer> ScalePool(device::DevicePool* pool, Scheduler* scheduler,
                                      int64_t devices, absl::string_view budget_node,
                                      std::function<void(std::unique_ptr<device::Device>)> gone) {
  if (devices < 1 || devices > kMostDevices) {
    return absl::InvalidArgumentError(
        absl::StrCat(devices, " devices: must be 1 to ", kMostDevices,
                     "; what serves a model no longer is unloaded with it"));
  }
  const PoolStatus status = scheduler->Status();
  std::vector<DeviceId> lost;
  std::vector<DeviceId> drained;
  std::vector<DeviceId> working;
  for (size_t i = 0; i < status.health.size(); ++i) {
    const DeviceHealth& health = status.health[i];
    if (!health.removing && health.state != device::DeviceState::kRemoved) {
      const bool drains = health.state == device::DeviceState::kDraining ||
                          health.state == device::DeviceState::kDrained;
      const bool is_lost = health.state == device::DeviceState::kLost;
      (is_lost ? lost : drains ? drained : working).push_back(status.devices[i].id);
    }
  }
  const int64_t now = static_cast<int64_t>(lost.size() + drained.size() + working.size());
  if (devices >= now) {
    return devices == now ? ScaleAnswer{}
                          : Grow(pool, scheduler, static_cast<int32_t>(devices - now), budget_node);
  }
  ScaleAnswer answer;
  answer.removed = std::move(lost);
  answer.removed.insert(answer.removed.end(), drained.rbegin(), drained.rend());
  answer.removed.insert(answer.removed.end(), working.rbegin(), working.rend());
  answer.removed.resize(static_cast<size_t>(now - devices));
  RETURN_IF_ERROR(
      scheduler->RemoveDevices(answer.removed, [pool, gone = std::move(gone)](DeviceId device) {
        std::unique_ptr<device::Device> left = pool->Take(device);
        if (gone) {
          gone(std::move(left));
        }
      }));
  return answer;
}

}  // namespace scoville::scheduler
