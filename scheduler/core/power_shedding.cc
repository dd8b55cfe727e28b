// What a power budget asks of the work: loads as it sees them, closed devices and classes, smaller
// prompts, sequences that have to leave.
#include <algorithm>

#include "base/status_macros.h"
#include "scheduler/core/fleet_link.h"
#include "scheduler/core/scheduler_impl.h"
#include "scheduler/power/budget_config.h"

namespace scoville::scheduler {

FleetPower& Scheduler::Impl::fleet() { return *fleet_; }

void Scheduler::Impl::MakeFleet() {
  fleet_work_ = std::make_unique<FleetWorkLink>(this);
  std::vector<PowerControlledDevice*> devices;
  Power budget;
  for (DeviceSlot& slot : devices_) {
    fleet_devices_.push_back(PowerLinkOf(slot.device));
    devices.push_back(fleet_devices_.back().get());
    budget += devices.back()->MaxCap();
  }
  if (devices.empty()) {
    return;
  }
  // Who made the options has asked CheckFleetPower.
  absl::StatusOr<BudgetTree> tree =
      MakeBudgetTree(options_.fleet, static_cast<uint32_t>(devices.size()), budget);
  CHECK(tree.ok());
  FleetPowerOptions power = options_.fleet;
  power.budgets_set = power.budgets_set || HasBudgets(power);
  absl::StatusOr<std::unique_ptr<FleetPower>> fleet =
      FleetPower::Create(loop_, *std::move(tree), devices, fleet_work_.get(), power);
  CHECK(fleet.ok());
  fleet_ = *std::move(fleet);
}

std::unique_ptr<PowerControlledDevice> Scheduler::Impl::PowerLinkOf(device::Device* device) {
  const uint32_t index = device->id().value;
  return std::make_unique<FleetDevice>(
      device, options_.max_step_tokens, [this, index] { return DecodesOf(devices_[index]); },
      [this, index] { PlanAgain(devices_[index]); });
}

// What runs on a device as one step of decodes.
device::StepShape Scheduler::Impl::DecodesOf(const DeviceSlot& slot) const {
  device::StepShape shape;
  for (const LiveRequest* live : slot.running) {
    shape.Add(device::SequenceWork{device::StepRole::kDecode, live->known() - 1, 1, 1, 0},
              slot.device->rules());
  }
  return shape;
}

DeviceLoadView Scheduler::Impl::PowerLoadOf(uint32_t device) const {
  const DeviceSlot& slot = devices_[device];
  DeviceLoadView load;
  if (slot.running.empty()) {
    return load;
  }
  const Duration step = slot.device->power().SustainedStep(DecodesOf(slot));
  const int64_t each = 1'000'000'000'000 / std::max<int64_t>(1, step.value());  // millitokens/s
  for (const LiveRequest* live : slot.running) {
    const size_t tier = static_cast<size_t>(live->record.service_class);
    load.running[tier] += 1;
    load.millitokens_per_second[tier] += each;
    load.drain_time = std::max(load.drain_time, step * (live->last_token - live->computed));
  }
  return load;
}

void Scheduler::Impl::PlanAgain(DeviceSlot& slot) {
  if (slot.device->busy() || slot.running.empty() || slot.lost) {
    return;
  }
  const uint32_t index = slot.device->id().value;
  loop_->Cancel(slot.plan);
  // A budget divides after all plans of its instant.
  slot.plan = loop_->RunAt(loop_->Now() + Nanoseconds(1), EventClass::kPlan, index,
                           [this, index] { Plan(index); });
}

void Scheduler::Impl::CloseDevice(uint32_t device, bool closed) {
  devices_[device].closed = closed;
  Book(devices_[device]);
  NoteCapacity();
  if (!closed) {
    PlaceSoon();
  }
}

void Scheduler::Impl::Evict(uint32_t device) {
  DeviceSlot& slot = devices_[device];
  const std::vector<LiveRequest*> running = slot.running;
  for (LiveRequest* live : running) {
    if (live->in_step) {
      TellToLeave(live, slot, /*move=*/true);
    } else {
      Migrate(live,
              slot);  // a budget divides after all plans of its instant: no place is found now
    }
  }
  PlaceSoon();
}

void Scheduler::Impl::CloseAdmission(const std::array<bool, kTierCount>& closed) {
  closed_classes_ = closed;
}

void Scheduler::Impl::LimitPrefill(bool limited) {
  prefill_limited_ = limited;
  // What may not be placed stands before nobody of a higher class, however old it is.
  waiting_.StopAgeing(ServiceClass::kBatch, limited);
  if (!limited) {
    PlaceSoon();
  }
}

}  // namespace scoville::scheduler
