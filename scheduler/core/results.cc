// What a step has brought, and the ends of requests.
#include <algorithm>
#include <utility>

#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

// Percent of the predicted time of its steps at which a device gets no new work, and gets it again.
constexpr int64_t kPaceOfStraggler = 300;
constexpr int64_t kPaceOfRecovered = 150;

}  // namespace

void Scheduler::Impl::Commit(uint32_t device, device::StepOutcome outcome) {
  DeviceSlot& slot = devices_[device];
  loop_->Cancel(slot.watch);
  slot.steps += 1;
  steps_ += 1;
  observer_->OnStep(outcome.record);
  const int64_t took = (outcome.record.end - outcome.record.start - outcome.record.lag).value();
  const int64_t predicted = std::max<int64_t>(1, outcome.record.duration.value());
  slot.pace_percent = (slot.pace_percent * 7 + took * 100 / predicted) / 8;
  // A straggler finishes what it has.
  slot.cordoned = slot.pace_percent > (slot.cordoned ? kPaceOfRecovered : kPaceOfStraggler);
  for (size_t i = 0; i < slot.members.size(); ++i) {
    CommitRow(slot.members[i], outcome.results[i], outcome.sequence_energy[i], outcome.record);
  }
  slot.members.clear();
  LetGo(slot);
  DropLostPages(slot);
  Book(slot);
  if (slot.running.empty() && fleet_ != nullptr) {
    fleet_->DeviceEmpty(device);
  }
  PlaceWaiting();
  SchedulePlan(slot);
}

void Scheduler::Impl::LetGo(DeviceSlot& slot) {
  if (leaving_ == 0) {
    return;
  }
  const std::vector<LiveRequest*> running = slot.running;
  for (LiveRequest* live : running) {
    if (!live->leaving && !live->moving) {
      continue;
    }
    const bool move = live->moving;
    live->leaving = live->moving = false;
    --leaving_;
    if (move) {
      Move(live, slot);
    } else if (!live->pinned) {
      Preempt(live, slot);
    }
  }
}

void Scheduler::Impl::CommitRow(LiveRequest* live, device::SequenceResult& result,
                                const device::EnergyBuckets& energy,
                                const device::StepRecord& record) {
  RequestRecord& r = live->record;
  live->in_step = false;
  r.prefill_energy += energy.prefill;
  r.decode_energy += energy.decode;
  r.waste_energy += energy.waste;
  r.emulation_lag += record.lag;
  const int64_t drafts = live->drafts;
  live->tokens.resize(static_cast<size_t>(live->known()));
  live->drafts = 0;
  const bool was_prompt = live->prefills();
  CountPrompt(*live, -1);
  live->computed += result.computed;
  CountPrompt(*live, 1);
  r.recomputed_tokens += result.recomputed;
  const int64_t fresh_until = std::min(live->computed, r.prompt_tokens);
  const int64_t fresh = was_prompt ? std::max<int64_t>(0, fresh_until - live->high_water) : 0;
  ServeTokens(live, fresh);
  ServeEnergy(live, energy.prefill + energy.decode,
              fresh + kOutputCost * static_cast<int64_t>(result.tokens.size()));
  live->high_water = std::max(live->high_water, live->computed);
  if (!result.prompt_scores.empty()) {
    live->request.sink->OnPromptScores(live->scored, result.prompt_scores);
    live->scored += static_cast<int64_t>(result.prompt_scores.size());
  }
  if (drafts > 0) {
    r.draft_tokens += drafts;
    r.accepted_draft_tokens += drafts - result.rejected;
    live->lookup.Learn(drafts, drafts - result.rejected);
  }
  if (live->dying) {
    Retire(live, *live->dying);
    return;
  }
  for (const model::SampledToken& token : result.tokens) {
    TakeToken(live, token);
    if (std::optional<Outcome> end = EndOf(live, token.token)) {
      Publish(live);
      Retire(live, *end);
      return;
    }
  }
  Publish(live);
  if (drafts > 0) {
    live->table.Truncate(live->known());
  }
  if (!live->prefills()) {
    ReleaseGroup(live);
  }
  if (!result.tokens.empty()) {
    ForgetMask(live);
    AskForMask(live);
    PauseIfCongested(live);
  }
}

// Blocks that are full now can be shared from now on.
void Scheduler::Impl::Publish(LiveRequest* live) {
  if (!SlotOf(*live).device->kv().prefix_cache()) {
    return;
  }
  const int64_t block = BlockSize();
  const int64_t full = std::min(live->computed, live->known()) / block;
  const int64_t from = live->published;
  const absl::Span<const int32_t> tokens = live->tokens;
  while (live->published < full) {
    const size_t i = static_cast<size_t>(live->published);
    if (live->hashes.size() <= i) {
      const device::BlockHash parent = i == 0 ? PrefixRootOf(live->request) : live->hashes[i - 1];
      live->hashes.push_back(device::NextBlockHash(
          parent, tokens.subspan(i * static_cast<size_t>(block), static_cast<size_t>(block))));
    }
    if (!live->table.Publish(live->published, live->hashes[i])) {
      break;
    }
    ++live->published;
  }
  KeepPromises(live, from, live->published);
}

void Scheduler::Impl::TakeToken(LiveRequest* live, const model::SampledToken& token) {
  RequestRecord& r = live->record;
  const TimePoint now = loop_->Now();
  const TimePoint previous = r.output_tokens == 0 ? r.arrival : r.last_token;
  live->tokens.push_back(token.token);
  r.output_tokens += 1;
  if (r.output_tokens == 1) {
    r.first_token = now;
  }
  r.last_token = now;
  ServeTokens(live, kOutputCost);
  StableHasher hasher;
  hasher.Add(r.token_hash);
  hasher.Add(static_cast<uint64_t>(token.token));
  r.token_hash = hasher.hash().low;
  observer_->OnToken(r, previous, now);
  live->request.sink->OnToken(token, now);
}

std::optional<Outcome> Scheduler::Impl::EndOf(LiveRequest* live, int32_t token) {
  Request& request = live->request;
  const std::vector<int32_t>& stops = request.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    return Outcome::kStop;
  }
  if (request.constraint != nullptr) {
    CHECK(live->constraint->Accept(token));  // the mask left nothing else to draw
  }
  // A stop string ends the generation even below min_tokens: only tokens can be kept from being
  // drawn.
  if (!request.stop_strings.empty() &&
      (request.special_tokens_are_text || !request.tokenizer->IsControl(token)) &&
      request.stop_strings.Append(request.tokenizer->TokenBytes(token))) {
    return Outcome::kStop;
  }
  if (request.constraint != nullptr && live->constraint->MustEnd()) {
    return Outcome::kStop;
  }
  if (live->known() >= live->last_token) {
    return Outcome::kLength;
  }
  const Energy limit = request.energy_limit;
  if (limit > Energy() && live->record.prefill_energy + live->record.decode_energy >= limit) {
    return Outcome::kEnergy;
  }
  return std::nullopt;
}

void Scheduler::Impl::PauseIfCongested(LiveRequest* live) {
  if (live->paused || !live->request.sink->Congested()) {
    return;
  }
  live->paused = true;
  live->paused_since = loop_->Now();
  ++paused_;
  const RequestId id = live->record.id;
  live->slow_reader_timer =
      loop_->RunAt(loop_->Now() + options_.slow_reader_timeout, EventClass::kTimer, id.value,
                   [this, id] { Cancel(id, Outcome::kSlowConsumer); });
}

void Scheduler::Impl::Retire(LiveRequest* live, Outcome outcome) {
  CHECK(!live->in_step);
  const TimePoint now = loop_->Now();
  RequestRecord& r = live->record;
  if (live->running) {
    if (IsCompletion(outcome) && r.preemptions == 0) {
      SlotOf(*live).forecast->Observe(/*overflowed=*/false);
    }
    TakeOff(live, SlotOf(*live));
    leaving_ -= live->leaving || live->moving ? 1 : 0;
  }
  Unfollow(live);
  waiting_for_leaders_ -= live->waits_for_leader ? 1 : 0;
  waiting_.Remove(live->id());
  if (deadlines_.Contains(live->id())) {
    deadlines_.Remove(live->id());
  }
  ReleaseGroup(live);
  DropLoad(live);
  if (live->running && options_.prefix_ttl > Duration() && IsCompletion(outcome)) {
    const absl::Span<const device::BlockHash> kept = live->hashes;
    SlotOf(*live).device->kv().Pin(kept.first(static_cast<size_t>(live->published)), r.tenant,
                                   now + options_.prefix_ttl);
  }
  live->table.Clear();
  if (live->running) {
    Book(SlotOf(*live));
  }
  loop_->Cancel(live->deadline_timer);
  loop_->Cancel(live->slow_reader_timer);
  loop_->Cancel(live->mask_timer);
  if (live->paused) {
    --paused_;
    r.client_stall += now - live->paused_since;
  }
  if (r.output_tokens > 0) {
    lengths_.Record(static_cast<int32_t>(r.service_class), r.output_tokens,
                    /*cut=*/outcome != Outcome::kStop);
  }
  r.outcome = outcome;
  r.end = now;
  ends_.Drained(now, 1);
  observer_->OnRequest(r);
  live->request.sink->OnEnd(r);
  live_.erase(r.id.value);
}

}  // namespace scoville::scheduler
