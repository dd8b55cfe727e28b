#include "scheduler/fleet/pool_power.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

// Requests looked at when loads are gathered; more than the queues of a daemon hold.
constexpr int64_t kMostRequests = 1 << 20;

static_assert(static_cast<int>(ServiceClass::kStandard) == kStandardTier &&
              static_cast<int>(ServiceClass::kBatch) == kBatchTier);

// What a device's sequences look like; before it had any, a light interactive mix.
struct Mix {
  int64_t sequences = 8;
  int64_t context = 512;
  std::array<int32_t, kTierCount> running{};
};

class BoundDevice final : public PowerControlledDevice {
 public:
  BoundDevice(device::Device* device, Power first_cap, Duration window)
      : device_(device),
        window_(window),
        cap_(first_cap),
        max_cap_(std::max(first_cap, device->profile().TdpPower() * device->chips())) {}

  uint32_t id() const override { return device_->id().value; }
  Power MinCap() const override { return device_->power().min_cap(); }
  // Prefill chunks are cut to fit whatever the cap is: no cap is special to them.
  Power FullChunkCap() const override { return MinCap(); }
  Power MaxCap() const override { return max_cap_; }
  Power Cap() const override { return cap_; }

  ThroughputCurve Curve() const override {
    const device::SequenceWork decode = {device::StepRole::kDecode, mix.context, 1, 1, 0};
    device::StepShape shape;
    for (int64_t i = 0; i < mix.sequences; ++i) {
      shape.Add(decode, device_->rules());
    }
    std::vector<CurvePoint> points = {{device_->power().model().Tail(), 0}};
    for (const auto& point : device_->power().OperatingPoints(shape)) {
      const __int128 rate = static_cast<__int128>(mix.sequences) * 1'000 * 1'000'000'000 /
                            std::max<int64_t>(1, point.duration.value());
      points.push_back(
          {point.power, static_cast<int64_t>(std::min<__int128>(rate, ThroughputCurve::kMaxRate))});
    }
    const absl::StatusOr<ThroughputCurve> curve = ThroughputCurve::Create(points);
    CHECK(curve.ok());
    return *curve;
  }

  TimePoint SetCap(TimePoint now, Power cap) override {
    const absl::StatusOr<device::CapChange> change = device_->SetCap(cap, now);
    CHECK(change.ok());
    cap_ = cap;
    return std::max(now, change->effective_at);
  }
  Duration CapDelay() const override { return window_ * 2; }

  bool Parkable() const override { return false; }
  Power ParkedPower() const override { return MinCap(); }
  TimePoint Park(TimePoint now) override { return now; }
  void Wake(TimePoint) override {}

  Mix mix;

 private:
  device::Device* const device_;
  const Duration window_;
  Power cap_;  // last set, whether in force yet or not
  const Power max_cap_;
};

class BoundWork final : public FleetWork {
 public:
  BoundWork(EventLoop* loop, Scheduler* scheduler, std::vector<BoundDevice>* devices)
      : loop_(loop), scheduler_(scheduler), devices_(devices) {}

  DeviceLoadView LoadOf(uint32_t device) const override {
    Gather();
    const BoundDevice& bound = (*devices_)[device];
    DeviceLoadView load;
    load.running = bound.mix.running;
    int64_t running = 0;
    for (const int32_t count : load.running) {
      running += count;
    }
    const int64_t rate = running > 0 ? bound.Curve().RateAt(bound.Cap()) : 0;
    for (int tier = 0; tier < kTierCount && running > 0; ++tier) {
      load.millitokens_per_second[tier] =
          static_cast<int64_t>(static_cast<__int128>(rate) * load.running[tier] / running);
    }
    load.drain_time = running > 0 ? kUnknownTime : Duration();
    return load;
  }
  // Nothing is ever told to sleep (Parkable), so nothing below is ever asked for.
  void SetClosed(uint32_t, bool) override {}
  void Preempt(uint32_t) override {}
  void SetAdmissionClosed(const std::array<bool, kTierCount>&) override {}
  void SetPrefillLimited(bool) override {}

 private:
  // Once per instant: what is asked within one is one picture.
  void Gather() const {
    if (gathered_ && gathered_at_ == loop_->Now()) {
      return;
    }
    gathered_ = true;
    gathered_at_ = loop_->Now();
    std::vector<int64_t> tokens(devices_->size());
    for (BoundDevice& device : *devices_) {
      device.mix.running = {};
    }
    for (const RequestStatus& request : scheduler_->Requests(kMostRequests)) {
      if (request.phase == Phase::kQueued) {
        continue;
      }
      const uint32_t device = request.record.device.value;
      (*devices_)[device].mix.running[static_cast<int>(request.record.service_class)] += 1;
      tokens[device] += request.computed_tokens;
    }
    for (size_t i = 0; i < devices_->size(); ++i) {
      Mix& mix = (*devices_)[i].mix;
      int64_t running = 0;
      for (const int32_t count : mix.running) {
        running += count;
      }
      if (running > 0) {
        mix.sequences = running;
        mix.context = std::max<int64_t>(1, tokens[i] / running);
      }
    }
  }

  EventLoop* const loop_;
  Scheduler* const scheduler_;
  std::vector<BoundDevice>* const devices_;
  mutable bool gathered_ = false;
  mutable TimePoint gathered_at_;
};

}  // namespace

class PoolPower::Impl {
 public:
  Impl(EventLoop* loop, const std::vector<device::Device*>& devices, Scheduler* scheduler,
       Duration window)
      : work_(loop, scheduler, &devices_) {
    for (device::Device* device : devices) {
      devices_.emplace_back(device, device->Status().cap, window);
    }
  }

  absl::Status Start(EventLoop* loop, const PoolPowerOptions& options) {
    const uint32_t count = static_cast<uint32_t>(devices_.size());
    Power all;
    std::vector<PowerControlledDevice*> controlled;
    for (BoundDevice& device : devices_) {
      all += device.MaxCap();
      controlled.push_back(&device);
    }
    BudgetTree tree = options.tree ? *options.tree : BudgetTree::Flat(all, count);
    ASSIGN_OR_RETURN(fleet_, FleetPower::Create(loop, std::move(tree), std::move(controlled),
                                                &work_, options.fleet));
    return absl::OkStatus();
  }

  std::unique_ptr<FleetPower> fleet_;

 private:
  std::vector<BoundDevice> devices_;
  BoundWork work_;
};

PoolPower::PoolPower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolPower::~PoolPower() { impl_->fleet_.reset(); }

FleetPower& PoolPower::fleet() { return *impl_->fleet_; }

absl::StatusOr<std::unique_ptr<PoolPower>> PoolPower::Create(EventLoop* loop,
                                                             std::vector<device::Device*> devices,
                                                             Scheduler* scheduler,
                                                             const PoolPowerOptions& options) {
  auto impl = std::make_unique<Impl>(loop, devices, scheduler, options.cap_window);
  RETURN_IF_ERROR(impl->Start(loop, options));
  return std::unique_ptr<PoolPower>(new PoolPower(std::move(impl)));
}

}  // namespace scoville::scheduler
