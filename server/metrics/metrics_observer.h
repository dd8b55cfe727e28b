// Adds the core's records up, on the engine thread, without locks.
//
// A scrape posts a callback to the engine that copies counters(); nothing here is shared.
//
// Ownership: borrowed by the scheduler; outlives the engine. Threading: engine thread only.
// Errors: none.
#ifndef SCOVILLE_SERVER_METRICS_METRICS_OBSERVER_H_
#define SCOVILLE_SERVER_METRICS_METRICS_OBSERVER_H_

#include "scheduler/observer.h"
#include "server/metrics/core_counters.h"

namespace scoville::server {

class MetricsObserver final : public scheduler::Observer {
 public:
  explicit MetricsObserver(size_t devices) : counters_(devices) {}

  void OnAdmitted(const scheduler::RequestRecord& record) override;
  void OnRefused(const scheduler::Refusal& refusal, TimePoint when) override;
  void OnPreempted(const scheduler::RequestRecord& record, TimePoint when) override;
  void OnMigrated(const scheduler::RequestRecord& record, TimePoint when) override;
  void OnDeviceLost(DeviceId device, TimePoint when) override;
  void OnStep(const device::StepRecord& record) override;
  void OnToken(const scheduler::RequestRecord& record, TimePoint previous, TimePoint when) override;
  void OnRequest(const scheduler::RequestRecord& record) override;

  // Counts requests from here on: what ran before was the daemon's own warm-up. Energy stays, since
  // the devices' meters do.
  void ForgetWarmUp();

  const CoreCounters& counters() const { return counters_; }

 private:
  CoreCounters counters_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_METRICS_METRICS_OBSERVER_H_
