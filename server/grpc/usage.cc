#include "server/grpc/usage.h"

#include <algorithm>

#include "scoville/v1/completions.pb.h"

namespace scoville::server {

namespace {

uint64_t Span(TimePoint from, TimePoint to) {
  return static_cast<uint64_t>(std::max<int64_t>((to - from).value(), 0));
}

}  // namespace

void FillEnergy(Energy energy, v1::Energy* out) {
  out->set_microjoules(energy.microjoules());
  out->set_picojoules(energy.picojoules());
}

void FillUsage(const scheduler::RequestRecord& record, v1::Usage* out) {
  out->set_prompt_tokens(static_cast<uint64_t>(record.prompt_tokens));
  out->set_cached_tokens(static_cast<uint64_t>(record.cached_tokens));
  out->set_completion_tokens(static_cast<uint64_t>(record.output_tokens));
  out->set_recomputed_tokens(static_cast<uint64_t>(record.recomputed_tokens));
}

void FillRequestEnergy(const scheduler::RequestRecord& record, v1::RequestEnergy* out) {
  FillEnergy(record.prefill_energy, out->mutable_prefill());
  FillEnergy(record.decode_energy, out->mutable_decode());
  FillEnergy(record.prefill_energy + record.decode_energy, out->mutable_total());
  FillEnergy(record.waste_energy, out->mutable_waste());
}

void FillTimings(const scheduler::RequestRecord& record, v1::Timings* out) {
  out->set_total_ns(Span(record.arrival, record.end));
  out->set_queue_ns(Span(record.arrival, record.was_scheduled ? record.scheduled : record.end));
  if (record.output_tokens > 0) {
    out->set_prefill_ns(Span(record.scheduled, record.first_token));
    out->set_decode_ns(Span(record.first_token, record.last_token));
    out->set_first_token_ns(Span(record.arrival, record.first_token));
  }
  out->set_client_stall_ns(static_cast<uint64_t>(record.client_stall.value()));
  out->set_emulation_lag_ns(static_cast<uint64_t>(record.emulation_lag.value()));
}

}  // namespace scoville::server
