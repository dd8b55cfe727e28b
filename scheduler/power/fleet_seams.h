// What the fleet budget needs from below: devices whose caps can be set, and the scheduler that
// knows and moves their work.
//
// Ownership: implemented by the device and by the scheduler, borrowed by FleetPower. Threading:
// engine thread only; calls do not call back into FleetPower. Errors: none; FleetPower keeps to the
// stated bounds.
#ifndef SCOVILLE_SCHEDULER_POWER_FLEET_SEAMS_H_
#define SCOVILLE_SCHEDULER_POWER_FLEET_SEAMS_H_

#include <array>
#include <cstdint>

#include "base/units.h"
#include "scheduler/power/device_power_view.h"
#include "scheduler/power/throughput_curve.h"

namespace scoville::scheduler {

class PowerControlledDevice {
 public:
  virtual ~PowerControlledDevice() = default;

  // Its index in the pool.
  virtual uint32_t id() const = 0;

  // Constant bounds of SetCap, in milliwatts of the whole device; MinCap <= FullChunkCap <= MaxCap.
  // MinCap: one sequence at the lowest clock fits. FullChunkCap: so does the largest prefill chunk.
  virtual Power MinCap() const = 0;
  virtual Power FullChunkCap() const = 0;
  virtual Power MaxCap() const = 0;

  // The cap last set, and in force from the time SetCap gave.
  virtual Power Cap() const = 0;

  // Tokens/s over watts for the present mix of work (or, without work, the usual one).
  virtual ThroughputCurve Curve() const = 0;

  // Returns when the cap holds for every window (>= now): now for a raise, at most
  // now + CapDelay() for a decrease.
  virtual TimePoint SetCap(TimePoint now, Power cap) = 0;
  // Bounds the time a decrease takes, sent now or later: longest step + longest window.
  virtual Duration CapDelay() const = 0;

  // What it draws fenced: switched off, but for what answers to being switched on.
  virtual Power OffPower() const = 0;
  // Sleeping: at most ParkedPower, no steps. Park is called only without work; it returns when
  // ParkedPower holds for every window. Wake makes the device ready for SetCap and for work (the
  // time it takes to wake is its own).
  virtual bool Parkable() const = 0;
  virtual Power ParkedPower() const = 0;
  virtual TimePoint Park(TimePoint now) = 0;
  virtual void Wake(TimePoint now) = 0;
};

// The scheduler's side.
class FleetWork {
 public:
  virtual ~FleetWork() = default;

  // Rates, running sequences and time to run empty, as they are now.
  virtual DeviceLoadView LoadOf(uint32_t device) const = 0;
  // The same as LoadOf(device).idle(), for those that know it without summing up.
  virtual bool Idle(uint32_t device) const { return LoadOf(device).idle(); }

  // Nothing new is placed on a closed device; what runs goes on.
  virtual void SetClosed(uint32_t device, bool closed) = 0;
  // A device that asked to be back is counted from now on: it may draw power and take work.
  virtual void Returned(uint32_t device) = 0;
  // Preempts whatever runs on the device; batch work that finds no place again fails retriably.
  virtual void Preempt(uint32_t device) = 0;
  // By tier: new requests of a closed tier are refused with a retry time.
  virtual void SetAdmissionClosed(const std::array<bool, kTierCount>& closed) = 0;
  // Smaller prefill chunks, and no new prompts of the batch tier.
  virtual void SetPrefillLimited(bool limited) = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_FLEET_SEAMS_H_
