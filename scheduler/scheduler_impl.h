// The state and the steps of the scheduler; private to scheduler/. The contract is README.md.
//
// Ownership and threading as Scheduler.
#ifndef SCOVILLE_SCHEDULER_SCHEDULER_IMPL_H_
#define SCOVILLE_SCHEDULER_SCHEDULER_IMPL_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "device/device.h"
#include "scheduler/live_request.h"
#include "scheduler/observer.h"
#include "scheduler/power/fleet_power.h"
#include "scheduler/router.h"
#include "scheduler/scheduler.h"
#include "scheduler/step_fitting.h"

namespace scoville::scheduler {

class Scheduler::Impl {
 public:
  Impl(EventLoop* loop, std::vector<device::Device*> devices, const SchedulerOptions& options,
       Observer* observer);
  ~Impl();

  SubmitResult Submit(Request request);
  void Cancel(RequestId id, Outcome outcome);
  void ReaderCaughtUp(RequestId id);
  void StartDrain() { draining_ = true; }
  void EndAll(Outcome outcome);

  bool idle() const { return live_.empty(); }
  PoolStatus Status() const;
  std::vector<RequestStatus> Requests(int64_t limit) const;
  std::optional<RequestStatus> Explain(RequestId id) const;
  std::optional<RequestStatus> Explain(absl::string_view external_id) const;
  const SchedulerOptions& options() const { return options_; }

  // power_shedding.cc: what the power budget asks of the work.
  FleetPower& fleet();
  DeviceLoadView PowerLoadOf(uint32_t device) const;
  void CloseDevice(uint32_t device, bool closed);
  void Evict(uint32_t device);
  void CloseAdmission(const std::array<bool, kTierCount>& closed);
  void LimitPrefill(bool limited);

 private:
  // One device and the sequences placed on it, highest rank (oldest) first.
  struct DeviceSlot {
    device::Device* device;
    std::vector<LiveRequest*> running;
    bool closed = false;       // takes nothing new: the power budget lets it run empty
    TimerId plan;              // pending plan event
    uint64_t next_decode = 0;  // rank whose turn it is where a step holds not all decodes
    // Why the device's next step does not begin yet; kNone: nothing holds it.
    device::DelayCause delay = device::DelayCause::kNone;
  };

  LiveRequest* Find(RequestId id) const;
  Placement PlacementOf(const LiveRequest& live) const;
  std::vector<DeviceLoad> Loads() const;
  int64_t LargestDeviceTokens() const;
  Duration RetryAfter() const;

  // Fills what routing by service levels looks at, with the request on the device.
  void Foresee(const LiveRequest& live, const DeviceSlot& slot, DeviceLoad* load) const;
  int32_t Route(const LiveRequest& live, std::vector<DeviceLoad>& loads) const;
  // Moves requests from the queue's head onto devices while they fit.
  void PlaceWaiting();
  void Place(LiveRequest* live, DeviceSlot& slot);
  void SchedulePlan(DeviceSlot& slot);
  void Plan(uint32_t device);
  void CommitPlan(DeviceSlot& slot, const FittedStep& step);
  void Preempt(LiveRequest* live, DeviceSlot& slot);

  void MakeFleet();
  device::StepShape DecodesOf(const DeviceSlot& slot) const;
  // Plans an idle device anew: what it may draw has changed.
  void PlanAgain(DeviceSlot& slot);
  void PlaceSoon();

  // The one place that takes a step's results in.
  void Commit(uint32_t device, std::vector<RequestId> members, device::StepOutcome outcome);
  void CommitRow(LiveRequest* live, device::SequenceResult& result,
                 const device::EnergyBuckets& energy, const device::StepRecord& record);
  void TakeToken(LiveRequest* live, const model::SampledToken& token);
  std::optional<Outcome> EndOf(LiveRequest* live, int32_t token);
  void PauseIfCongested(LiveRequest* live);
  // The only exit: unlinks, frees, reports, destroys.
  void Retire(LiveRequest* live, Outcome outcome);

  // status_report.cc
  RequestStatus StatusOf(const LiveRequest& live) const;
  void ExplainQueued(const LiveRequest& live, RequestStatus& status) const;
  void ExplainRunning(const LiveRequest& live, RequestStatus& status) const;

  EventLoop* const loop_;
  Observer* const observer_;
  const SchedulerOptions options_;

  std::vector<DeviceSlot> devices_;
  std::map<uint64_t, LiveRequest*> waiting_;               // by rank
  std::map<uint64_t, std::unique_ptr<LiveRequest>> live_;  // by id
  int64_t waiting_tokens_ = 0;
  int64_t paused_ = 0;
  int64_t preemptions_ = 0;
  TimerId place_;  // pending placement after a preemption
  uint64_t next_id_ = 1;
  bool draining_ = false;
  // What the power budget has shed.
  std::array<bool, kTierCount> closed_classes_{};
  bool prefill_limited_ = false;
  std::unique_ptr<FleetWork> fleet_work_;
  std::vector<std::unique_ptr<PowerControlledDevice>> fleet_devices_;
  std::unique_ptr<FleetPower> fleet_;
  // For retry_after: when requests last ended, and the smoothed gap between two ends.
  TimePoint last_end_;
  Duration end_gap_ = Milliseconds(100);
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_SCHEDULER_IMPL_H_
