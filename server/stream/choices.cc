#include "server/stream/choices.h"

#include <algorithm>
#include <utility>

#include "base/stable_hash.h"
#include "base/status_macros.h"

namespace scoville::server {

namespace {

using scheduler::Outcome;
using scheduler::Request;
using scheduler::RequestRecord;

// All but the sink. The binding does not compile once the request has another member.
Request CopyOf(const Request& request) {
  const auto& [external_id, tenant, service_class, bytes, booking, cache_salt, bypass_prefix_cache,
               prompt, sampling, stop_strings, tokenizer, special_tokens_are_text, stop_tokens,
               max_tokens, min_tokens, energy_limit, deadline, ttft_target, itl_target, constraint,
               drafts, sink] = request;
  CHECK(sink == nullptr);
  return Request{external_id, tenant,       service_class,       bytes,
                 booking,     cache_salt,   bypass_prefix_cache, prompt,
                 sampling,    stop_strings, tokenizer,           special_tokens_are_text,
                 stop_tokens, max_tokens,   min_tokens,          energy_limit,
                 deadline,    ttft_target,  itl_target,          constraint,
                 drafts,      nullptr};
}

// Whether `a` says more about why the whole ended than `b`: what went wrong before what was then
// cancelled, and that before a completion.
bool SaysMore(Outcome a, Outcome b) {
  const auto weight = [](Outcome o) {
    return scheduler::IsCompletion(o) ? 0 : o == Outcome::kCancelled ? 1 : 2;
  };
  return weight(a) > weight(b);
}

void Add(const RequestRecord& choice, RequestRecord* all) {
  if (choice.was_scheduled && (!all->was_scheduled || choice.scheduled < all->scheduled)) {
    all->was_scheduled = true;
    all->scheduled = choice.scheduled;
  }
  if (choice.output_tokens > 0) {
    const bool first = all->output_tokens == 0;
    all->first_token = first ? choice.first_token : std::min(all->first_token, choice.first_token);
    all->last_token = first ? choice.last_token : std::max(all->last_token, choice.last_token);
  }
  all->end = std::max(all->end, choice.end);
  all->output_tokens += choice.output_tokens;
  all->recomputed_tokens += choice.recomputed_tokens;
  all->draft_tokens += choice.draft_tokens;
  all->accepted_draft_tokens += choice.accepted_draft_tokens;
  all->preemptions += choice.preemptions;
  all->migrations += choice.migrations;
  all->client_stall = std::max(all->client_stall, choice.client_stall);
  all->emulation_lag = std::max(all->emulation_lag, choice.emulation_lag);
  all->prefill_energy += choice.prefill_energy;
  all->decode_energy += choice.decode_energy;
  all->waste_energy += choice.waste_energy;
  if (SaysMore(choice.outcome, all->outcome)) {
    all->outcome = choice.outcome;
  }
}

}  // namespace

uint64_t ChoiceSeed(uint64_t seed, uint32_t choice) {
  if (choice == 0) {
    return seed;
  }
  StableHasher hasher;
  hasher.Add(seed);
  hasher.Add(static_cast<uint64_t>(choice));
  return hasher.hash().low;
}

std::vector<Request> ChoicesOf(Request request, uint32_t count) {
  CHECK_GT(count, 0u);
  const uint64_t seed = request.sampling.seed;
  std::vector<Request> out;
  out.reserve(count);
  out.push_back(std::move(request));
  for (uint32_t i = 1; i < count; ++i) {
    Request next = CopyOf(out.front());
    next.sampling.seed = ChoiceSeed(seed, i);
    next.sampling.prompt_logprobs = -1;
    next.bypass_prefix_cache = false;  // what the first has just computed
    out.push_back(std::move(next));
  }
  return out;
}

RequestRecord MergeChoices(absl::Span<const RequestRecord> choices) {
  CHECK(!choices.empty());
  RequestRecord all = choices.front();
  for (const RequestRecord& choice : choices.subspan(1)) {
    Add(choice, &all);
  }
  return all;
}

}  // namespace scoville::server
