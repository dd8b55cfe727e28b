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
    case device::DeviceState::kRemoved:
      return v1::DEVICE_STATE_REMOVED;
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
    case scheduler::WaitReason::kMask:
      return v1::WAIT_REASON_MASK;
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

DeploymentView ViewOf(const Deployment& deployment, int64_t requests) {
  DeploymentView view;
  view.facts = deployment.facts();
  view.status = deployment.scheduler().Status();
  if (requests > 0) {
    view.requests = deployment.scheduler().Requests(requests);
  }
  if (const MetricsObserver* const metrics = deployment.metrics()) {
    for (const TokenCounts& tokens : metrics->counters().device_tokens) {
      view.device_tokens.emplace_back(tokens.input, tokens.output);
    }
  }
  return view;
}

bool QueryPool(CallContext* shared, QueueThread* thread, bool include_requests,
               absl::AnyInvocable<void(PoolSnapshot)> done) {
  return shared->engine->Post([shared, thread, include_requests, done = std::move(done)]() mutable {
    PoolSnapshot snapshot;
    snapshot.now = shared->engine->Now();
    int64_t room = include_requests ? kMaxListedRequests : 0;
    for (const std::shared_ptr<Deployment>& deployment : shared->engine->deployments()) {
      if (!deployment->open()) {
        continue;
      }
      DeploymentView view = ViewOf(*deployment, room);
      room -= static_cast<int64_t>(view.requests.size());
      snapshot.now = view.status.now;
      snapshot.deployments.push_back(std::move(view));
    }
    thread->Post([done = std::move(done), snapshot = std::move(snapshot)]() mutable {
      done(std::move(snapshot));
    });
  });
}

void FillDevice(const DeploymentView& view, size_t i, v1::Device* out) {
  const scheduler::PoolStatus& status = view.status;
  FillStatus(status.devices[i], out);
  out->set_profile(view.facts.profile);
  out->set_chips(static_cast<uint32_t>(view.facts.chips_per_device));
  out->set_model(view.facts.model);
  out->set_executor(view.facts.executor);
  out->set_running(static_cast<uint32_t>(status.running[i]));
  const scheduler::DeviceHealth& health = status.health[i];
  out->set_state(StateOf(health.state));
  out->set_pace_percent(static_cast<uint32_t>(health.pace_percent));
  out->set_prefix_query_tokens(static_cast<uint64_t>(health.prefix_query_tokens));
  out->set_prefix_hit_tokens(static_cast<uint64_t>(health.prefix_hit_tokens));
  if (i < view.device_tokens.size()) {
    out->set_input_tokens(static_cast<uint64_t>(view.device_tokens[i].first));
    out->set_output_tokens(static_cast<uint64_t>(view.device_tokens[i].second));
  }
}

void FillPoolState(const PoolSnapshot& snapshot, CallContext* shared, v1::PoolState* out) {
  out->set_generation(shared->generation.fetch_add(1) + 1);
  out->set_version(shared->version);
  out->set_uptime_ns(snapshot.now.ns());
  out->set_draining(shared->draining.load());
  out->set_emulated(true);
  Power budget;
  scheduler::PoolStatus sum;
  for (const DeploymentView& view : snapshot.deployments) {
    const scheduler::PoolStatus& status = view.status;
    for (size_t i = 0; i < status.devices.size(); ++i) {
      FillDevice(view, i, out->add_devices());
      budget += status.devices[i].cap;
    }
    sum.waiting += status.waiting;
    sum.paused += status.paused;
    sum.preemptions += status.preemptions;
    sum.migrations += status.migrations;
    sum.devices_lost += status.devices_lost;
    for (size_t i = 0; i < sum.waiting_by_class.size(); ++i) {
      sum.waiting_by_class[i] += status.waiting_by_class[i];
    }
    for (const scheduler::RequestStatus& request : view.requests) {
      FillLiveRequest(request, status.now, view.facts.model, out->add_requests());
    }
  }
  out->set_budget_milliwatts(budget.value());
  out->set_waiting(static_cast<uint64_t>(sum.waiting));
  out->set_paused(static_cast<uint64_t>(sum.paused));
  out->set_preemptions(static_cast<uint64_t>(sum.preemptions));
  out->set_migrations(static_cast<uint64_t>(sum.migrations));
  out->set_devices_lost(static_cast<uint64_t>(sum.devices_lost));
  for (const int64_t waiting : sum.waiting_by_class) {
    out->add_waiting_by_class(static_cast<uint64_t>(waiting));
  }
  out->set_open_streams(static_cast<uint64_t>(shared->open_streams.load()));
}

void FillLiveRequest(const scheduler::RequestStatus& status, TimePoint now, absl::string_view model,
                     v1::LiveRequest* out) {
  const scheduler::RequestRecord& record = status.record;
  out->set_model(model.data(), model.size());
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
