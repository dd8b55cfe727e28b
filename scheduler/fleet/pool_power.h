// Binds the fleet's power budget to the devices of a pool and to the scheduler that works them.
//
//   ASSIGN_OR_RETURN(power, PoolPower::Create(&loop, pool.devices(), &scheduler, options));
//   power->fleet().Set({.watts = Watts(1200), .by = Seconds(30)});
//
// A device's curve is that of decode steps over its present sequences at their mean context, one
// point per clock state, and its idle power; without work, of the mix it had last. Devices do not
// sleep at the budget's command and the scheduler closes nothing yet: the ladder therefore ends at
// rung 3, and a budget below the sum of least caps is refused.
//
// Units: milliwatts of whole devices. Ownership: borrows loop, devices and scheduler, which outlive
// it; owns the fleet budget. Threading: engine thread only. Errors: Create passes on what
// FleetPower refuses.
#ifndef SCOVILLE_SCHEDULER_FLEET_POOL_POWER_H_
#define SCOVILLE_SCHEDULER_FLEET_POOL_POWER_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "device/device.h"
#include "scheduler/power/fleet_power.h"
#include "scheduler/scheduler.h"

namespace scoville::scheduler {

struct PoolPowerOptions {
  // The longest window of the devices' caps. A lowered cap holds after the step under way and one
  // window; steps are planned shorter than a window.
  Duration cap_window = Seconds(1);
  std::optional<BudgetTree> tree;  // none: one budget over all
  FleetPowerOptions fleet;
};

class PoolPower {
 public:
  static absl::StatusOr<std::unique_ptr<PoolPower>> Create(EventLoop* loop,
                                                           std::vector<device::Device*> devices,
                                                           Scheduler* scheduler,
                                                           const PoolPowerOptions& options);
  ~PoolPower();

  FleetPower& fleet();

 private:
  class Impl;
  explicit PoolPower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_FLEET_POOL_POWER_H_
