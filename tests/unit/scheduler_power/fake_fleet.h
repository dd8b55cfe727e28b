// Devices and work as the fleet budget sees them, without a device or a scheduler.
//
// A fake device remembers each cap with the time from which it holds, so a test can ask what the
// fleet might have drawn at any instant.
//
// Ownership: the test's. Threading: one thread. Errors: what the seams forbid fails the test.
#ifndef SCOVILLE_TESTS_UNIT_SCHEDULER_POWER_FAKE_FLEET_H_
#define SCOVILLE_TESTS_UNIT_SCHEDULER_POWER_FAKE_FLEET_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "scheduler/power/fleet_seams.h"

namespace scoville::scheduler {

// 100 W: nothing; 200 W: 400 tokens/s; 300 W: 600; 500 W: 700. Most efficient at 200 W and 300 W
// alike (2 tokens/J), so at 200 W.
inline ThroughputCurve FakeCurve(int64_t percent = 100) {
  return *ThroughputCurve::Create(std::vector<CurvePoint>{{Watts(100), 0},
                                                          {Watts(200), 4'000 * percent},
                                                          {Watts(300), 6'000 * percent},
                                                          {Watts(500), 7'000 * percent}});
}

class FakeDevice final : public PowerControlledDevice {
 public:
  explicit FakeDevice(uint32_t id, Power cap = Watts(500)) : id_(id), cap_(cap) {
    holds_.push_back({TimePoint(), cap, TimePoint()});
  }

  uint32_t id() const override { return id_; }
  Power MinCap() const override { return Watts(120); }
  Power FullChunkCap() const override { return Watts(150); }
  Power MaxCap() const override { return Watts(500); }
  Power Cap() const override { return cap_; }
  ThroughputCurve Curve() const override {
    ++asked;
    return curve;
  }
  TimePoint SetCap(TimePoint now, Power cap) override {
    EXPECT_GE(cap, MinCap());
    EXPECT_LE(cap, MaxCap());
    EXPECT_FALSE(parked);
    return Record(now, cap);
  }
  Duration CapDelay() const override { return delay; }
  bool Parkable() const override { return parkable; }
  Power ParkedPower() const override { return Watts(30); }
  Power OffPower() const override { return Watts(5); }
  TimePoint Park(TimePoint now) override {
    EXPECT_FALSE(parked);
    parked = true;
    return Record(now, ParkedPower());
  }
  void Wake(TimePoint) override {
    EXPECT_TRUE(parked);
    parked = false;
  }

  // Fenced, or taken away: it draws this from now on.
  void Off(TimePoint now, Power draws = Power()) {
    holds_ = {{TimePoint(), draws, now}};
    parked = false;
  }

  // The most it may draw at `when`.
  Power WorstAt(TimePoint when) const {
    Power worst;
    for (size_t i = holds_.size(); i-- > 0;) {
      if (holds_[i].sent > when) continue;
      worst = std::max(worst, holds_[i].cap);
      if (holds_[i].from <= when) break;
    }
    return worst;
  }

  ThroughputCurve curve = FakeCurve();
  Duration delay = Milliseconds(1'200);
  bool parkable = true;
  bool parked = false;
  bool fresh = false;  // has drawn nothing yet: its first cap holds at once
  int sent = 0;
  mutable int asked = 0;  // for its curve

 private:
  struct Hold {
    TimePoint from;
    Power cap;
    TimePoint sent;
  };

  TimePoint Record(TimePoint now, Power cap) {
    ++sent;
    const bool lower = cap < cap_ && !fresh;
    if (fresh) {
      holds_.clear();
      holds_.push_back({now, cap, now});
      fresh = false;
    }
    cap_ = cap;
    const TimePoint from = lower ? now + delay : now;
    holds_.push_back({lower ? from : std::max(from, holds_.back().from), cap, now});
    return from;
  }

  const uint32_t id_;
  Power cap_;
  std::vector<Hold> holds_;
};

class FakeWork final : public FleetWork {
 public:
  explicit FakeWork(size_t devices) : loads(devices), closed(devices), preempted(devices) {}

  DeviceLoadView LoadOf(uint32_t device) const override { return loads[device]; }
  void SetClosed(uint32_t device, bool value) override { closed[device] = value; }
  void Returned(uint32_t device) override { returned.push_back(device); }
  void Preempt(uint32_t device) override {
    preempted[device] = true;
    loads[device] = DeviceLoadView();
  }
  void SetAdmissionClosed(const std::array<bool, kTierCount>& value) override { admission = value; }
  void SetPrefillLimited(bool limited) override { prefill_limited = limited; }

  std::vector<DeviceLoadView> loads;
  std::vector<bool> closed;
  std::vector<bool> preempted;
  std::vector<uint32_t> returned;
  std::array<bool, kTierCount> admission{};
  bool prefill_limited = false;
};

inline DeviceLoadView LoadOfTier(int tier, Duration drain = Seconds(20)) {
  DeviceLoadView load;
  load.millitokens_per_second[tier] = 700'000;
  load.running[tier] = 8;
  load.drain_time = drain;
  return load;
}

// What devices and work look like to a plan, all running at full caps.
inline DevicePowerView FakeView(const DeviceLoadView& load) {
  DevicePowerView view;
  view.curve = FakeCurve();
  view.min_cap = Watts(120);
  view.full_chunk_cap = Watts(150);
  view.max_cap = Watts(500);
  view.cap = Watts(500);
  view.counted = Watts(500);
  view.parked_power = Watts(30);
  view.cap_delay = Milliseconds(1'200);
  view.parkable = true;
  view.load = load;
  return view;
}

}  // namespace scoville::scheduler

#endif  // SCOVILLE_TESTS_UNIT_SCHEDULER_POWER_FAKE_FLEET_H_
