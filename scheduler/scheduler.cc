#include "scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "scheduler/admission.h"
#include "scheduler/planner.h"
#include "scheduler/scheduler_impl.h"

namespace scoville::scheduler {

Scheduler::Impl::Impl(EventLoop* loop, std::vector<device::Device*> devices,
                      const SchedulerOptions& options, Observer* observer)
    : loop_(loop), observer_(observer), options_(options) {
  CHECK_GT(options.context, 0);
  CHECK_GT(options.vocabulary, 0);
  CHECK_GT(options.max_running, 0);
  CHECK_GT(options.max_step_tokens, 0);
  for (device::Device* device : devices) {
    CHECK_EQ(device->id().value, static_cast<uint32_t>(devices_.size()));
    DeviceSlot slot;
    slot.device = device;
    devices_.push_back(std::move(slot));
  }
  MakeFleet();
}

Scheduler::Impl::~Impl() {
  CHECK(live_.empty());
  loop_->Cancel(place_);
  for (DeviceSlot& slot : devices_) {
    loop_->Cancel(slot.plan);
  }
}

LiveRequest* Scheduler::Impl::Find(RequestId id) const {
  const auto it = live_.find(id.value);
  return it == live_.end() ? nullptr : it->second.get();
}

int64_t Scheduler::Impl::LargestDeviceTokens() const {
  int64_t largest = 0;
  for (const DeviceSlot& slot : devices_) {
    largest = std::max(largest, slot.device->kv().num_blocks() * slot.device->kv().block_size());
  }
  return largest;
}

Duration Scheduler::Impl::RetryAfter() const {
  return std::clamp(end_gap_ * static_cast<int64_t>(waiting_.size() + 1), Milliseconds(100),
                    Seconds(60));
}

SubmitResult Scheduler::Impl::Submit(Request request) {
  const TimePoint now = loop_->Now();
  AdmissionView view;
  view.draining = draining_;
  view.class_closed = closed_classes_[static_cast<size_t>(request.service_class)];
  view.device_ready = !devices_.empty();
  view.queued_requests = static_cast<int64_t>(waiting_.size());
  view.queued_tokens = waiting_tokens_;
  view.largest_device_tokens = LargestDeviceTokens();
  view.retry_after = RetryAfter();
  view.now = now;
  if (std::optional<Refusal> refusal = Admit(request, options_, view)) {
    observer_->OnRefused(*refusal, now);
    return SubmitResult{{}, std::move(refusal)};
  }

  const RequestId id{next_id_++};
  auto owned = std::make_unique<LiveRequest>();
  LiveRequest* live = owned.get();
  live->last_token = LastToken(request, options_, view.largest_device_tokens);
  live->tokens = std::move(request.prompt);
  live->request = std::move(request);
  RequestRecord& record = live->record;
  record.id = id;
  record.external_id = live->request.external_id;
  record.tenant = live->request.tenant;
  record.service_class = live->request.service_class;
  record.prompt_tokens = live->known();
  record.arrival = now;
  record.seed = live->request.sampling.seed;
  if (live->request.deadline != TimePoint::Max()) {
    live->deadline_timer = loop_->RunAt(live->request.deadline, EventClass::kTimer, id.value,
                                        [this, id] { Cancel(id, Outcome::kDeadlineExceeded); });
  }
  const bool was_idle = live_.empty();
  live_.emplace(id.value, std::move(owned));
  waiting_.emplace(live->rank(), live);
  waiting_tokens_ += live->known();
  observer_->OnAdmitted(record);
  PlaceWaiting();
  if (was_idle) {
    fleet_->DemandMoved();
  }
  return SubmitResult{id, std::nullopt};
}

void Scheduler::Impl::Cancel(RequestId id, Outcome outcome) {
  LiveRequest* live = Find(id);
  if (live == nullptr || live->dying) {
    return;
  }
  if (live->in_step) {
    // The device may still write its blocks: they are freed when the step ends.
    live->dying = outcome;
    return;
  }
  Retire(live, outcome);
  PlaceWaiting();
}

void Scheduler::Impl::ReaderCaughtUp(RequestId id) {
  LiveRequest* live = Find(id);
  if (live == nullptr || !live->paused) {
    return;
  }
  live->paused = false;
  --paused_;
  live->record.client_stall += loop_->Now() - live->paused_since;
  loop_->Cancel(live->slow_reader_timer);
  if (live->running) {
    SchedulePlan(devices_[live->record.device.value]);
  }
}

void Scheduler::Impl::EndAll(Outcome outcome) {
  std::vector<RequestId> ids;
  for (const auto& [id, live] : live_) {
    ids.push_back(live->record.id);
  }
  for (RequestId id : ids) {
    Cancel(id, outcome);
  }
}

void Scheduler::Impl::SchedulePlan(DeviceSlot& slot) {
  if (slot.device->busy() || slot.plan) {
    return;
  }
  const uint32_t index = slot.device->id().value;
  slot.plan = loop_->RunAt(loop_->Now(), EventClass::kPlan, index, [this, index] { Plan(index); });
}

void Scheduler::Impl::Plan(uint32_t device) {
  DeviceSlot& slot = devices_[device];
  slot.plan = TimerId{};
  slot.delay = device::DelayCause::kNone;
  const device::BlockPool& kv = slot.device->kv();
  PlanLimits limits{options_.max_step_tokens, kv.free_blocks(), kv.block_size()};
  const auto turn =
      std::lower_bound(slot.running.begin(), slot.running.end(), slot.next_decode,
                       [](const LiveRequest* live, uint64_t rank) { return live->rank() < rank; });
  if (prefill_limited_) {
    limits.max_prompt_tokens = std::max<int64_t>(options_.max_step_tokens / 4, kv.block_size());
  }
  limits.first_decode =
      turn == slot.running.end() ? 0 : static_cast<int32_t>(turn - slot.running.begin());
  FittedStep step = FitStep(slot.device, slot.running, limits, options_, loop_->Now());
  if (!step.plan.rows.empty() && step.offer.kind == device::StepOffer::Kind::kWait) {
    // Planned anew when the device may begin: what arrives until then joins.
    slot.delay = step.offer.cause;
    slot.plan = loop_->RunAt(loop_->Now() + step.offer.wait, EventClass::kPlan, device,
                             [this, device] { Plan(device); });
    return;
  }
  const int32_t next = step.plan.next_decode;
  slot.next_decode = next > 0 ? slot.running[static_cast<size_t>(next)]->rank() : 0;
  CommitPlan(slot, step);
}

void Scheduler::Impl::CommitPlan(DeviceSlot& slot, const FittedStep& step) {
  // Preemptions first, since the planned rows grow into what they free.
  std::vector<LiveRequest*> planned;
  for (const PlannedRow& row : step.plan.rows) {
    planned.push_back(slot.running[row.row]);
  }
  std::vector<LiveRequest*> victims;
  for (int32_t row : step.plan.preempted) {
    victims.push_back(slot.running[row]);
  }
  for (LiveRequest* victim : victims) {
    Preempt(victim, slot);
  }
  if (!victims.empty()) {
    // Another device may have room; its plan cannot be made within this instant's planning.
    PlaceSoon();
  }
  if (planned.empty()) {
    return;
  }
  std::vector<device::SequenceStep> work;
  std::vector<RequestId> members;
  for (size_t i = 0; i < planned.size(); ++i) {
    LiveRequest* live = planned[i];
    const int64_t count = step.plan.rows[i].count;
    CHECK(live->table.Grow(live->computed + count));
    if (!live->record.was_scheduled) {
      live->record.was_scheduled = true;
      live->record.scheduled = loop_->Now();
    }
    live->in_step = true;
    work.push_back(live->StepOf(count));
    members.push_back(live->record.id);
  }
  const uint32_t device = slot.device->id().value;
  slot.device->BeginStep(
      std::move(work), step.offer,
      [this, device, members = std::move(members)](device::StepOutcome outcome) mutable {
        Commit(device, std::move(members), std::move(outcome));
      });
}

void Scheduler::Impl::Preempt(LiveRequest* live, DeviceSlot& slot) {
  slot.running.erase(std::find(slot.running.begin(), slot.running.end(), live));
  live->table.Clear();
  live->running = false;
  live->computed = 0;
  live->record.preemptions += 1;
  ++preemptions_;
  waiting_.emplace(live->rank(), live);
  waiting_tokens_ += live->known();
  observer_->OnPreempted(live->record, loop_->Now());
}

void Scheduler::Impl::Commit(uint32_t device, std::vector<RequestId> members,
                             device::StepOutcome outcome) {
  observer_->OnStep(outcome.record);
  for (size_t i = 0; i < members.size(); ++i) {
    LiveRequest* live = Find(members[i]);
    CHECK(live != nullptr);
    CommitRow(live, outcome.results[i], outcome.sequence_energy[i], outcome.record);
    live = Find(members[i]);
    if (live != nullptr && live->evicted) {
      live->evicted = false;
      Preempt(live, devices_[device]);
    }
  }
  if (devices_[device].running.empty()) {
    fleet_->DeviceEmpty(device);
  }
  PlaceWaiting();
  SchedulePlan(devices_[device]);
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
  live->computed += result.computed;
  r.recomputed_tokens += result.recomputed;
  live->high_water = std::max(live->high_water, live->computed);
  if (!result.prompt_scores.empty()) {
    live->request.sink->OnPromptScores(live->scored, result.prompt_scores);
    live->scored += static_cast<int64_t>(result.prompt_scores.size());
  }
  if (live->dying) {
    Retire(live, *live->dying);
    return;
  }
  if (result.sampled) {
    TakeToken(live, result.token);
    if (std::optional<Outcome> end = EndOf(live, result.token.token)) {
      Retire(live, *end);
      return;
    }
    PauseIfCongested(live);
  }
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
  // A stop string ends the generation even below min_tokens: only tokens can be kept from being
  // drawn.
  if (!request.stop_strings.empty() &&
      (request.special_tokens_are_text || !request.tokenizer->IsControl(token)) &&
      request.stop_strings.Append(request.tokenizer->TokenBytes(token))) {
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
    DeviceSlot& slot = devices_[r.device.value];
    slot.running.erase(std::find(slot.running.begin(), slot.running.end(), live));
  } else {
    CHECK_EQ(waiting_.erase(live->rank()), size_t{1});
    waiting_tokens_ -= live->known();
  }
  live->table.Clear();
  loop_->Cancel(live->deadline_timer);
  loop_->Cancel(live->slow_reader_timer);
  if (live->paused) {
    --paused_;
    r.client_stall += now - live->paused_since;
  }
  r.outcome = outcome;
  r.end = now;
  // Smoothed over about eight ends; integers, so that two runs agree.
  const Duration gap = std::min(now - last_end_, Seconds(10));
  end_gap_ = (end_gap_ * 7 + gap) / 8;
  last_end_ = now;
  observer_->OnRequest(r);
  live->request.sink->OnEnd(r);
  live_.erase(r.id.value);
}

Scheduler::Scheduler(EventLoop* loop, std::vector<device::Device*> devices,
                     const SchedulerOptions& options, Observer* observer)
    : impl_(std::make_unique<Impl>(loop, std::move(devices), options, observer)) {}
Scheduler::~Scheduler() = default;

SubmitResult Scheduler::Submit(Request request) { return impl_->Submit(std::move(request)); }
void Scheduler::Cancel(RequestId id, Outcome outcome) { impl_->Cancel(id, outcome); }
void Scheduler::ReaderCaughtUp(RequestId id) { impl_->ReaderCaughtUp(id); }
void Scheduler::StartDrain() { impl_->StartDrain(); }
void Scheduler::EndAll(Outcome outcome) { impl_->EndAll(outcome); }
bool Scheduler::idle() const { return impl_->idle(); }
PoolStatus Scheduler::Status() const { return impl_->Status(); }
std::vector<RequestStatus> Scheduler::Requests(int64_t limit) const {
  return impl_->Requests(limit);
}
std::optional<RequestStatus> Scheduler::Explain(RequestId id) const { return impl_->Explain(id); }
std::optional<RequestStatus> Scheduler::Explain(absl::string_view external_id) const {
  return impl_->Explain(external_id);
}
const SchedulerOptions& Scheduler::options() const { return impl_->options(); }
FleetPower& Scheduler::fleet() { return impl_->fleet(); }

}  // namespace scoville::scheduler
