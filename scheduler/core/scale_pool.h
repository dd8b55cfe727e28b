// Brings a pool to a number of devices while it serves: makes further ones, or lets some go once
// they have run empty. The daemon and the simulator call the same function.
//
// Ownership: borrows both, and both outlive whatever is still on its way out. Threading: engine
// thread. Errors: those of DevicePool::Add, Scheduler::AddDevices and RemoveDevices; then nothing
// has changed.
#ifndef SCOVILLE_SCHEDULER_CORE_SCALE_POOL_H_
#define SCOVILLE_SCHEDULER_CORE_SCALE_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "device/device_pool.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

// Of one pool at a time.
inline constexpr int64_t kMostDevices = 4096;

struct ScaleAnswer {
  std::vector<DeviceId> added;
  std::vector<DeviceId> removed;  // as soon as they are empty
};

// Devices on their way out do not count. Those that are lost go first, then those that an operator
// has drained, then those of the highest numbers. `budget_node`: of new ones. `gone`: is given each
// device that has left; without it they are destroyed.
absl::StatusOr<ScaleAnswer> ScalePool(
    device::DevicePool* pool, Scheduler* scheduler, int64_t devices, absl::string_view budget_node,
    std::function<void(std::unique_ptr<device::Device>)> gone = nullptr);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_SCALE_POOL_H_
