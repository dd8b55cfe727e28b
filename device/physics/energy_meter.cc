#include "device/physics/energy_meter.h"

#include "base/status_macros.h"

namespace scoville::device {

EnergyMeter::EnergyMeter(TimePoint start, Power power) : last_change_(start), power_(power) {
  CHECK_GE(power, Power());
}

void EnergyMeter::SetPower(TimePoint now, Power power) {
  CHECK_GE(power, Power());
  total_ = Read(now);
  last_change_ = now;
  power_ = power;
}

Energy EnergyMeter::Read(TimePoint now) const {
  CHECK_GE(now, last_change_);
  return total_ + power_ * (now - last_change_);
}

}  // namespace scoville::device
