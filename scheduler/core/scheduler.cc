// Requests in and out: admission, cancelling, draining, and the calls of the public class.
#include "scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "scheduler/core/scheduler_impl.h"

namespace scoville::scheduler {

namespace {

QueueOptions QueueOptionsOf(const SchedulerOptions& options) {
  QueueOptions out;
  out.policy = options.queue;
  out.fairness = options.fairness;
  out.class_ageing = options.class_ageing;
  out.late_share = options.late_share;
  return out;
}

RouterOptions RouterOptionsOf(const SchedulerOptions& options) {
  RouterOptions out;
  out.policy = options.routing;
  out.lambda_ns_per_joule = options.nanoseconds_per_joule;
  return out;
}

}  // namespace

Scheduler::Impl::Impl(EventLoop* loop, const std::vector<device::Device*>& devices,
                      const SchedulerOptions& options, Observer* observer, MaskMaker* masks)
    : loop_(loop),
      observer_(observer),
      mask_maker_(masks),
      options_(options),
      limits_time_(LimitsTime(options)),
      waiting_(QueueOptionsOf(options)),
      router_(static_cast<int32_t>(std::max<size_t>(1, devices.size())), RouterOptionsOf(options)),
      lengths_(OutputLengthsOptions{static_cast<int32_t>(kServiceClasses)}) {
  CHECK_GT(options.context, 0);
  CHECK_GT(options.vocabulary, 0);
  CHECK_GT(options.max_running, 0);
  CHECK_GT(options.max_step_tokens, 0);
  for (device::Device* device : devices) {
    device->kv().ListenTo(nullptr);
    Book(MakeSlot(device));
  }
  FeedDirectory();
  NoteCapacity();
  MakeFleet();
}

Scheduler::Impl::~Impl() {
  CHECK(live_.empty());
  loop_->Cancel(place_);
  for (DeviceSlot& slot : devices_) {
    loop_->Cancel(slot.plan);
    loop_->Cancel(slot.watch);
    loop_->Cancel(slot.removal);
    slot.device->kv().ListenTo(nullptr);
  }
}

LiveRequest* Scheduler::Impl::Find(RequestId id) const {
  const auto it = live_.find(id.value);
  return it == live_.end() ? nullptr : it->second.get();
}

int64_t Scheduler::Impl::LargestTokens(const DeviceSlot& slot) {
  const device::BlockPool& kv = slot.device->kv();
  return slot.lost || slot.removing ? 0 : kv.num_blocks() * kv.block_size();
}

int64_t Scheduler::Impl::LargestDeviceTokens() const {
  if (largest_tokens_ < 0) {
    for (const DeviceSlot& slot : devices_) {
      largest_tokens_ = std::max(largest_tokens_, LargestTokens(slot));
    }
    largest_tokens_ = std::max<int64_t>(0, largest_tokens_);
  }
  return largest_tokens_;
}

// The least time in which one device computes so many prompt tokens.
Duration Scheduler::Impl::PrefillTime(int64_t tokens) const {
  const device::Device& device = *devices_.front().device;
  const int64_t chunk = std::min(tokens, options_.max_step_tokens);
  device::StepShape shape;
  shape.Add(device::SequenceWork{device::StepRole::kPrefill, 0, chunk, 1, 0}, device.rules());
  const Duration full = device.power().SustainedStep(shape);
  return full * (tokens / chunk) + full * (tokens % chunk) / chunk;
}

// Of its prompt as if nothing of it were cached, and of the output that is expected of it, at its
// share of steps that are as full as the device may get.
Duration Scheduler::Impl::WorkOf(const Request& request) const {
  const device::Device& device = *devices_.front().device;
  const int64_t prompt = std::max<int64_t>(1, static_cast<int64_t>(request.prompt.size()));
  const int64_t most = LastToken(request, options_, LargestDeviceTokens()) - prompt;
  const int64_t output =
      std::max<int64_t>(1, lengths_.Expected(static_cast<int32_t>(request.service_class), 0, most));
  const device::BlockPool& kv = device.kv();
  const int64_t beside =
      std::clamp<int64_t>(kv.num_blocks() / std::max<int64_t>(1, kv.BlocksFor(prompt + output)), 1,
                          options_.max_running);
  device::StepShape shape;
  for (int64_t i = 0; i < beside; ++i) {
    shape.Add(device::SequenceWork{device::StepRole::kDecode, prompt, 1, 1, 0}, device.rules());
  }
  return PrefillTime(prompt) + device.power().SustainedStep(shape) * output / beside;
}

// Of the prompts on devices, in one device's time.
Duration Scheduler::Impl::PrefillBacklog() const {
  return prefilling_tokens_ > 0 ? PrefillTime(prefilling_tokens_) : Duration();
}

AdmissionView Scheduler::Impl::ViewForAdmission(const Request& request) const {
  AdmissionView view;
  view.draining = draining_;
  view.class_closed = closed_classes_[static_cast<size_t>(request.service_class)];
  view.device_ready = std::any_of(devices_.begin(), devices_.end(),
                                  [](const DeviceSlot& slot) { return slot.stays(); });
  view.queued = waiting_.load();
  view.queued_of_class = waiting_.load(request.service_class);
  view.queued_of_tenant = waiting_.TenantLoad(request.tenant);
  if (limits_time_ && !devices_.empty()) {
    view.devices = std::max<int64_t>(
        1, std::count_if(devices_.begin(), devices_.end(),
                         [](const DeviceSlot& slot) { return slot.takes_work(); }));
    view.work = WorkOf(request);
  }
  view.largest_device_tokens = LargestDeviceTokens();
  view.ends = &ends_;
  view.id = next_id_;
  view.now = loop_->Now();
  return view;
}

SubmitResult Scheduler::Impl::Submit(Request request) {
  std::vector<Request> one;
  one.push_back(std::move(request));
  SubmitChoicesResult result = SubmitChoices(std::move(one));
  if (result.refusal) {
    return SubmitResult{{}, std::move(result.refusal)};
  }
  return SubmitResult{result.ids.front(), std::nullopt};
}

SubmitChoicesResult Scheduler::Impl::SubmitChoices(std::vector<Request> choices) {
  CHECK(!choices.empty());
  AdmissionView view = ViewForAdmission(choices.front());
  std::optional<Refusal> refusal;
  for (const Request& request : choices) {
    refusal = Admit(request, options_, view);
    if (refusal) {
      break;
    }
    for (QueueLoad* load : {&view.queued, &view.queued_of_class, &view.queued_of_tenant}) {
      *load += LoadOf(request, view);
    }
  }
  if (!refusal && options_.refuse_hopeless) {
    refusal = RefuseHopeless(choices.front());
  }
  if (refusal) {
    observer_->OnRefused(*refusal, loop_->Now());
    return {{}, std::move(refusal)};
  }
  const bool was_idle = live_.empty();
  if (was_idle) {
    ends_.Idle(loop_->Now());
  }
  SubmitChoicesResult result;
  std::shared_ptr<ChoiceGroup> group;
  if (choices.size() > 1) {
    group = std::make_shared<ChoiceGroup>();
  }
  for (size_t i = 0; i < choices.size(); ++i) {
    LiveRequest* live = Accept(std::move(choices[i]));
    live->work = view.work;
    live->record.choice = static_cast<int32_t>(i);
    live->group = group;
    live->leads = group != nullptr && i == 0;
    result.ids.push_back(live->record.id);
    if (group != nullptr && i > 0) {
      live->waits_for_leader = true;
      ++waiting_for_leaders_;
      group->waiting.push_back(live->record.id);
    }
    Enqueue(live);
  }
  PlaceWaiting();
  if (was_idle && fleet_ != nullptr) {
    fleet_->DemandMoved();
  }
  return result;
}

std::optional<Refusal> Scheduler::Impl::RefuseHopeless(const Request& request) const {
  if (request.deadline == TimePoint::Max()) {
    return std::nullopt;
  }
  const TimePoint now = loop_->Now();
  // What is cached need not be computed, and what others are about to compute is in the backlog.
  const int64_t block = BlockSize();
  const std::vector<device::BlockHash> hashes =
      device::HashBlocks(PrefixRootOf(request), request.prompt, block);
  int64_t hit = 0;
  for (const DeviceSlot& slot : devices_) {
    if (slot.stays() && !request.bypass_prefix_cache && slot.device->kv().prefix_cache()) {
      const int64_t cached = slot.device->kv().LookupPrefix(hashes);
      hit = std::max({hit, cached, promises_.Reach(IndexOf(slot), hashes, cached)});
    }
  }
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const Duration work = PrefillTime(std::max<int64_t>(1, prompt - hit * block));
  const Duration backlog = PrefillBacklog();
  if (deadlines_.Feasible(now, request.deadline, work, backlog)) {
    return std::nullopt;
  }
  const bool alone = now + work <= request.deadline;
  Refusal refusal;
  refusal.reason = RefusalReason::kHopeless;
  refusal.message = absl::StrFormat(
      "the prompt needs %.3f ms of a device%s, the deadline leaves %.3f ms", ToSeconds(work) * 1e3,
      alone ? " behind earlier deadlines" : "", ToSeconds(request.deadline - now) * 1e3);
  refusal.needed = work.value();
  refusal.limit = (request.deadline - now).value();
  if (alone) {
    refusal.retry_after = RetryAfterSpread(
        std::max(deadlines_.Deficit(now, request.deadline, work, backlog), Milliseconds(1)),
        next_id_);
  }
  return refusal;
}

LiveRequest* Scheduler::Impl::Accept(Request request) {
  const TimePoint now = loop_->Now();
  const RequestId id{next_id_++};
  auto owned = std::make_unique<LiveRequest>();
  LiveRequest* live = owned.get();
  live->last_token = LastToken(request, options_, LargestDeviceTokens());
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
  if (live->request.constraint != nullptr) {
    live->constraint.emplace(model::ConstraintState::Start(live->request.constraint));
  }
  live->pinned =
      options_.guaranteed[static_cast<size_t>(record.service_class)] || options_.overflow_risk <= 0;
  HashPrompt(live);
  if (live->request.deadline != TimePoint::Max()) {
    live->deadline_timer = loop_->RunAt(live->request.deadline, EventClass::kTimer, id.value,
                                        [this, id] { Cancel(id, Outcome::kDeadlineExceeded); });
  }
  live_.emplace_hint(live_.end(), id.value, std::move(owned));  // ids only rise
  observer_->OnAdmitted(record);
  return live;
}

void Scheduler::Impl::CountPrompt(const LiveRequest& live, int64_t sign) {
  if (live.running && live.prefills()) {
    prefilling_tokens_ += sign * PromptLeft(live);
    SlotOf(live).prefill_left[live.key.service_class] += sign * live.remaining();
  }
}

int64_t Scheduler::Impl::ExpectedOutput(const LiveRequest& live) const {
  return std::max<int64_t>(
      1, lengths_.Expected(static_cast<int32_t>(live.record.service_class),
                           live.record.output_tokens, live.last_token - live.record.prompt_tokens));
}

void Scheduler::Impl::Enqueue(LiveRequest* live) {
  const RequestRecord& record = live->record;
  QueueEntry entry;
  entry.id = live->id();
  entry.service_class = record.service_class;
  entry.tenant = record.tenant;
  entry.cost = record.prompt_tokens + kOutputCost * ExpectedOutput(*live);
  if (options_.fairness_unit == CostUnit::kEnergy) {
    entry.cost *= microjoules_per_token_;
  }
  TimePoint due = FirstTokenDue(*live, options_.ttft_target);
  if (due == TimePoint::Max()) {
    due = record.arrival + options_.implied_deadline;
  } else {
    // Or sooner, where no device is predicted to be in time (Route): what is cached counts there.
    entry.late_at = due;
  }
  entry.due = std::min(live->request.deadline, due);
  entry.arrival = record.arrival;
  entry.tokens = live->known();
  entry.bytes = live->request.bytes;
  entry.time = live->work;
  entry.held = live->waits_for_leader;
  waiting_.Push(entry);
  if (!live->waits_for_leader) {
    BookDeadline(live);
  }
}

void Scheduler::Impl::BookDeadline(LiveRequest* live) {
  if (live->request.deadline != TimePoint::Max()) {
    deadlines_.Add(live->id(), live->request.deadline, PrefillTime(live->remaining()));
  }
}

void Scheduler::Impl::ServeTokens(LiveRequest* live, int64_t cost) {
  if (options_.fairness_unit == CostUnit::kTokens && cost > 0) {
    waiting_.Serve(live->id(), cost);
  }
}

void Scheduler::Impl::ServeEnergy(LiveRequest* live, Energy energy, int64_t tokens) {
  if (options_.fairness_unit != CostUnit::kEnergy) {
    return;
  }
  waiting_.Serve(live->id(), energy.microjoules());
  if (tokens > 0) {
    microjoules_per_token_ =
        std::max<int64_t>(1, (microjoules_per_token_ * 15 + energy.microjoules() / tokens) / 16);
  }
}

// The choices that waited for this one's prompt go on by themselves.
void Scheduler::Impl::ReleaseGroup(LiveRequest* live) {
  if (!live->leads || live->group->released) {
    return;
  }
  live->group->released = true;
  for (const RequestId id : live->group->waiting) {
    LiveRequest* follower = Find(id);
    if (follower != nullptr && follower->waits_for_leader) {
      follower->waits_for_leader = false;
      --waiting_for_leaders_;
      waiting_.Release(follower->id());
      BookDeadline(follower);
    }
  }
  live->group->waiting.clear();
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
  DeviceSlot* const slot = live->running ? &SlotOf(*live) : nullptr;
  Retire(live, outcome);
  PlaceWaiting();
  if (slot != nullptr && !slot->plan) {
    PlanAgain(*slot);  // on an idle device others may have waited for its blocks
  }
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
    SchedulePlan(SlotOf(*live));
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

Scheduler::Scheduler(EventLoop* loop, const std::vector<device::Device*>& devices,
                     const SchedulerOptions& options, Observer* observer, MaskMaker* masks)
    : impl_(std::make_unique<Impl>(loop, devices, options, observer, masks)) {}
Scheduler::~Scheduler() = default;

SubmitResult Scheduler::Submit(Request request) { return impl_->Submit(std::move(request)); }
SubmitChoicesResult Scheduler::SubmitChoices(std::vector<Request> choices) {
  return impl_->SubmitChoices(std::move(choices));
}
void Scheduler::Cancel(RequestId id, Outcome outcome) { impl_->Cancel(id, outcome); }
void Scheduler::ReaderCaughtUp(RequestId id) { impl_->ReaderCaughtUp(id); }
void Scheduler::StartDrain() { impl_->StartDrain(); }
void Scheduler::EndAll(Outcome outcome) { impl_->EndAll(outcome); }
absl::Status Scheduler::DrainDevice(DeviceId device, bool migrate) {
  return impl_->DrainDevice(device, migrate);
}
absl::Status Scheduler::ReturnDevice(DeviceId device) { return impl_->ReturnDevice(device); }
absl::Status Scheduler::FenceDevice(DeviceId device) { return impl_->FenceDevice(device); }
absl::Status Scheduler::LosePages(DeviceId device, absl::Span<const uint32_t> pages) {
  return impl_->LosePages(device, pages);
}
absl::Status Scheduler::AddDevices(absl::Span<device::Device* const> devices,
                                   absl::string_view budget_node) {
  return impl_->AddDevices(devices, budget_node);
}
absl::Status Scheduler::RemoveDevices(absl::Span<const DeviceId> devices,
                                      const std::function<void(DeviceId)>& gone) {
  return impl_->RemoveDevices(devices, gone);
}
bool Scheduler::idle() const { return impl_->idle(); }
void Scheduler::CheckInvariants() const { impl_->CheckInvariants(); }
Liveness Scheduler::CheckLiveness() const { return impl_->CheckLiveness(); }
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
