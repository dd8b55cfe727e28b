#include "device/device.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

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
    auto device = Device::Create(&loop_, &profile_, model::CardOf(tests::SmallConfig()), options,
                                 std::make_unique<LateExecutor>(&loop_, host_delay));
    CHECK(device.ok());
    return *std::move(device);
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
    device.BeginStep(std::move(work), [&](StepOutcome outcome) { out = std::move(outcome); });
    loop_.Run();
    return *std::move(out);
  }

  SimulatedEventLoop loop_;
  Profile profile_ = DefaultProfile();
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

TEST_F(DeviceTest, AStepUnderALowerCapIsSlowerAndStaysBelowIt) {
  // A chip whose arithmetic is so costly that a prompt at the top clock passes the cap.
  for (ProfileNumber& energy : profile_.energy_per_flop) energy.value *= 8;
  const Power cap = PowerModel(profile_, 1).WorstCase(0) + Watts(10);
  auto free = Make({.cap = Watts(10'000), .kv_blocks = 512});
  const StepOutcome fast = Run(*free, Prefill(8000));
  ASSERT_GT(fast.record.power, cap);
  EXPECT_FALSE(fast.record.throttled);
  auto capped = Make({.cap = cap, .kv_blocks = 512});
  const StepOutcome slow = Run(*capped, Prefill(8000));
  EXPECT_TRUE(slow.record.throttled);
  EXPECT_LE(slow.record.power, cap);
  EXPECT_GT(slow.record.duration, fast.record.duration);
  EXPECT_GT(slow.record.stalls.throttle, Duration());
  EXPECT_EQ(slow.record.stalls.total(), slow.record.duration);
}

TEST_F(DeviceTest, ACapThatCannotBeKeptIsRefusedWithTheLeastThatCan) {
  const auto refused = Device::Create(&loop_, &profile_, model::CardOf(tests::SmallConfig()),
                                      {.cap = Watts(100), .kv_blocks = 64},
                                      std::make_unique<LateExecutor>(&loop_, Nanoseconds(1)));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(refused.status().message().find("cannot be kept"), absl::string_view::npos);
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
  const auto device = Device::Create(&loop_, &profile_, model::CardOf(huge), {},
                                     std::make_unique<LateExecutor>(&loop_, Nanoseconds(1)));
  EXPECT_EQ(device.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(device.status().message().find("does not fit"), absl::string_view::npos);
}

}  // namespace
}  // namespace scoville::device
