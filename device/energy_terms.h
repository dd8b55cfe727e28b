// Divides a step's energy by what drew it: matrix units, memory, links, and what flows without
// work.
//
// Units: exact energies; the four sum to PowerModel::StepEnergy. Threading: pure. Errors: none.
#ifndef SCOVILLE_DEVICE_ENERGY_TERMS_H_
#define SCOVILLE_DEVICE_ENERGY_TERMS_H_

#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"
#include "device/records.h"

namespace scoville::device {

EnergyTerms StepTerms(const PowerModel& power, const StepPrice& price, int state);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_ENERGY_TERMS_H_
