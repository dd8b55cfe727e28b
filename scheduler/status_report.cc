// What can be said of the pool and of each request: the words behind GetPool and Explain.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "scheduler/scheduler_impl.h"

namespace scoville::scheduler {

PoolStatus Scheduler::Impl::Status() const {
  PoolStatus status;
  for (const DeviceSlot& slot : devices_) {
    status.devices.push_back(slot.device->Status());
    status.running.push_back(static_cast<int32_t>(slot.running.size()));
  }
  status.waiting = static_cast<int64_t>(waiting_.size());
  status.paused = paused_;
  status.preemptions = preemptions_;
  status.draining = draining_;
  status.now = loop_->Now();
  return status;
}

std::vector<RequestStatus> Scheduler::Impl::Requests(int64_t limit) const {
  std::vector<RequestStatus> out;
  for (const auto& [id, live] : live_) {
    if (static_cast<int64_t>(out.size()) >= limit) {
      break;
    }
    out.push_back(StatusOf(*live));
  }
  return out;
}

std::optional<RequestStatus> Scheduler::Impl::Explain(RequestId id) const {
  const LiveRequest* live = Find(id);
  if (live == nullptr) {
    return std::nullopt;
  }
  return StatusOf(*live);
}

std::optional<RequestStatus> Scheduler::Impl::Explain(absl::string_view external_id) const {
  for (auto it = live_.rbegin(); it != live_.rend(); ++it) {
    if (it->second->record.external_id == external_id) {
      return StatusOf(*it->second);
    }
  }
  return std::nullopt;
}

RequestStatus Scheduler::Impl::StatusOf(const LiveRequest& live) const {
  RequestStatus status;
  status.record = live.record;
  status.computed_tokens = live.computed;
  if (live.running) {
    status.phase = live.computed < live.record.prompt_tokens ? Phase::kPrefill : Phase::kDecode;
    ExplainRunning(live, status);
  } else {
    status.phase = Phase::kQueued;
    ExplainQueued(live, status);
  }
  return status;
}

void Scheduler::Impl::ExplainQueued(const LiveRequest& live, RequestStatus& status) const {
  status.rank = std::distance(waiting_.begin(), waiting_.find(live.rank()));
  if (status.rank > 0) {
    status.wait = WaitReason::kOrder;
    status.detail = absl::StrFormat("%d older requests are ahead, and the oldest does not fit yet",
                                    status.rank);
    return;
  }
  const bool shed = prefill_limited_ && live.record.service_class == ServiceClass::kBatch;
  if (shed || std::all_of(devices_.begin(), devices_.end(),
                          [](const DeviceSlot& slot) { return slot.closed; })) {
    status.wait = WaitReason::kPower;
    status.detail = "the power budget starts no work of this class now";
    return;
  }
  const Placement placement = PlacementOf(live);
  const std::vector<DeviceLoad> loads = Loads();
  const bool any_slot = std::any_of(loads.begin(), loads.end(), [&](const DeviceLoad& d) {
    return d.running < placement.max_running;
  });
  if (!any_slot) {
    status.wait = WaitReason::kSlots;
    status.detail =
        absl::StrFormat("every device runs its limit of %d sequences", placement.max_running);
    return;
  }
  int64_t best = 0;
  for (const DeviceLoad& d : loads) {
    best = std::max(best, d.free_blocks - d.running);
  }
  status.wait = WaitReason::kKv;
  status.detail = absl::StrFormat(
      "needs %d blocks, %d are free on the best device beside one for each running sequence",
      placement.blocks, best);
}

void Scheduler::Impl::ExplainRunning(const LiveRequest& live, RequestStatus& status) const {
  if (live.in_step) {
    return;
  }
  if (live.paused) {
    status.wait = WaitReason::kClient;
    status.detail = "the reader is behind; the sequence goes on when it has caught up";
    return;
  }
  const DeviceSlot& slot = devices_[live.record.device.value];
  if (slot.delay != device::DelayCause::kNone) {
    status.wait = WaitReason::kPower;
    status.detail = slot.delay == device::DelayCause::kWake
                        ? absl::StrFormat("device %d is waking up", slot.device->id().value)
                        : slot.device->power().last_sentence();
    return;
  }
  const bool was_left_out = std::any_of(
      slot.running.begin(), slot.running.end(),
      [&](const LiveRequest* other) { return other->in_step && other->rank() > live.rank(); });
  if (!was_left_out && static_cast<int64_t>(slot.running.size()) > 1 && live.computed > 0) {
    status.wait = WaitReason::kBudget;
    status.detail = absl::StrFormat("the step's %d tokens went to rows of higher rank",
                                    options_.max_step_tokens);
    return;
  }
  status.wait = WaitReason::kDevice;
  status.detail =
      absl::StrFormat("joins when the step under way on device %d ends", slot.device->id().value);
}

}  // namespace scoville::scheduler
