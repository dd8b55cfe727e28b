#include "device/device.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "device/physics/energy_attribution.h"
#include "device/physics/energy_meter.h"
#include "device/physics/model_timing.h"
#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"

namespace scoville::device {

namespace {

// There is no thermal model yet: the junction stands where the profile's leakage is given for.
constexpr double kJunctionCelsius = 60.0;

SequenceWork WorkOf(const SequenceStep& step) {
  SequenceWork work;
  work.role = step.decodes() ? StepRole::kDecode : StepRole::kPrefill;
  work.cached = step.cached;
  work.new_tokens = step.count;
  work.output_rows = step.samples() ? 1 : 0;
  work.recomputed = step.recomputed;
  return work;
}

Power MeanPower(Energy energy, Duration duration) {
  return Power(
      static_cast<int64_t>(energy.total_picojoules() / std::max<int64_t>(1, duration.value())));
}

}  // namespace

class Device::Impl {
 public:
  Impl(EventLoop* loop, const Profile* profile, const ModelTiming& timing,
       const DeviceOptions& options, int64_t kv_blocks, std::unique_ptr<Executor> executor)
      : loop_(loop),
        profile_(profile),
        options_(options),
        timing_(timing),
        power_(*profile, options.chips),
        executor_(std::move(executor)),
        kv_(kv_blocks, options.kv_block_size),
        meter_(TimePoint(), power_.Warm()),
        idle_since_(loop->Now()) {}

  ~Impl() {
    CHECK(!busy_);
    loop_->Cancel(end_timer_);
  }

  void BeginStep(std::vector<SequenceStep> work, StepDone done);
  StepPrice PriceUnderCap(const StepShape& shape, int* state) const;
  DeviceStatus Status();

  EventLoop* const loop_;
  const Profile* const profile_;
  const DeviceOptions options_;
  const ModelTiming timing_;
  const PowerModel power_;
  const std::unique_ptr<Executor> executor_;

  BlockPool kv_;
  bool busy_ = false;

 private:
  void SettleIdle();
  void OnDeviceTimeOver();
  void OnHostResult(std::vector<SequenceResult> results);
  void Finish();
  StepRecord RecordOf(int64_t lag_ns) const;
  void Account(StepOutcome& outcome);

  EnergyMeter meter_;     // on device time
  TimePoint device_now_;  // device time, settled
  TimePoint idle_since_;  // engine time; meaningful while not busy
  EnergyBuckets energy_;
  EnergyTerms terms_;
  StallTimes stalls_;
  Duration busy_time_;
  Duration idle_time_;
  Duration lag_;
  int64_t steps_ = 0;

  // The step under way.
  std::vector<SequenceStep> steps_in_flight_;
  std::vector<SequenceWork> work_;
  StepDone done_;
  StepPrice price_;
  int state_ = 0;
  TimePoint start_;
  TimerId end_timer_;
  bool device_time_over_ = false;
  std::optional<std::vector<SequenceResult>> results_;
};

void Device::Impl::SettleIdle() {
  const Duration idle = loop_->Now() - idle_since_;
  idle_since_ = loop_->Now();
  device_now_ += idle;
  idle_time_ += idle;
  const Energy energy = power_.Warm() * idle;
  energy_.idle += energy;
  terms_.static_ += energy;
  CHECK_EQ(meter_.Read(device_now_), energy_.total());
}

StepPrice Device::Impl::PriceUnderCap(const StepShape& shape, int* state) const {
  // Admissibility is not monotone in the clock, so every state is tried, fastest first. The slowest
  // always fits: Create refuses a cap below its worst case.
  const int top = profile_->top_state();
  for (int s = top; s >= 0; --s) {
    StepPrice price = PriceStep(*profile_, timing_, shape, StepClock{s, top, false});
    if (s == 0 || std::max(power_.HostGap(s), power_.Forward(price, s)) <= options_.cap) {
      *state = s;
      return price;
    }
  }
  CHECK(false);
  return {};
}

void Device::Impl::BeginStep(std::vector<SequenceStep> work, StepDone done) {
  CHECK(!busy_);
  CHECK(!work.empty());
  SettleIdle();
  busy_ = true;
  steps_in_flight_ = std::move(work);
  done_ = std::move(done);
  work_.clear();
  StepShape shape;
  for (const SequenceStep& step : steps_in_flight_) {
    work_.push_back(WorkOf(step));
    shape.Add(work_.back(), timing_.rules);
  }
  price_ = PriceUnderCap(shape, &state_);
  start_ = loop_->Now();
  device_time_over_ = false;
  results_.reset();
  meter_.SetPower(device_now_, power_.HostGap(state_));
  end_timer_ = loop_->RunAt(start_ + price_.duration, EventClass::kStepEnd, options_.id.value,
                            [this] { OnDeviceTimeOver(); });
  executor_->Execute(steps_in_flight_, [this](std::vector<SequenceResult> results) {
    OnHostResult(std::move(results));
  });
}

void Device::Impl::OnDeviceTimeOver() {
  device_time_over_ = true;
  if (results_) {
    Finish();
  }
}

void Device::Impl::OnHostResult(std::vector<SequenceResult> results) {
  results_ = std::move(results);
  if (device_time_over_) {
    Finish();
  }
}

StepRecord Device::Impl::RecordOf(int64_t lag_ns) const {
  StepRecord r;
  r.device = options_.id;
  r.step = steps_;
  r.start = start_;
  r.end = loop_->Now();
  r.duration = price_.duration;
  r.lag = Duration(lag_ns);
  r.sequences = static_cast<int32_t>(steps_in_flight_.size());
  r.pstate = state_;
  r.clock_hertz = static_cast<int64_t>(std::llround(profile_->pstates[state_].hertz));
  r.throttled = state_ < profile_->top_state();
  r.stalls = price_.stalls;
  r.model_flops = price_.flops_model;
  r.hbm_bytes = static_cast<double>(price_.hbm_bytes.value());
  StableHasher plan;
  StableHasher tokens;
  for (size_t i = 0; i < steps_in_flight_.size(); ++i) {
    const SequenceStep& step = steps_in_flight_[i];
    plan.Add(step.request.value);
    plan.Add(static_cast<uint64_t>(step.cached));
    plan.Add(static_cast<uint64_t>(step.count));
    r.recomputed_tokens += step.recomputed;
    if (step.decodes()) {
      r.decode_tokens += 1;
    } else {
      r.prefill_tokens += step.count - step.recomputed;
    }
    const SequenceResult& result = (*results_)[i];
    if (result.sampled) {
      r.output_tokens += 1;
      tokens.Add(static_cast<uint64_t>(result.token.token));
    }
  }
  r.plan_hash = plan.hash().low;
  r.token_hash = tokens.hash().low;
  return r;
}

void Device::Impl::Account(StepOutcome& outcome) {
  const Energy total = power_.StepEnergy(price_, state_);
  std::vector<SequenceEnergy> shares(work_.size());
  AttributeStep(power_, timing_, price_, state_, 1.0, work_, absl::MakeSpan(shares));
  for (const SequenceEnergy& share : shares) {
    EnergyBuckets e;
    e.prefill = share.prefill;
    e.decode = share.decode;
    e.waste = share.waste;
    outcome.sequence_energy.push_back(e);
    outcome.record.energy += e;
  }
  CHECK_EQ(outcome.record.energy.total(), total);
  outcome.record.terms = SplitStepTerms(power_, price_, state_);
  CHECK_EQ(outcome.record.terms.total(), total);
  outcome.record.power = MeanPower(total, price_.duration);

  meter_.SetPower(device_now_ + price_.host_gap, power_.Forward(price_, state_));
  device_now_ += price_.duration;
  meter_.SetPower(device_now_, power_.Warm());
  energy_ += outcome.record.energy;
  terms_ += outcome.record.terms;
  stalls_ += price_.stalls;
  CHECK_EQ(meter_.Read(device_now_), energy_.total());
  CHECK_EQ(terms_.total(), energy_.total());
}

void Device::Impl::Finish() {
  const TimePoint now = loop_->Now();
  ++steps_;
  const Duration lag = now - start_ - price_.duration;
  StepOutcome outcome;
  outcome.record = RecordOf(lag.value());
  Account(outcome);
  outcome.results = std::move(*results_);
  for (size_t i = 0; i < steps_in_flight_.size(); ++i) {
    outcome.results[i].computed = steps_in_flight_[i].count;
    outcome.results[i].recomputed = steps_in_flight_[i].recomputed;
  }
  busy_time_ += price_.duration;
  lag_ += lag;
  idle_since_ = now;
  busy_ = false;
  StepDone done = std::move(done_);
  done(std::move(outcome));
}

DeviceStatus Device::Impl::Status() {
  if (!busy_) {
    SettleIdle();
  }
  DeviceStatus s;
  s.id = options_.id;
  s.state = DeviceState::kReady;
  s.busy = busy_;
  s.cap = options_.cap;
  s.power = busy_ ? MeanPower(power_.StepEnergy(price_, state_), price_.duration) : power_.Warm();
  s.clock_hertz = static_cast<int64_t>(std::llround(profile_->pstates[busy_ ? state_ : 0].hertz));
  s.temperature_celsius = kJunctionCelsius;
  s.energy = energy_;
  s.terms = terms_;
  s.stalls = stalls_;
  s.busy_time = busy_time_;
  s.idle_time = idle_time_;
  s.lag = lag_;
  s.steps = steps_;
  s.kv_blocks_total = kv_.num_blocks();
  s.kv_blocks_used = kv_.used_blocks();
  return s;
}

Device::Device(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Device::~Device() = default;

absl::StatusOr<std::unique_ptr<Device>> Device::Create(EventLoop* loop, const Profile* profile,
                                                       const model::ModelCard& card,
                                                       const DeviceOptions& requested,
                                                       std::unique_ptr<Executor> executor) {
  DeviceOptions options = requested;
  if (options.chips < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("chips per device is %d, at least 1 is needed", options.chips));
  }
  if (options.kv_block_size < 1) {
    return absl::InvalidArgumentError("the KV block size must be at least 1 token");
  }
  Parallelism parallelism;
  parallelism.chips = options.chips;
  ASSIGN_OR_RETURN(const ModelTiming timing,
                   MakeModelTiming(*profile, card, parallelism, options.kv_block_size));
  const MemoryPlan plan = PlanMemory(*profile, timing);
  const int64_t fitting = plan.kv_blocks;
  if (fitting < 1 || options.kv_blocks > fitting) {
    return absl::InvalidArgumentError(absl::StrFormat("does not fit: %s; %d are asked for",
                                                      DescribeMemory(plan, timing),
                                                      std::max<int64_t>(options.kv_blocks, 1)));
  }
  const int64_t kv_blocks = options.kv_blocks > 0 ? options.kv_blocks : fitting;
  if (options.cap == Power()) {
    options.cap = profile->TdpPower() * options.chips;
  }
  const Power least = PowerModel(*profile, options.chips).WorstCase(0);
  if (options.cap < least) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a cap of %.1f W cannot be kept: the worst step at the lowest clock draws %.1f W",
        ToWatts(options.cap), ToWatts(least)));
  }
  return std::unique_ptr<Device>(new Device(
      std::make_unique<Impl>(loop, profile, timing, options, kv_blocks, std::move(executor))));
}

DeviceId Device::id() const { return impl_->options_.id; }
const Profile& Device::profile() const { return *impl_->profile_; }
int32_t Device::chips() const { return impl_->options_.chips; }
BlockPool& Device::kv() { return impl_->kv_; }
const BlockPool& Device::kv() const { return impl_->kv_; }
bool Device::busy() const { return impl_->busy_; }

void Device::BeginStep(std::vector<SequenceStep> work, StepDone done) {
  impl_->BeginStep(std::move(work), std::move(done));
}

DeviceStatus Device::Status() { return impl_->Status(); }

}  // namespace scoville::device
