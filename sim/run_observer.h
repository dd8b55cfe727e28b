// Takes the core's records into the figures of a report and into the run's event hash.
//
// The hash chains every record in event order, so two runs with one hash made the same decisions,
// tokens and joules.
//
// Ownership: borrowed by the scheduler for the length of a run. Threading: one thread. Errors:
// none.
#ifndef SCOVILLE_SIM_RUN_OBSERVER_H_
#define SCOVILLE_SIM_RUN_OBSERVER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/histogram.h"
#include "base/stable_hash.h"
#include "scheduler/observer.h"

namespace scoville::sim {

class RunObserver final : public scheduler::Observer {
 public:
  void OnAdmitted(const scheduler::RequestRecord& record) override;
  void OnRefused(const scheduler::Refusal& refusal, TimePoint when) override;
  void OnPreempted(const scheduler::RequestRecord& record, TimePoint when) override;
  void OnMigrated(const scheduler::RequestRecord& record, TimePoint when) override;
  void OnDeviceLost(DeviceId device, TimePoint when) override;
  void OnStep(const device::StepRecord& record) override;
  void OnToken(const scheduler::RequestRecord& record, TimePoint previous, TimePoint when) override;
  void OnRequest(const scheduler::RequestRecord& record) override;

  // Everything that ended, in order.
  std::vector<scheduler::RequestRecord> requests;
  device::EnergyBuckets ended_energy;  // of those, idle is zero
  int64_t admitted = 0;
  int64_t preemptions = 0;
  int64_t migrations = 0;
  int64_t devices_lost = 0;
  int64_t lost_steps = 0;
  int64_t draft_tokens = 0;
  int64_t accepted_draft_tokens = 0;
  std::array<int64_t, 16> refusals{};  // by RefusalReason
  int64_t steps = 0;
  int64_t throttled_steps = 0;
  int64_t input_tokens = 0;  // prompt tokens computed for the first time
  int64_t output_tokens = 0;
  int64_t recomputed_tokens = 0;
  device::StallTimes stalls;
  device::EnergyTerms step_terms;
  Histogram itl_ns;  // every gap between two tokens of a request
  StableHasher hash;
};

}  // namespace scoville::sim

#endif  // SCOVILLE_SIM_RUN_OBSERVER_H_
