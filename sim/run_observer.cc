#include "sim/run_observer.h"

namespace scoville::sim {

namespace {

// Says which kind of record follows.
enum Tag : uint64_t {
  kAdmitted = 1,
  kRefused,
  kPreempted,
  kStep,
  kRequest,
  kMigrated,
  kDeviceLost
};

void AddEnergy(StableHasher& hash, Energy energy) {
  hash.Add(static_cast<uint64_t>(energy.microjoules()));
  hash.Add(static_cast<uint64_t>(energy.picojoules()));
}

}  // namespace

void RunObserver::OnAdmitted(const scheduler::RequestRecord& record) {
  ++admitted;
  hash.Add(kAdmitted);
  hash.Add(record.id.value);
  hash.Add(static_cast<uint64_t>(record.arrival.ns()));
}

void RunObserver::OnRefused(const scheduler::Refusal& refusal, TimePoint when) {
  ++refusals[static_cast<size_t>(refusal.reason)];
  hash.Add(kRefused);
  hash.Add(static_cast<uint64_t>(refusal.reason));
  hash.Add(static_cast<uint64_t>(when.ns()));
  hash.Add(static_cast<uint64_t>(refusal.retry_after.value()));
}

void RunObserver::OnPreempted(const scheduler::RequestRecord& record, TimePoint when) {
  ++preemptions;
  hash.Add(kPreempted);
  hash.Add(record.id.value);
  hash.Add(static_cast<uint64_t>(when.ns()));
}

void RunObserver::OnMigrated(const scheduler::RequestRecord& record, TimePoint when) {
  ++migrations;
  hash.Add(kMigrated);
  hash.Add(record.id.value);
  hash.Add(static_cast<uint64_t>(when.ns()));
}

void RunObserver::OnDeviceLost(DeviceId device, TimePoint when) {
  ++devices_lost;
  hash.Add(kDeviceLost);
  hash.Add(device.value);
  hash.Add(static_cast<uint64_t>(when.ns()));
}

void RunObserver::OnStep(const device::StepRecord& record) {
  ++steps;
  throttled_steps += record.throttled ? 1 : 0;
  input_tokens += record.prefill_tokens;
  output_tokens += record.output_tokens;
  recomputed_tokens += record.recomputed_tokens;
  lost_steps += record.lost ? 1 : 0;
  draft_tokens += record.draft_tokens;
  accepted_draft_tokens += record.accepted_draft_tokens;
  stalls += record.stalls;
  step_terms += record.terms;
  hash.Add(kStep);
  hash.Add(record.device.value);
  hash.Add(static_cast<uint64_t>(record.start.ns()));
  hash.Add(static_cast<uint64_t>(record.duration.value()));
  hash.Add(static_cast<uint64_t>(record.pstate));
  hash.Add(record.plan_hash);
  hash.Add(record.token_hash);
  AddEnergy(hash, record.energy.total());
}

void RunObserver::OnToken(const scheduler::RequestRecord& record, TimePoint previous,
                          TimePoint when) {
  if (record.output_tokens > 1) {
    itl_ns.Add((when - previous).value());
  }
}

void RunObserver::OnRequest(const scheduler::RequestRecord& record) {
  requests.push_back(record);
  ended_energy.prefill += record.prefill_energy;
  ended_energy.decode += record.decode_energy;
  ended_energy.waste += record.waste_energy;
  hash.Add(kRequest);
  hash.Add(record.id.value);
  hash.Add(static_cast<uint64_t>(record.outcome));
  hash.Add(static_cast<uint64_t>(record.output_tokens));
  hash.Add(record.token_hash);
  hash.Add(static_cast<uint64_t>(record.end.ns()));
  AddEnergy(hash, record.prefill_energy);
  AddEnergy(hash, record.decode_energy);
  AddEnergy(hash, record.waste_energy);
}

}  // namespace scoville::sim
