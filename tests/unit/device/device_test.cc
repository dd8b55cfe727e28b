#include "device/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/simulated_event_loop.h"
#include "device/physics/power_model.h"
#include "tests/support/core_fixture.h"

namespace scoville::device {
namespace {

// Answers a given time after it was asked, like a host that is slower than the device.
class LateExecutor final : public Executor {
 public:
  LateExecutor(EventLoop* loop, Duration delay) : loop_(loop), delay_(delay) {}
  void Execute(absl::Span<const SequenceStep> work, Done done) override {
    const size_t n = work.size();
    loop_->RunAt(loop_->Now() + delay_, EventClass::kHostResult, 0,
                 [n, done = std::move(done)]() mutable { done(std::vector<SequenceResult>(n)); });
  }

 private:
  EventLoop* const loop_;
  const Duration delay_;
};

class DeviceTest : public testing::Test {
 protected:
  std::unique_ptr<Device> Make(const DeviceOptions& options, Duration host_delay = Nanoseconds(1)) {
    auto device = Device::Create(&loop_, Pricer(), options,
                                 std::make_unique<LateExecutor>(&loop_, host_delay));
    CHECK(device.ok());
    return *std::move(device);
  }

  // Of the profile as it stands.
  StepPricer* Pricer() {
    pricers_.push_back(
        std::make_unique<StepPricer>(&profile_, tests::SmallTiming(profile_), int64_t{512}));
    return pricers_.back().get();
  }

  std::vector<SequenceStep> Prefill(int64_t count) {
    tokens_.assign(static_cast<size_t>(count), 5);
    SequenceStep step;
    step.request = RequestId{1};
    step.tokens = tokens_;
    step.prompt_tokens = count;
    step.count = count;
    step.sampling = &sampling_;
    return {step};
  }

  StepOutcome Run(Device& device, std::vector<SequenceStep> work) {
    std::optional<StepOutcome> out;
    StepShape shape;
    for (const SequenceStep& step : work) {
      shape.Add(WorkOf(step), device.rules());
    }
    const StepOffer offer = device.Offer(shape, Duration());
    CHECK(offer.kind == StepOffer::Kind::kBegin);
    device.BeginStep(std::move(work), offer,
                     [&](StepOutcome outcome) { out = std::move(outcome); });
    loop_.Run();
    return *std::move(out);
  }

  SimulatedEventLoop loop_;
  Profile profile_ = DefaultProfile();
  std::vector<std::unique_ptr<StepPricer>> pricers_;
  std::vector<int32_t> tokens_;
  model::SamplingParams sampling_;
};

TEST_F(DeviceTest, AStepTakesItsPriceAndTheMeterFollows) {
  auto device = Make({.kv_blocks = 64});
  loop_.RunUntil(TimePoint() + Milliseconds(3));
  const StepOutcome out = Run(*device, Prefill(100));
  EXPECT_EQ(out.record.start, TimePoint() + Milliseconds(3));
  EXPECT_EQ(out.record.end - out.record.start, out.record.duration);
  EXPECT_EQ(out.record.lag, Duration());
  EXPECT_EQ(out.record.stalls.total(), out.record.duration);
  EXPECT_EQ(out.record.prefill_tokens, 100);
  loop_.RunUntil(loop_.Now() + Milliseconds(5));
  const DeviceStatus s = device->Status();
  EXPECT_EQ(s.idle_time, Milliseconds(8));
  EXPECT_EQ(s.busy_time, out.record.duration);
  EXPECT_EQ(s.energy.total(), s.terms.total());
  EXPECT_EQ(s.energy.total() - s.energy.idle, out.record.energy.total());
  EXPECT_GT(out.record.terms.compute, Energy());
  EXPECT_GT(out.record.terms.memory, Energy());
}

TEST_F(DeviceTest, ASlowHostIsLagAndCostsNoDeviceTimeOrEnergy) {
  auto quick = Make({.kv_blocks = 64});
  const StepOutcome fast = Run(*quick, Prefill(100));
  auto late = Make({.kv_blocks = 64}, Milliseconds(50));
  const TimePoint start = loop_.Now();
  const StepOutcome slow = Run(*late, Prefill(100));
  EXPECT_EQ(slow.record.duration, fast.record.duration);
  EXPECT_EQ(slow.record.lag, Milliseconds(50) - fast.record.duration);
  EXPECT_EQ(slow.record.energy.total(), fast.record.energy.total());
  const DeviceStatus s = late->Status();
  EXPECT_EQ(s.busy_time + s.idle_time + s.lag, loop_.Now() - start);
}

// Steps one after another, for device time that is short beside the window at first.
Energy DrawnOver(Device& device, SimulatedEventLoop& loop, const std::vector<SequenceStep>& work,
                 TimePoint until) {
  StepShape shape;
  for (const SequenceStep& step : work) {
    shape.Add(WorkOf(step), device.rules());
  }
  while (loop.Now() < until) {
    const StepOffer offer = device.Offer(shape, Duration());
    CHECK(offer.kind != StepOffer::Kind::kNever);
    if (offer.kind == StepOffer::Kind::kWait) {
      loop.RunUntil(loop.Now() + offer.wait);
      continue;
    }
    device.BeginStep(work, offer, [](StepOutcome) {});
    loop.Run();
  }
  return device.Status().energy.total();
}

TEST_F(DeviceTest, ACapSlowsStepsAndNoWindowPassesIt) {
  const Power cap = Watts(200);
  auto free = Make({.power = {.keep_trace = true}, .kv_blocks = 512});
  const std::vector<SequenceStep> work = Prefill(8000);
  DrawnOver(*free, loop_, work, loop_.Now() + Seconds(4));
  EXPECT_GT(WorstWindow(free->power().trace(), {{TimePoint(), cap}}, Seconds(1)).picojoules, 0);
  auto capped = Make({.power = {.cap = cap, .keep_trace = true}, .kv_blocks = 512});
  DrawnOver(*capped, loop_, work, loop_.Now() + Seconds(4));
  const WindowExcess worst =
      WorstWindow(capped->power().trace(), capped->power().trace_caps(), Seconds(1));
  EXPECT_LE(worst.picojoules, 0);
  // What the cap allows is used, but for what idling could draw if the chip were at its trip
  // temperature.
  EXPECT_GT(worst.watts(),
            ToWatts(capped->power().model().Warm() - capped->power().model().Tail()));
  const DeviceStatus s = capped->Status();
  EXPECT_GT(s.idle.cap_wait + s.stalls.throttle, Duration());
  EXPECT_EQ(s.idle.energy(), s.energy.idle);
  EXPECT_NE(s.explanation, "");
  EXPECT_LT(s.steps, free->Status().steps);
}

// Racing at the highest clock and waiting spends the cap on fewer tokens than a steady lower clock.
TEST_F(DeviceTest, UnderACapStepsAreAtLeastAsManyAsAtAnyOneClock) {
  for (ProfileNumber& energy : profile_.energy_per_flop) {
    energy.value *= 6;  // a chip whose matrix units, not its memory, set the power
  }
  const Power cap = Watts(400);
  const std::vector<SequenceStep> work = Prefill(4000);
  auto capped = Make({.power = {.cap = cap}, .kv_blocks = 512});
  StepShape shape;
  shape.Add(WorkOf(work[0]), capped->rules());
  const DevicePower& power = capped->power();
  double best = 0;
  double racing = 0;
  for (const DevicePower::OperatingPoint& point : power.OperatingPoints(shape)) {
    const double tail = ToWatts(power.model().Tail());
    const double stretch = (ToWatts(point.power) - tail) / (ToWatts(cap) - tail);
    racing = 1.0 / (ToSeconds(point.duration) * std::max(1.0, stretch));
    best = std::max(best, racing);
  }
  ASSERT_GT(best, 1.2 * racing);  // the last point is the highest clock
  DrawnOver(*capped, loop_, work, loop_.Now() + Seconds(2));
  const int64_t before = capped->Status().steps;
  DrawnOver(*capped, loop_, work, loop_.Now() + Seconds(10));
  EXPECT_GT(static_cast<double>(capped->Status().steps - before) / 10, 0.97 * best);
}

TEST_F(DeviceTest, ALoweredCapHoldsFromTheInstantThatWasPromised) {
  auto device = Make({.power = {.keep_trace = true}, .kv_blocks = 512});
  const std::vector<SequenceStep> work = Prefill(8000);
  DrawnOver(*device, loop_, work, loop_.Now() + Seconds(2));
  const auto change = device->SetCap(Watts(150), loop_.Now());
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_GT(change->effective_at, loop_.Now());
  EXPECT_LE(change->effective_at, loop_.Now() + Seconds(1));
  DrawnOver(*device, loop_, work, loop_.Now() + Seconds(3));
  ASSERT_TRUE(device->SetCap(Watts(700), loop_.Now()).ok());
  DrawnOver(*device, loop_, work, loop_.Now() + Seconds(1));
  EXPECT_LE(
      WorstWindow(device->power().trace(), device->power().trace_caps(), Seconds(1)).picojoules, 0);
}

// Caps that come faster than windows pass: some are raised again before they hold. The record of
// caps has to be what the governor owed, in order of time.
TEST_F(DeviceTest, CapsThatAreTakenBackLeaveTheRecord) {
  auto device = Make({.power = {.keep_trace = true}, .kv_blocks = 512});
  const std::vector<SequenceStep> work = Prefill(2000);
  int superseded = 0;
  TimePoint holds;
  for (uint64_t i = 0; i < 200; ++i) {
    const Power cap = Watts(120 + static_cast<int64_t>(RandomBelow(17, 1, i, 580)));
    const auto change = device->SetCap(cap, loop_.Now());
    ASSERT_TRUE(change.ok()) << change.status();
    superseded += holds > loop_.Now() && change->effective_at < holds ? 1 : 0;
    holds = change->effective_at;
    DrawnOver(*device, loop_, work,
              loop_.Now() + Milliseconds(static_cast<int64_t>(RandomBelow(17, 2, i, 700))));
  }
  EXPECT_GT(superseded, 10);
  const absl::Span<const TraceCap> caps = device->power().trace_caps();
  for (size_t i = 1; i < caps.size(); ++i) {
    EXPECT_GE(caps[i].from, caps[i - 1].from) << i;
  }
  EXPECT_LE(WorstWindow(device->power().trace(), caps, Seconds(1)).picojoules, 0);
}

TEST_F(DeviceTest, AnIdleDeviceParksAndWakesUpLate) {
  auto device = Make({.power = {.park_after = Milliseconds(50)}, .kv_blocks = 64});
  loop_.RunUntil(TimePoint() + Milliseconds(80));
  EXPECT_TRUE(device->Status().parked);
  EXPECT_EQ(device->Status().idle.parked, Milliseconds(30));
  EXPECT_EQ(device->Status().power, Watts(45));
  StepShape shape;
  shape.Add(SequenceWork{StepRole::kDecode, 10, 1, 1, 0}, device->rules());
  const StepOffer asleep = device->Offer(shape, Duration());
  EXPECT_EQ(asleep.kind, StepOffer::Kind::kWait);
  EXPECT_EQ(asleep.cause, DelayCause::kWake);
  EXPECT_EQ(asleep.wait, Milliseconds(5));
  loop_.RunUntil(loop_.Now() + asleep.wait);
  EXPECT_EQ(device->Offer(shape, Duration()).kind, StepOffer::Kind::kBegin);
  EXPECT_EQ(device->Status().idle.parked, Milliseconds(30));
  EXPECT_EQ(device->Status().idle.warm, Milliseconds(55));
}

TEST_F(DeviceTest, WorkHeatsTheChipAndHeatLeaks) {
  auto device = Make({.kv_blocks = 512});
  const double cool = device->Status().temperature_celsius;
  const std::vector<SequenceStep> work = Prefill(8000);
  DrawnOver(*device, loop_, work, loop_.Now() + Seconds(30));
  const DeviceStatus warm = device->Status();
  EXPECT_GT(warm.temperature_celsius, cool + 5);
  EXPECT_LT(warm.temperature_celsius, profile_.throttle_temperature.value);
  EXPECT_EQ(warm.energy.total(), warm.terms.total());
}

TEST_F(DeviceTest, HeatTakesClocksAwayBeforeItTrips) {
  profile_.inlet_temperature.value = 88;  // a failed pump
  auto device = Make({.kv_blocks = 512});
  const std::vector<SequenceStep> work = Prefill(8000);
  const std::vector<SequenceStep> same = work;
  std::vector<double> clocks;
  StepShape shape;
  shape.Add(WorkOf(work[0]), device->rules());
  double hottest = 0;
  while (loop_.Now() < TimePoint() + Seconds(60)) {
    const StepOffer offer = device->Offer(shape, Duration());
    if (offer.kind == StepOffer::Kind::kWait) {
      loop_.RunUntil(loop_.Now() + offer.wait);
      continue;
    }
    clocks.push_back(offer.clock.state);
    device->BeginStep(same, offer, [](StepOutcome) {});
    loop_.Run();
    hottest = std::max(hottest, device->Status().temperature_celsius);
  }
  EXPECT_LT(*std::min_element(clocks.begin(), clocks.end()), profile_.top_state());
  EXPECT_LT(hottest, profile_.trip_temperature.value);
}

TEST_F(DeviceTest, JoulesPerTokenAreLowestWhereTheLimitAllows) {
  auto perf = Make({.kv_blocks = 512});
  auto eff = Make({.power = {.mode = CapMode::kEff}, .kv_blocks = 512});
  StepShape shape;
  for (int i = 0; i < 64; ++i) {
    shape.Add(SequenceWork{StepRole::kDecode, 100, 1, 1, 0}, eff->rules());
  }
  const auto energy = [](const StepOffer& o) {
    return (o.phases[0].power * o.phases[0].duration + o.phases[1].power * o.phases[1].duration)
        .total_picojoules();
  };
  const StepOffer fast = perf->Offer(shape, Duration());
  const StepOffer frugal = eff->Offer(shape, Duration());
  EXPECT_EQ(fast.clock.state, profile_.top_state());
  EXPECT_LT(frugal.clock.state, fast.clock.state);
  EXPECT_LT(energy(frugal), energy(fast));
  EXPECT_EQ(frugal.price.stalls.throttle, Duration());  // a choice, no throttling
  const Duration limit = fast.price.duration + Microseconds(30);
  const StepOffer held = eff->Offer(shape, limit);
  EXPECT_LE(held.price.duration, limit);
  EXPECT_GT(held.clock.state, frugal.clock.state);
}

TEST_F(DeviceTest, ACapThatCannotBeKeptIsRefusedWithTheLeastThatCan) {
  const auto create = [&](const PowerOptions& power) {
    return Device::Create(&loop_, Pricer(), {.power = power, .kv_blocks = 64},
                          std::make_unique<LateExecutor>(&loop_, Nanoseconds(1)))
        .status();
  };
  const absl::Status refused = create({.cap = Watts(100)});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("cannot be kept"), absl::string_view::npos) << refused;
  const Power least = Make({.kv_blocks = 64})->Status().min_cap;
  EXPECT_TRUE(create({.cap = least}).ok());
  EXPECT_FALSE(create({.cap = least - Milliwatts(1)}).ok());
  EXPECT_FALSE(create({.cap_window = Duration()}).ok());
  EXPECT_FALSE(create({.cap = Milliwatts(-1)}).ok());
  EXPECT_FALSE(create({.cap = Watts(300), .governor = GovernorKind::kStatic}).ok());
}

TEST_F(DeviceTest, RecomputedTokensAreWaste) {
  auto device = Make({.kv_blocks = 64});
  std::vector<SequenceStep> work = Prefill(100);
  work[0].recomputed = 100;
  const StepOutcome out = Run(*device, work);
  EXPECT_EQ(out.record.energy.prefill, Energy());
  EXPECT_EQ(out.record.energy.waste, out.record.energy.total());
  EXPECT_EQ(out.record.recomputed_tokens, 100);
}

TEST_F(DeviceTest, RefusesWhatDoesNotFitWithTheArithmetic) {
  model::ModelConfig huge = tests::SmallConfig();
  huge.layers = 200'000;
  huge.parameters = huge.layer_parameters();
  huge.weight_bytes = huge.parameters;
  const auto timing = MakeModelTiming(profile_, model::CardOf(huge), {});
  ASSERT_TRUE(timing.ok());
  StepPricer pricer(&profile_, *timing, 16);
  const auto device =
      Device::Create(&loop_, &pricer, {}, std::make_unique<LateExecutor>(&loop_, Nanoseconds(1)));
  EXPECT_EQ(device.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(device.status().message().find("does not fit"), absl::string_view::npos);
}

}  // namespace
}  // namespace scoville::device
