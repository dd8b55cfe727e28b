// Where the core's records go: Prometheus in the daemon, reports and the event hash in the
// simulator, checks in tests.
//
// Ownership: borrowed by the scheduler. Threading: called on the engine thread, in event order;
// must not block or call back into the scheduler. Errors: none.
#ifndef SCOVILLE_SCHEDULER_OBSERVER_H_
#define SCOVILLE_SCHEDULER_OBSERVER_H_

#include "device/records.h"
#include "scheduler/request.h"

namespace scoville::scheduler {

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnAdmitted(const RequestRecord& record) = 0;
  virtual void OnRefused(const Refusal& refusal, TimePoint when) = 0;
  virtual void OnPreempted(const RequestRecord& record, TimePoint when) = 0;
  // Its device was lost or drained; it waits to go on elsewhere.
  virtual void OnMigrated(const RequestRecord& record, TimePoint when) = 0;
  virtual void OnDeviceLost(DeviceId device, TimePoint when) = 0;
  virtual void OnStep(const device::StepRecord& record) = 0;
  virtual void OnToken(const RequestRecord& record, TimePoint previous,
                       TimePoint when) = 0;  // previous: the
  // request's token before, or its arrival for the first
  virtual void OnRequest(const RequestRecord& record) = 0;  // ended
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_OBSERVER_H_
