// What must hold of any run: joules add up exactly, nothing stays behind, every request ends once.
//
// Threading: one thread. Errors: Internal, naming what does not hold and both sides of it.
#ifndef SCOVILLE_SIM_CONSERVATION_H_
#define SCOVILLE_SIM_CONSERVATION_H_

#include <vector>

#include "absl/status/status.h"
#include "device/device.h"
#include "scheduler/scheduler.h"
#include "sim/simulation.h"

namespace scoville::sim {

// After any event: each device's energy by bucket equals its energy by term, its time is accounted
// for, its blocks are consistent.
absl::Status CheckDevices(const std::vector<device::Device*>& devices);

// At the end of a run.
absl::Status CheckConservation(const SimulationResult& result,
                               const scheduler::Scheduler& scheduler);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_CONSERVATION_H_
