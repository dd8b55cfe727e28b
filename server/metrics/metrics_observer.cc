#include "server/metrics/metrics_observer.h"

#include <algorithm>
#include <utility>

namespace scoville::server {

void MetricsObserver::OnAdmitted(const scheduler::RequestRecord& record) {
  ++counters_.admitted;
  counters_.prompt_tokens.Add(record.prompt_tokens);
}

void MetricsObserver::OnRefused(const scheduler::Refusal& refusal, TimePoint) {
  ++counters_.refused.at(static_cast<size_t>(refusal.reason));
}

void MetricsObserver::OnPreempted(const scheduler::RequestRecord&, TimePoint) {
  ++counters_.preempted;
}

void MetricsObserver::OnMigrated(const scheduler::RequestRecord&, TimePoint) {
  ++counters_.migrated;
}

void MetricsObserver::OnDeviceLost(DeviceId, TimePoint) { ++counters_.devices_lost; }

void MetricsObserver::OnStep(const device::StepRecord& record) {
  // Devices may have joined since.
  counters_.device_tokens.resize(
      std::max(counters_.device_tokens.size(), size_t{record.device.value} + 1));
  const TokenCounts step{record.prefill_tokens, record.output_tokens, record.recomputed_tokens};
  for (TokenCounts* sum : {&counters_.tokens, &counters_.device_tokens.at(record.device.value)}) {
    sum->input += step.input;
    sum->output += step.output;
    sum->recomputed += step.recomputed;
  }
  counters_.step_energy += record.energy.prefill + record.energy.decode + record.energy.waste;
  counters_.draft_tokens += record.draft_tokens;
  counters_.accepted_draft_tokens += record.accepted_draft_tokens;
  if (record.lost) {
    counters_.lost_step_energy += record.energy.waste;
    return;  // how long it took and what it held tells nothing of steps
  }
  counters_.step_duration.Add(record.duration.value());
  counters_.step_tokens.Add(record.prefill_tokens + record.recomputed_tokens +
                            record.decode_tokens);
}

void MetricsObserver::OnToken(const scheduler::RequestRecord& record, TimePoint previous,
                              TimePoint when) {
  const int64_t waited = (when - previous).value();
  if (record.output_tokens == 1) {
    counters_.first_token.at(static_cast<size_t>(record.service_class)).Add(waited);
  } else {
    counters_.inter_token.Add(waited);
  }
}

void MetricsObserver::OnRequest(const scheduler::RequestRecord& r) {
  CoreCounters& c = counters_;
  ++c.ended.at(static_cast<size_t>(r.outcome));
  c.cached_tokens += r.cached_tokens;
  c.request_energy += r.prefill_energy + r.decode_energy + r.waste_energy;
  c.attributed_prefill += r.prefill_energy;
  c.attributed_decode += r.decode_energy;
  c.output_tokens.Add(r.output_tokens);
  c.duration.Add((r.end - r.arrival).value());
  c.queue.Add(((r.was_scheduled ? r.scheduled : r.end) - r.arrival).value());
  if (r.was_scheduled) {
    const Energy energy = r.prefill_energy + r.decode_energy;
    c.request_microjoules.Add(energy.microjoules());
    if (r.output_tokens > 0) {
      c.microjoules_per_output_token.Add(energy.microjoules() / r.output_tokens);
    }
  }
  if (r.output_tokens > 0) {
    c.prefill.Add((r.first_token - r.scheduled).value());
    c.inference.Add((r.last_token - r.scheduled).value());
  }
  if (r.output_tokens > 1) {
    const Duration decode = r.last_token - r.first_token;
    c.decode.Add(decode.value());
    c.time_per_output_token.Add(decode.value() / (r.output_tokens - 1));
  }
}

void MetricsObserver::ForgetWarmUp() {
  CoreCounters fresh(counters_.device_tokens.size());
  fresh.step_energy = counters_.step_energy;
  fresh.lost_step_energy = counters_.lost_step_energy;
  fresh.request_energy = counters_.request_energy;
  fresh.attributed_prefill = counters_.attributed_prefill;
  fresh.attributed_decode = counters_.attributed_decode;
  counters_ = std::move(fresh);
}

}  // namespace scoville::server
