#include "server/grpc/pool_state.h"

#include "scoville/v1/pool.pb.h"
#include "server/grpc/usage.h"

namespace scoville::server {

namespace {

v1::DeviceState StateOf(device::DeviceState state) {
  switch (state) {
    case device::DeviceState::kStarting:
      return v1::DEVICE_STATE_STARTING;
    case device::DeviceState::kReady:
      return v1::DEVICE_STATE_READY;
    case device::DeviceState::kDraining:
      return v1::DEVICE_STATE_DRAINING;
    case device::DeviceState::kDrained:
      return v1::DEVICE_STATE_DRAINED;
    case device::DeviceState::kFaulted:
      return v1::DEVICE_STATE_FAULTED;
    case device::DeviceState::kLost:
      return v1::DEVICE_STATE_LOST;
  }
  return v1::DEVICE_STATE_UNSPECIFIED;
}

v1::WaitReason ReasonOf(scheduler::WaitReason reason) {
  switch (reason) {
    case scheduler::WaitReason::kNone:
      return v1::WAIT_REASON_NONE;
    case scheduler::WaitReason::kKv:
      return v1::WAIT_REASON_KV;
    case scheduler::WaitReason::kPower:
      return v1::WAIT_REASON_POWER;
    case scheduler::WaitReason::kSlots:
      return v1::WAIT_REASON_SLOTS;
    case scheduler::WaitReason::kOrder:
      return v1::WAIT_REASON_ORDER;
    case scheduler::WaitReason::kBudget:
      return v1::WAIT_REASON_BUDGET;
    case scheduler::WaitReason::kDevice:
      return v1::WAIT_REASON_DEVICE;
    case scheduler::WaitReason::kClient:
      return v1::WAIT_REASON_CLIENT;
    case scheduler::WaitReason::kLeader:
      return v1::WAIT_REASON_LEADER;
    case scheduler::WaitReason::kFairness:
      return v1::WAIT_REASON_FAIRNESS;
    case scheduler::WaitReason::kTransfer:
      return v1::WAIT_REASON_TRANSFER;
  }
  return v1::WAIT_REASON_UNSPECIFIED;
}

v1::RequestPhase PhaseOf(scheduler::Phase phase) {
  switch (phase) {
    case scheduler::Phase::kQueued:
      return v1::REQUEST_PHASE_QUEUED;
    case scheduler::Phase::kPrefill:
      return v1::REQUEST_PHASE_PREFILL;
    case scheduler::Phase::kDecode:
      return v1::REQUEST_PHASE_DECODE;
  }
  return v1::REQUEST_PHASE_UNSPECIFIED;
}

void FillStatus(const device::DeviceStatus& status, v1::Device* out) {
  out->set_id(status.id.value);
  out->set_state(StateOf(status.state));
  out->set_busy(status.busy);
  out->set_power_milliwatts(status.power.value());
  out->set_cap_milliwatts(status.cap.value());
  FillEnergy(status.energy.prefill, out->mutable_energy()->mutable_prefill());
  FillEnergy(status.energy.decode, out->mutable_energy()->mutable_decode());
  FillEnergy(status.energy.idle, out->mutable_energy()->mutable_idle());
  FillEnergy(status.energy.waste, out->mutable_energy()->mutable_waste());
  out->set_clock_hertz(status.clock_hertz);
  out->set_temperature_celsius(status.temperature_celsius);
  out->set_kv_blocks_total(static_cast<uint64_t>(status.kv_blocks_total));
  out->set_kv_blocks_used(static_cast<uint64_t>(status.kv_blocks_used));
  out->set_kv_blocks_cached(static_cast<uint64_t>(status.kv_blocks_cached));
  out->set_kv_blocks_pinned(static_cast<uint64_t>(status.kv_blocks_pinned));
  out->set_kv_blocks_bad(static_cast<uint64_t>(status.kv_blocks_bad));
  out->set_kv_blocks_evicted(static_cast<uint64_t>(status.kv_blocks_evicted));
  out->set_steps(static_cast<uint64_t>(status.steps));
  out->set_busy_ns(status.busy_time.value());
  out->set_idle_ns(status.idle_time.value());
  out->set_lag_ns(status.lag.value());
}

}  // namespace

PoolSnapshot TakePoolSnapshot(CallContext* shared, bool include_requests) {
  PoolSnapshot snapshot;
  const scheduler::Scheduler& scheduler = shared->engine->scheduler();
  snapshot.status = scheduler.Status();
  if (include_requests) {
    snapshot.requests = scheduler.Requests(kMaxListedRequests);
  }
  if (shared->deployment.device_tokens) {
    for (const device::DeviceStatus& device : snapshot.status.devices) {
      snapshot.device_tokens.push_back(shared->deployment.device_tokens(device.id.value));
    }
  }
  return snapshot;
}

bool QueryPool(CallContext* shared, QueueThread* thread, bool include_requests,
               absl::AnyInvocable<void(PoolSnapshot)> done) {
  return shared->engine->Post([shared, thread, include_requests, done = std::move(done)]() mutable {
    PoolSnapshot snapshot = TakePoolSnapshot(shared, include_requests);
    thread->Post([done = std::move(done), snapshot = std::move(snapshot)]() mutable {
      done(std::move(snapshot));
    });
  });
}

void FillDevice(const PoolSnapshot& snapshot, size_t i, CallContext* shared, v1::Device* out) {
  const scheduler::PoolStatus& status = snapshot.status;
  FillStatus(status.devices[i], out);
  out->set_profile(shared->deployment.profile);
  out->set_chips(static_cast<uint32_t>(shared->deployment.chips_per_device));
  out->set_model(shared->model->id);
  out->set_executor(shared->deployment.executor);
  out->set_running(static_cast<uint32_t>(status.running[i]));
  const scheduler::DeviceHealth& health = status.health[i];
  out->set_state(StateOf(health.state));
  out->set_pace_percent(static_cast<uint32_t>(health.pace_percent));
  out->set_prefix_query_tokens(static_cast<uint64_t>(health.prefix_query_tokens));
  out->set_prefix_hit_tokens(static_cast<uint64_t>(health.prefix_hit_tokens));
  if (i < snapshot.device_tokens.size()) {
    out->set_input_tokens(static_cast<uint64_t>(snapshot.device_tokens[i].first));
    out->set_output_tokens(static_cast<uint64_t>(snapshot.device_tokens[i].second));
  }
}

void FillPoolState(const PoolSnapshot& snapshot, CallContext* shared, v1::PoolState* out) {
  const scheduler::PoolStatus& status = snapshot.status;
  out->set_generation(shared->generation.fetch_add(1) + 1);
  out->set_version(shared->deployment.version);
  out->set_uptime_ns(status.now.ns());
  out->set_draining(status.draining);
  out->set_emulated(true);
  Power budget;
  for (size_t i = 0; i < status.devices.size(); ++i) {
    FillDevice(snapshot, i, shared, out->add_devices());
    budget += status.devices[i].cap;
  }
  out->set_budget_milliwatts(budget.value());
  out->set_waiting(static_cast<uint64_t>(status.waiting));
  out->set_paused(static_cast<uint64_t>(status.paused));
  out->set_preemptions(static_cast<uint64_t>(status.preemptions));
  out->set_migrations(static_cast<uint64_t>(status.migrations));
  out->set_devices_lost(static_cast<uint64_t>(status.devices_lost));
  for (const int64_t waiting : status.waiting_by_class) {
    out->add_waiting_by_class(static_cast<uint64_t>(waiting));
  }
  out->set_open_streams(static_cast<uint64_t>(shared->open_streams.load()));
  for (const scheduler::RequestStatus& request : snapshot.requests) {
    FillLiveRequest(request, status.now, out->add_requests());
  }
}

void FillLiveRequest(const scheduler::RequestStatus& status, TimePoint now, v1::LiveRequest* out) {
  const scheduler::RequestRecord& record = status.record;
  out->set_request_id(record.external_id);
  out->set_phase(PhaseOf(status.phase));
  out->set_wait(ReasonOf(status.wait));
  out->set_detail(status.detail);
  out->set_rank(static_cast<uint64_t>(status.rank));
  if (status.phase != scheduler::Phase::kQueued) {
    out->set_device(record.device.value);
  }
  out->set_prompt_tokens(static_cast<uint64_t>(record.prompt_tokens));
  out->set_output_tokens(static_cast<uint64_t>(record.output_tokens));
  out->set_computed_tokens(static_cast<uint64_t>(status.computed_tokens));
  out->set_age_ns((now - record.arrival).value());
  out->set_preemptions(static_cast<uint32_t>(record.preemptions));
  out->set_migrations(static_cast<uint32_t>(record.migrations));
  if (status.unbounded.empty()) {
    out->set_wait_bound_ns(status.wait_bound.value());
  } else {
    out->set_unbounded(status.unbounded);
  }
  out->set_pinned(status.pinned);
  out->set_shared_blocks(static_cast<uint64_t>(status.shared_blocks));
  FillRequestEnergy(record, out->mutable_energy());
}

}  // namespace scoville::server
