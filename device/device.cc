#include "device/device.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "device/device_impl.h"
#include "device/physics/energy_attribution.h"
#include "device/physics/model_timing.h"
#include "device/physics/power_model.h"

namespace scoville::device {

SequenceWork WorkOf(const SequenceStep& step) {
  SequenceWork work;
  work.role = step.decodes() ? StepRole::kDecode : StepRole::kPrefill;
  work.cached = step.cached;
  work.new_tokens = step.count;
  work.output_rows = step.samples() ? 1 + step.drafts : 0;
  work.recomputed = step.recomputed;
  return work;
}

int64_t Device::Impl::BlockBytes(const StepPricer& pricer) {
  const double tokens = static_cast<double>(pricer.model().rules.block_tokens);
  return static_cast<int64_t>(std::ceil(pricer.model().kv_row_bytes_stored * tokens));
}

std::unique_ptr<HostTier> Device::Impl::MakeHostTier(const StepPricer& pricer,
                                                     const DeviceOptions& options) {
  if (options.host_tier.blocks == 0 || !options.kv.prefix_cache) {
    return nullptr;
  }
  HostTierOptions tier;
  tier.capacity_blocks = options.host_tier.blocks;
  tier.bytes_per_block = Bytes(BlockBytes(pricer));
  tier.bytes_per_second = options.host_tier.bytes_per_second;
  tier.picojoules_per_byte = options.host_tier.picojoules_per_byte;
  return std::make_unique<HostTier>(tier);
}

KvCacheOptions Device::Impl::KvOptions(const DeviceOptions& options, HostTier* host_tier) {
  KvCacheOptions kv = options.kv;
  kv.evictions = host_tier;
  return kv;
}

void Device::Impl::SettleIdle() {
  device_now_ += loop_->Now() - idle_since_;
  idle_since_ = loop_->Now();
  const Energy before = power_->idle().energy();
  power_->IdleUntil(device_now_);
  const Energy energy = power_->idle().energy() - before;
  energy_.idle += energy;
  terms_.static_ += energy;
  CHECK_EQ(power_->total_energy(device_now_), energy_.total() + unreported_);
}

StepOffer Device::Impl::Offer(const StepShape& shape, Duration latency_limit) {
  CHECK(!busy_);
  CHECK(!fenced_);
  SettleIdle();
  return power_->Offer(device_now_, shape, latency_limit);
}

void Device::Impl::BeginStep(std::vector<SequenceStep> work, const StepOffer& offer,
                             StepDone done) {
  CHECK(!busy_);
  CHECK(!work.empty());
  CHECK_EQ(idle_since_, loop_->Now());  // the offer is of this instant
  busy_ = true;
  steps_in_flight_ = std::move(work);
  done_ = std::move(done);
  work_.clear();
  for (const SequenceStep& step : steps_in_flight_) {
    work_.push_back(WorkOf(step));
  }
  offer_ = offer;
  start_ = loop_->Now();
  device_time_over_ = false;
  results_.reset();
  power_->BeginStep(device_now_, offer_);
  planned_ = offer_.price.duration * slowdown_percent_ / 100;
  if (dead_) {
    Void(Duration());
  } else {
    end_timer_ = loop_->RunAt(start_ + planned_, EventClass::kStepEnd, options_.id.value,
                              [this] { OnDeviceTimeOver(); });
  }
  executor_->Execute(steps_in_flight_, [this](std::vector<SequenceResult> results) {
    OnHostResult(std::move(results));
  });
}

void Device::Impl::Park() {
  CHECK(!busy_);
  SettleIdle();
  power_->Park(device_now_);
}

void Device::Impl::Wake() {
  if (!busy_) {
    SettleIdle();
    power_->Wake(device_now_);
  }
}

absl::StatusOr<CapChange> Device::Impl::SetCap(Power cap, TimePoint at) {
  const TimePoint now = loop_->Now();
  if (!drawing_step()) {
    SettleIdle();
  }
  // Device time stands still while the host computes; what is planned ahead moves with it.
  const TimePoint device_now =
      drawing_step() ? std::min(device_now_ + (now - start_), device_now_ + offer_.price.duration)
                     : device_now_;
  ASSIGN_OR_RETURN(CapChange change, power_->SetCap(device_now, cap, device_now + (at - now)));
  change.effective_at = now + (change.effective_at - device_now);
  return change;
}

void Device::Impl::OnDeviceTimeOver() {
  end_timer_ = TimerId{};
  if (hung_) {
    Void(offer_.price.duration);
    return;
  }
  device_time_over_ = true;
  if (results_) {
    Finish();
  }
}

void Device::Impl::OnHostResult(std::vector<SequenceResult> results) {
  results_ = std::move(results);
  if (let_go_) {
    LetGoOfStep();
  } else if (device_time_over_) {
    Finish();
  }
}

TimePoint Device::Impl::ParksAt() const {
  if (busy_) {
    return TimePoint::Max();
  }
  const TimePoint at = power_->parks_at();
  // Device time and the loop's clock run alike while it idles.
  return at == TimePoint::Max() ? at : idle_since_ + (at - device_now_);
}

StepRecord Device::Impl::RecordOf(int64_t lag_ns) const {
  StepRecord r;
  r.device = options_.id;
  r.step = steps_;
  r.start = start_;
  r.end = loop_->Now();
  r.duration = offer_.price.duration;
  r.lag = Duration(lag_ns);
  r.sequences = static_cast<int32_t>(steps_in_flight_.size());
  r.pstate = offer_.clock.state;
  r.clock_hertz = static_cast<int64_t>(
      std::llround(pricer_->profile().pstates[static_cast<size_t>(r.pstate)].hertz));
  r.throttled = offer_.why.constrained || offer_.cause != DelayCause::kNone;
  r.why = offer_.why;
  r.stalls = offer_.price.stalls;
  r.model_flops = offer_.price.flops_model;
  r.hbm_bytes = static_cast<double>(offer_.price.hbm_bytes.value());
  StableHasher plan;
  StableHasher tokens;
  for (size_t i = 0; i < steps_in_flight_.size(); ++i) {
    const SequenceStep& step = steps_in_flight_[i];
    plan.Add(step.request.value);
    plan.Add(static_cast<uint64_t>(step.cached));
    plan.Add(static_cast<uint64_t>(step.count));
    r.recomputed_tokens += step.recomputed;
    r.draft_tokens += step.drafts;
    if (step.decodes()) {
      r.decode_tokens += 1;
    } else {
      r.prefill_tokens += step.count - step.recomputed;
    }
    if (!results_) {
      continue;  // lost
    }
    r.accepted_draft_tokens += step.drafts - (*results_)[i].rejected;
    for (const model::SampledToken& token : (*results_)[i].tokens) {
      r.output_tokens += 1;
      tokens.Add(static_cast<uint64_t>(token.token));
    }
  }
  r.plan_hash = plan.hash().low;
  r.token_hash = tokens.hash().low;
  return r;
}

void Device::Impl::Account(StepOutcome& outcome) {
  const StepPrice& price = offer_.price;
  const int state = offer_.clock.state;
  device_now_ += price.duration;
  const Energy total = power_->EndStep(device_now_);
  std::vector<SequenceEnergy> shares(work_.size());
  AttributeStep(power_->model(), pricer_->model(), price, state, offer_.leakage, work_,
                absl::MakeSpan(shares));
  outcome.sequence_energy.reserve(shares.size());
  for (const SequenceEnergy& share : shares) {
    EnergyBuckets e;
    e.prefill = share.prefill;
    e.decode = share.decode;
    e.waste = share.waste;
    outcome.sequence_energy.push_back(e);
    outcome.record.energy += e;
  }
  CHECK_EQ(outcome.record.energy.total(), total);
  outcome.record.terms = SplitStepTerms(power_->model(), price, state, offer_.leakage);
  CHECK_EQ(outcome.record.terms.total(), total);
  outcome.record.power = MeanPower(total, price.duration);
  outcome.record.phases[0] = offer_.phases[0];
  outcome.record.phases[1] = offer_.phases[1];
  energy_ += outcome.record.energy;
  terms_ += outcome.record.terms;
  stalls_ += price.stalls;
  CHECK_EQ(power_->total_energy(device_now_), energy_.total());
  CHECK_EQ(terms_.total(), energy_.total());
}

void Device::Impl::Finish() {
  const TimePoint now = loop_->Now();
  ++steps_;
  const Duration lag = now - start_ - planned_;
  for (size_t i = 0; i < steps_in_flight_.size(); ++i) {
    SequenceResult& result = (*results_)[i];
    const SequenceStep& step = steps_in_flight_[i];
    result.recomputed = step.recomputed;
    const int64_t agreed = std::max<int64_t>(0, static_cast<int64_t>(result.tokens.size()) - 1);
    result.rejected = step.samples() ? step.drafts - agreed : 0;
    result.computed = step.count - result.rejected;
    work_[i].recomputed += result.rejected;  // computed in vain
  }
  StepOutcome outcome;
  outcome.record = RecordOf(lag.value());
  Account(outcome);
  outcome.results = std::move(*results_);
  busy_time_ += offer_.price.duration;
  lag_ += lag;
  // A slowed step's excess is idle time at the step's end; emulation lag is no device time.
  idle_since_ = now - (planned_ - offer_.price.duration);
  busy_ = false;
  SettleIdle();
  StepDone done = std::move(done_);
  done(std::move(outcome));
}

DeviceStatus Device::Impl::Status() {
  if (!drawing_step()) {
    SettleIdle();
  }
  DeviceStatus s;
  s.id = options_.id;
  s.state = fenced_             ? DeviceState::kLost
            : power_->tripped() ? DeviceState::kFaulted
                                : DeviceState::kReady;
  s.busy = busy_;
  s.parked = power_->parked();
  s.cap = power_->cap();
  s.min_cap = power_->min_cap();
  s.power = drawing_step() ? MeanPower(TotalEnergy(offer_.phases), offer_.price.duration)
                           : power_->power_now();
  const size_t state = static_cast<size_t>(drawing_step() ? offer_.clock.state : 0);
  s.clock_hertz = static_cast<int64_t>(std::llround(pricer_->profile().pstates[state].hertz));
  s.temperature_celsius = power_->junction_celsius(device_now_);
  s.explanation = power_->last_sentence();
  s.energy = energy_;
  s.terms = terms_;
  s.idle = power_->idle();
  s.stalls = stalls_;
  s.busy_time = busy_time_;
  s.idle_time = power_->idle().duration();
  s.lag = lag_;
  s.steps = steps_;
  s.kv_blocks_total = kv_.num_blocks();
  s.kv_blocks_used = kv_.used_blocks();
  s.kv_blocks_cached = kv_.cached_blocks();
  s.kv_blocks_pinned = kv_.pinned_blocks();
  s.kv_blocks_bad = kv_.bad_blocks();
  s.kv_blocks_evicted = kv_.evicted_blocks();
  if (host_tier_ != nullptr) {
    s.host_blocks_total = host_tier_->capacity_blocks();
    s.host_blocks_held = host_tier_->held_blocks();
  }
  return s;
}

Device::Device(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Device::~Device() = default;

absl::StatusOr<std::unique_ptr<Device>> Device::Create(EventLoop* loop, StepPricer* pricer,
                                                       const DeviceOptions& options,
                                                       std::unique_ptr<Executor> executor) {
  const MemoryPlan plan = PlanMemory(pricer->profile(), pricer->model());
  if (plan.kv_blocks < 1 || options.kv_blocks > plan.kv_blocks) {
    return absl::InvalidArgumentError(absl::StrFormat("does not fit: %s; %d are asked for",
                                                      DescribeMemory(plan, pricer->model()),
                                                      std::max<int64_t>(options.kv_blocks, 1)));
  }
  const int64_t kv_blocks = options.kv_blocks > 0 ? options.kv_blocks : plan.kv_blocks;
  ASSIGN_OR_RETURN(std::unique_ptr<DevicePower> power, DevicePower::Create(pricer, options.power));
  return std::unique_ptr<Device>(new Device(std::make_unique<Impl>(
      loop, pricer, options, kv_blocks, std::move(power), std::move(executor))));
}

DeviceId Device::id() const { return impl_->options_.id; }
const Profile& Device::profile() const { return impl_->pricer_->profile(); }
int32_t Device::chips() const { return static_cast<int32_t>(impl_->pricer_->model().chips); }
BlockPool& Device::kv() { return impl_->kv_; }
const BlockPool& Device::kv() const { return impl_->kv_; }
bool Device::busy() const { return impl_->busy_; }
HostTier* Device::host_tier() { return impl_->host_tier_.get(); }
const HostTier* Device::host_tier() const { return impl_->host_tier_.get(); }
void Device::CopyPage(const PageCopy& copy) { impl_->executor_->CopyPage(copy); }
void Device::CopyFromPeer(const Device& peer, uint32_t peer_page, uint32_t page) {
  impl_->executor_->CopyFromPeer(*peer.impl_->executor_, peer_page, page);
}
Duration Device::LinkTime(int64_t blocks) const {
  const __int128 bytes = static_cast<__int128>(impl_->block_bytes_) * blocks;
  const int64_t rate = impl_->options_.host_tier.bytes_per_second;
  return Nanoseconds(static_cast<int64_t>((bytes * 1'000'000'000 + rate - 1) / rate));
}
Energy Device::LinkEnergy(int64_t blocks) const {
  return Energy::FromPicojoules(static_cast<__int128>(impl_->block_bytes_) * blocks *
                                impl_->options_.host_tier.picojoules_per_byte);
}
void Device::CopyFromHost(uint32_t host_page, uint32_t page) {
  impl_->executor_->CopyFromHost(host_page, page);
}

void Device::Kill() { impl_->Kill(); }
void Device::Hang() { impl_->Hang(); }
void Device::SlowDown(int64_t percent) { impl_->SlowDown(percent); }
bool Device::overdue() const { return impl_->overdue(); }
void Device::Fence(LetGo let_go) { impl_->Fence(std::move(let_go)); }
void Device::Repair() { impl_->Repair(); }
bool Device::fenced() const { return impl_->fenced_; }
bool Device::faulty() const { return impl_->faulty(); }
bool Device::parked() const { return impl_->ParksAt() <= impl_->loop_->Now(); }
TimePoint Device::ParksAt() const { return impl_->ParksAt(); }

void Device::Park() { impl_->Park(); }
void Device::Wake() { impl_->Wake(); }

const DevicePower& Device::power() const { return *impl_->power_; }

const ShapeRules& Device::rules() const { return impl_->pricer_->model().rules; }

StepOffer Device::Offer(const StepShape& shape, Duration latency_limit) {
  return impl_->Offer(shape, latency_limit);
}

void Device::BeginStep(std::vector<SequenceStep> work, const StepOffer& offer, StepDone done) {
  impl_->BeginStep(std::move(work), offer, std::move(done));
}

absl::StatusOr<CapChange> Device::SetCap(Power cap, TimePoint at) { return impl_->SetCap(cap, at); }

DeviceStatus Device::Status() { return impl_->Status(); }

}  // namespace scoville::device
