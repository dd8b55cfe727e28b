// Joins the fleet's power budget to the devices and the work of one scheduler; private to
// scheduler/.
//
// Ownership: owned by Scheduler::Impl, borrows its slots. Threading: engine thread only. Errors:
// none; the budget keeps to the bounds that a device states.
#ifndef SCOVILLE_SCHEDULER_CORE_FLEET_LINK_H_
#define SCOVILLE_SCHEDULER_CORE_FLEET_LINK_H_

#include <array>
#include <cstdint>
#include <functional>

#include "device/device.h"
#include "scheduler/core/scheduler_impl.h"
#include "scheduler/power/fleet_seams.h"

namespace scoville::scheduler {

// One device of the pool. Its curve is that of the decodes it runs, or of a usual batch.
class FleetDevice final : public PowerControlledDevice {
 public:
  // `cap_changed` runs after every change of cap.
  FleetDevice(device::Device* device, int64_t max_step_tokens,
              std::function<device::StepShape()> decodes, std::function<void()> cap_changed);

  // The device is no more: from now on only what is constant may be asked for.
  void Detach() { device_ = nullptr; }

  uint32_t id() const override { return id_; }
  Power MinCap() const override { return min_cap_; }
  Power FullChunkCap() const override { return full_chunk_cap_; }
  Power MaxCap() const override { return max_cap_; }
  Power Cap() const override { return cap_; }
  ThroughputCurve Curve() const override;
  TimePoint SetCap(TimePoint now, Power cap) override;
  Duration CapDelay() const override { return cap_delay_; }
  bool Parkable() const override;
  Power ParkedPower() const override { return parked_power_; }
  Power OffPower() const override { return off_power_; }
  TimePoint Park(TimePoint now) override;
  void Wake(TimePoint now) override;

 private:
  device::Device* device_;
  const std::function<device::StepShape()> decodes_;
  const std::function<void()> cap_changed_;
  const uint32_t id_;
  const Power min_cap_;
  const Power parked_power_;
  const Power off_power_;
  Power full_chunk_cap_;
  Power max_cap_;
  Power cap_;
  Duration cap_delay_;
};

// The scheduler's work as the ladder of a power event moves it.
class FleetWorkLink final : public FleetWork {
 public:
  explicit FleetWorkLink(Scheduler::Impl* scheduler) : scheduler_(scheduler) {}

  DeviceLoadView LoadOf(uint32_t device) const override;
  bool Idle(uint32_t device) const override;
  void SetClosed(uint32_t device, bool closed) override;
  void Returned(uint32_t device) override;
  void Preempt(uint32_t device) override;
  void SetAdmissionClosed(const std::array<bool, kTierCount>& closed) override;
  void SetPrefillLimited(bool limited) override;

 private:
  Scheduler::Impl* const scheduler_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_FLEET_LINK_H_
