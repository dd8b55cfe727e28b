// The devices of a run as its events change them: what happens to one, and devices that come and
// go. Those that have gone are kept, as they stood then, for what is checked and summed at the end.
//
// Ownership: borrows the loop, the pool and the scheduler, which has to go first. Threading: none.
// Errors: what the scheduler refuses; a device that is not there is NotFound.
#ifndef SCOVILLE_SIM_CHANGING_POOL_H_
#define SCOVILLE_SIM_CHANGING_POOL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/units.h"
#include "device/device_pool.h"
#include "scheduler/scheduler.h"
#include "sim/scenario.h"

namespace scoville::sim {

class ChangingPool {
 public:
  ChangingPool(EventLoop* loop, device::DevicePool* pool) : loop_(loop), pool_(pool) {
    born_.resize(pool->ids());
  }
  ChangingPool(const ChangingPool&) = delete;
  ChangingPool& operator=(const ChangingPool&) = delete;

  // A scale, or something that happens to one device.
  absl::Status Apply(const ScenarioEvent& event, scheduler::Scheduler* scheduler);

  // All that ever were, by number.
  std::vector<device::Device*> All() const;
  // Now, or when it went.
  device::DeviceStatus StatusOf(device::Device* device) const;
  // By number: when a device's own time began.
  const std::vector<Duration>& born() const { return born_; }

 private:
  struct Gone {
    std::unique_ptr<device::Device> device;
    device::DeviceStatus status;
  };

  absl::Status Scale(const ScenarioEvent& event, scheduler::Scheduler* scheduler);

  EventLoop* const loop_;
  device::DevicePool* const pool_;
  std::map<uint32_t, Gone> gone_;
  std::vector<Duration> born_;
};

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_CHANGING_POOL_H_
