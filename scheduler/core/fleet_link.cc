#include "scheduler/core/fleet_link.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace scoville::scheduler {

namespace {

// What a device without work is taken to run: a usual batch of conversations.
constexpr int64_t kUsualSequences = 32;
constexpr int64_t kUsualContext = 1024;

device::StepShape UsualDecodes(const device::ShapeRules& rules, int64_t context) {
  device::StepShape shape;
  for (int64_t i = 0; i < kUsualSequences; ++i) {
    shape.Add(
        device::SequenceWork{device::StepRole::kDecode, std::min(kUsualContext, context), 1, 1, 0},
        rules);
  }
  return shape;
}

}  // namespace

FleetDevice::FleetDevice(device::Device* device, int64_t max_step_tokens,
                         std::function<device::StepShape()> decodes,
                         std::function<void()> cap_changed)
    : device_(device),
      decodes_(std::move(decodes)),
      cap_changed_(std::move(cap_changed)),
      id_(device->id().value),
      min_cap_(device->power().min_cap()),
      parked_power_(device->power().model().Idle(device::IdleState::kParked, 0)),
      off_power_(device->power().model().Idle(device::IdleState::kOff, 0)),
      cap_(device->power().cap()) {
  device::StepShape chunk;
  chunk.Add(device::SequenceWork{device::StepRole::kPrefill, 0, max_step_tokens, 1, 0},
            device->rules());
  full_chunk_cap_ = std::max(MinCap(), device->power().LeastCapFor(chunk));
  max_cap_ = std::max({device->power().tdp(), cap_, full_chunk_cap_});
  cap_delay_ = device->power().LongestStep(chunk) + device->power().cap_window();
}

ThroughputCurve FleetDevice::Curve() const {
  device::StepShape shape = decodes_();
  if (shape.total_tokens() == 0) {
    shape = UsualDecodes(device_->rules(), device_->power().context());
  }
  // Between steps it idles: below the lowest clock's watts it works part of the time.
  std::vector<CurvePoint> points = {{device_->power().model().Tail(), 0}};
  for (const device::DevicePower::OperatingPoint& p : device_->power().OperatingPoints(shape)) {
    // Millitokens per second: tokens x 1000 x 1e9 / ns.
    const __int128 rate = static_cast<__int128>(shape.total_tokens()) * 1'000'000'000'000 /
                          std::max<int64_t>(1, p.duration.value());
    points.push_back({p.power, static_cast<int64_t>(rate)});
  }
  absl::StatusOr<ThroughputCurve> curve = ThroughputCurve::Create(points);
  CHECK(curve.ok());
  return *std::move(curve);
}

TimePoint FleetDevice::SetCap(TimePoint now, Power cap) {
  const absl::StatusOr<device::CapChange> change = device_->SetCap(cap, now);
  CHECK(change.ok());
  cap_ = cap;
  cap_changed_();
  return change->effective_at;
}

// Any device can sleep; Park() is called when nothing runs on it.
bool FleetDevice::Parkable() const { return true; }

TimePoint FleetDevice::Park(TimePoint now) {
  device_->Park();
  return now + device_->power().cap_window();
}

void FleetDevice::Wake(TimePoint) { device_->Wake(); }

DeviceLoadView FleetWorkLink::LoadOf(uint32_t device) const {
  return scheduler_->PowerLoadOf(device);
}
bool FleetWorkLink::Idle(uint32_t device) const { return scheduler_->RunsNothing(device); }
void FleetWorkLink::SetClosed(uint32_t device, bool closed) {
  scheduler_->CloseDevice(device, closed);
}
void FleetWorkLink::Returned(uint32_t device) { scheduler_->Restore(device); }
void FleetWorkLink::Preempt(uint32_t device) { scheduler_->Evict(device); }
void FleetWorkLink::SetAdmissionClosed(const std::array<bool, kTierCount>& closed) {
  scheduler_->CloseAdmission(closed);
}
void FleetWorkLink::SetPrefillLimited(bool limited) { scheduler_->LimitPrefill(limited); }

}  // namespace scoville::scheduler
