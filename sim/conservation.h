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

// After any event: the scheduler's parts agree (CHECKed); what was attributed to requests, ended
// and live, and idle and waste are the devices' energy; a device's blocks are those its requests
// can own. When nothing more happens at this instant (`to_next_event` > 1 ns), no device stands
// idle beside a request that it could run.
absl::Status CheckRunning(const std::vector<device::Device*>& devices,
                          const scheduler::Scheduler& scheduler, const RunObserver& records,
                          Duration to_next_event);

// At the end of a run whose devices kept a trace: no window's mean power was above its cap, by an
// audit that shares nothing with the governor. For governors that promise it.
absl::Status CheckCaps(const std::vector<device::Device*>& devices, Duration window);

// The limits in force of each node of the budget tree over a run, for the audit of its nodes.
class NodeLimits {
 public:
  // After the scheduler is made, and after any event.
  void Note(const scheduler::FleetPower& fleet, TimePoint now);
  const std::vector<std::vector<device::TraceCap>>& nodes() const { return nodes_; }

 private:
  std::vector<std::vector<device::TraceCap>> nodes_;
};

// As CheckCaps, of the devices below each node together: no window's mean power was above the
// node's limit in force at its end. `devices` and `born`, when the own time of each began, by
// number.
absl::Status CheckNodes(const std::vector<device::Device*>& devices,
                        const std::vector<Duration>& born, const scheduler::FleetPowerStatus& fleet,
                        const NodeLimits& limits, Duration window);

// At the end of a run: the same for its records, each request ended once, and the times in the
// system are the integral of the number in the system over the loop's clock (Little's law).
absl::Status CheckConservation(const SimulationResult& result,
                               const scheduler::Scheduler& scheduler);

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_CONSERVATION_H_
