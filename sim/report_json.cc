// The report as programs read it; keys are stable.
#include <nlohmann/json.hpp>
#include <string>

#include "scheduler/names.h"
#include "sim/report.h"

namespace scoville::sim {

namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const Percentiles& p) {
  return {{"mean_s", p.mean}, {"p50_s", p.p50}, {"p90_s", p.p90},
          {"p99_s", p.p99},   {"max_s", p.max}, {"count", p.count}};
}

Json ToJson(Energy energy) {
  return {{"microjoules", energy.microjoules()}, {"picojoules", energy.picojoules()}};
}

}  // namespace

std::string ToJson(const Report& r) {
  Json json;
  json["scenario"] = r.name;
  json["power_source"] = "emulated";
  json["model"] = r.model;
  json["profile"] = {{"name", r.profile.name},
                     {"hash", r.profile.hash},
                     {"weakest_status", r.profile.weakest},
                     {"chips_per_device", r.profile.chips}};
  json["seed"] = r.seed;
  json["event_hash"] = r.event_hash;
  json["events"] = r.events;
  json["virtual_seconds"] = r.virtual_seconds;
  json["host_seconds"] = r.host_seconds;
  json["requests"] = {{"offered", r.offered},           {"completed", r.completed},
                      {"outcomes", r.outcomes},         {"refusals", r.refusals},
                      {"slo_met", r.slo_met},           {"slo_attainment", r.slo_attainment},
                      {"goodput_per_second", r.goodput}};
  Json tenants = Json::object();
  for (const auto& [name, t] : r.tenants) {
    tenants[name] = {{"offered", t.offered},
                     {"cancelled", t.cancelled},
                     {"slo_met", t.slo_met},
                     {"slo_attainment", t.attainment}};
  }
  json["service"] = {{"deadline_misses", r.deadline_misses},
                     {"prefix_hit_share", r.prefix_hit_share},
                     {"jain_index", r.jain_index},
                     {"waste_share", r.waste_share},
                     {"tenants", tenants}};
  json["slo"] = {{"ttft_s", ToSeconds(r.slo.ttft)}, {"itl_s", ToSeconds(r.slo.itl)}};
  json["latency"] = {{"queue", ToJson(r.queue)},
                     {"ttft", ToJson(r.ttft)},
                     {"tpot", ToJson(r.tpot)},
                     {"itl", ToJson(r.itl)},
                     {"e2e", ToJson(r.e2e)}};
  json["tokens"] = {{"input", r.input_tokens},
                    {"output", r.output_tokens},
                    {"recomputed", r.recomputed_tokens},
                    {"input_per_second", r.input_tokens_per_second},
                    {"output_per_second", r.output_tokens_per_second},
                    {"total_per_second", r.total_tokens_per_second}};
  json["energy"] = {{"device_joules", r.device_joules},
                    {"mean_device_watts", r.mean_watts},
                    {"output_tokens_per_device_joule", r.output_tokens_per_joule},
                    {"total_tokens_per_device_joule", r.total_tokens_per_joule},
                    {"device_joules_per_output_token", r.joules_per_output_token},
                    {"device_joules_per_completed_request", r.joules_per_request},
                    {"wall_joules", r.wall_joules},
                    {"output_tokens_per_wall_joule", r.output_tokens_per_wall_joule},
                    {"by_bucket",
                     {{"prefill", ToJson(r.energy.prefill)},
                      {"decode", ToJson(r.energy.decode)},
                      {"idle", ToJson(r.energy.idle)},
                      {"waste", ToJson(r.energy.waste)}}},
                    {"by_term",
                     {{"compute", ToJson(r.terms.compute)},
                      {"memory", ToJson(r.terms.memory)},
                      {"link", ToJson(r.terms.link)},
                      {"static", ToJson(r.terms.static_)}}}};
  json["devices"] = {{"count", r.devices},
                     {"steps", r.steps},
                     {"throttled_steps", r.throttled_steps},
                     {"preemptions", r.preemptions},
                     {"utilisation", r.utilisation},
                     {"peak_kv_share", r.peak_kv_share},
                     {"stall_shares", r.stalls},
                     {"emulation_lag_seconds", r.emulation_lag_seconds}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string RequestsToJsonLines(const SimulationResult& result) {
  std::string out;
  for (const scheduler::RequestRecord& r : result.records.requests) {
    Json json = {{"id", r.id.value},
                 {"request_id", r.external_id},
                 {"outcome", scheduler::OutcomeName(r.outcome)},
                 {"arrival_ns", r.arrival.ns()},
                 {"scheduled_ns", r.was_scheduled ? Json(r.scheduled.ns()) : Json(nullptr)},
                 {"first_token_ns", r.output_tokens > 0 ? Json(r.first_token.ns()) : Json(nullptr)},
                 {"last_token_ns", r.output_tokens > 0 ? Json(r.last_token.ns()) : Json(nullptr)},
                 {"end_ns", r.end.ns()},
                 {"prompt_tokens", r.prompt_tokens},
                 {"output_tokens", r.output_tokens},
                 {"recomputed_tokens", r.recomputed_tokens},
                 {"preemptions", r.preemptions},
                 {"device", r.was_scheduled ? Json(r.device.value) : Json(nullptr)},
                 {"prefill_energy", ToJson(r.prefill_energy)},
                 {"decode_energy", ToJson(r.decode_energy)},
                 {"waste_energy", ToJson(r.waste_energy)},
                 {"token_hash", r.token_hash}};
    out += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  for (const Answer& answer : result.answers) {
    Json tokens = Json::array();
    for (const model::SampledToken& token : answer.tokens) {
      tokens.push_back(token.token);
    }
    Json json = {{"request_id", answer.id}, {"tokens", tokens}};
    if (answer.refusal) {
      json["refused"] = {{"reason", scheduler::RefusalReasonName(answer.refusal->reason)},
                         {"message", answer.refusal->message}};
    }
    // Text from a model may be cut within a code point; the dump replaces what is not UTF-8.
    json["text"] = answer.text;
    out += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return out;
}

}  // namespace scoville::sim
