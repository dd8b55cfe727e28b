// Which device a waiting request goes to, and when.
#include <algorithm>

#include "base/status_macros.h"
#include "scheduler/scheduler_impl.h"

namespace scoville::scheduler {

Placement Scheduler::Impl::PlacementOf(const LiveRequest& live) const {
  const device::BlockPool& kv = devices_.front().device->kv();
  return Placement{kv.BlocksFor(live.known()), kv.BlocksFor(live.last_token), options_.max_running};
}

std::vector<DeviceLoad> Scheduler::Impl::Loads() const {
  std::vector<DeviceLoad> loads;
  loads.reserve(devices_.size());
  for (const DeviceSlot& slot : devices_) {
    const device::BlockPool& kv = slot.device->kv();
    DeviceLoad load;
    load.ready = !slot.closed;
    load.running = static_cast<int32_t>(slot.running.size());
    load.used_blocks = kv.used_blocks();
    load.free_blocks = kv.free_blocks();
    load.parked = slot.device->power().parked();
    loads.push_back(load);
  }
  return loads;
}

void Scheduler::Impl::Foresee(const LiveRequest& live, const DeviceSlot& slot,
                              DeviceLoad* load) const {
  const device::DevicePower& power = slot.device->power();
  const int decode = static_cast<int>(device::StepRole::kDecode);
  // Decodes as if all of them read what is in use now and what the request brings.
  device::StepShape steady;
  steady.sequences[decode] = load->running + 1;
  steady.tokens[decode] = steady.sequences[decode];
  steady.kv_rows_read[decode] = load->used_blocks * slot.device->kv().block_size() + live.known();
  steady.attention_pairs[decode] = steady.kv_rows_read[decode] + steady.tokens[decode];
  steady.output_rows = steady.tokens[decode];
  steady.longest_decode = live.known();
  const Duration step = power.SustainedStep(steady);

  // Prompts ahead of it on the device and its own go in chunks beside those decodes; a chunk is
  // what the step's budget allows, or what the decodes' target leaves of it.
  int64_t pending = live.remaining();
  for (const LiveRequest* other : slot.running) {
    pending += other->computed < other->record.prompt_tokens ? other->remaining() : 0;
  }
  const int64_t most = std::max<int64_t>(1, options_.max_step_tokens - steady.tokens[decode]);
  const int64_t chunk = std::min(most, pending);
  device::StepShape mixed = steady;
  mixed.Add(device::SequenceWork{device::StepRole::kPrefill, 0, chunk, 1, 0}, slot.device->rules());
  Duration chunk_step = power.SustainedStep(mixed);
  int64_t steps = (pending + most - 1) / most;
  const Duration target = options_.itl_target;
  if (target > Duration() && load->running > 0 && chunk_step > target && step < target) {
    const double share = ToSeconds(target - step) / ToSeconds(chunk_step - step);
    steps = static_cast<int64_t>(static_cast<double>(steps) / share) + 1;
    chunk_step = target;
  }
  load->first_token = chunk_step * steps + (slot.device->busy() ? step : Duration());
  const auto within = [](Duration expected, Duration limit) {
    // A fifth is kept for what cannot be foreseen: later arrivals, and contexts that grow.
    return limit == Duration() || expected <= limit / 5 * 4;
  };
  load->meets_targets = within(step, target) && within(load->first_token, options_.ttft_target);
}

int32_t Scheduler::Impl::Route(const LiveRequest& live, std::vector<DeviceLoad>& loads) const {
  const Placement placement = PlacementOf(live);
  if (options_.routing == RoutePolicy::kLeastLoaded) {
    return RouteLeastLoaded(loads, placement);
  }
  for (size_t i = 0; i < loads.size(); ++i) {
    if (Fits(loads[i], placement)) {
      Foresee(live, devices_[i], &loads[i]);
    }
  }
  return RouteConsolidated(loads, placement);
}

void Scheduler::Impl::PlaceWaiting() {
  if (waiting_.empty()) {
    return;
  }
  std::vector<DeviceLoad> loads = Loads();
  auto next = waiting_.begin();
  while (next != waiting_.end()) {
    LiveRequest* live = next->second;
    ++next;
    if (prefill_limited_ && live->record.service_class == ServiceClass::kBatch) {
      continue;  // the power budget starts no new prompts of this class
    }
    const int32_t chosen = Route(*live, loads);
    if (chosen < 0) {
      return;  // first come, first served: nobody passes the head
    }
    DeviceSlot& slot = devices_[chosen];
    Place(live, slot);
    loads[chosen].running += 1;
    loads[chosen].used_blocks = slot.device->kv().used_blocks();
    loads[chosen].free_blocks = slot.device->kv().free_blocks();
  }
}

void Scheduler::Impl::Place(LiveRequest* live, DeviceSlot& slot) {
  waiting_.erase(live->rank());
  waiting_tokens_ -= live->known();
  live->table = device::BlockTable(&slot.device->kv());
  CHECK(live->table.Grow(live->known()));
  live->running = true;
  live->record.device = slot.device->id();
  const auto at =
      std::upper_bound(slot.running.begin(), slot.running.end(), live,
                       [](LiveRequest* a, LiveRequest* b) { return a->rank() < b->rank(); });
  slot.running.insert(at, live);
  SchedulePlan(slot);
}

}  // namespace scoville::scheduler
