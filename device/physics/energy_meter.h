// Integrates a device's power over time into energy, exactly.
//
// The device calls SetPower() at each change of power and Read() when it reports; between calls
// power is constant. Energy never decreases.
//
// Units: power in milliwatts, time in nanoseconds, so each product is an exact count of picojoules.
// Ownership: owned by value by its device; borrows nothing.
// Threading: engine thread only.
// Errors: none; time running backwards or negative power is a CHECK failure.
#ifndef SCOVILLE_DEVICE_PHYSICS_ENERGY_METER_H_
#define SCOVILLE_DEVICE_PHYSICS_ENERGY_METER_H_

#include "base/units.h"

namespace scoville::device {

class EnergyMeter {
 public:
  EnergyMeter(TimePoint start, Power power);

  // From `now` on the device draws `power`.
  void SetPower(TimePoint now, Power power);
  // Energy from the start to `now`, which may lie ahead of the last change but not before it.
  Energy Read(TimePoint now) const;

  Power power() const { return power_; }
  TimePoint last_change() const { return last_change_; }

 private:
  TimePoint last_change_;
  Power power_;
  Energy total_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_ENERGY_METER_H_
