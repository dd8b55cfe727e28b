// The books of a run must close; a run whose records were altered by the least unit must not pass.
#include "sim/conservation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/simulation.h"
#include "tests/support/core_fixture.h"

namespace scoville::sim {
namespace {

using ::testing::HasSubstr;

class ConservationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Scenario scenario;
    scenario.name = "books";
    scenario.pool.executor = device::ExecutorKind::kSynthetic;
    scenario.pool.devices = 2;
    scenario.pool.kv_blocks = 20;
    scenario.workload.requests = 60;
    scenario.workload.arrivals.requests_per_second = 10'000;
    scenario.workload.prompt.value = 40;
    scenario.workload.output.value = 80;
    scenario.scheduler.max_queued.requests = 20;
    const auto model = model::SyntheticModel();
    ASSERT_TRUE(model.ok());
    auto result = RunScenario(scenario, **model);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_GT(result->records.preemptions, 0);
    ASSERT_GT(result->records.requests.size(), 10u);
    ASSERT_LT(result->records.requests.size(), 60u);  // some were refused
    result_ = std::make_unique<SimulationResult>(*std::move(result));
  }

  absl::Status Check() const { return CheckConservation(*result_, *idle_.scheduler); }

  void ExpectFailure(const char* what) const {
    const absl::Status status = Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << what;
    EXPECT_THAT(std::string(status.message()), HasSubstr(what));
  }

  std::unique_ptr<SimulationResult> result_;
  tests::Core idle_;
};

constexpr Energy kLeast = Energy::FromPicojoules(1);

TEST_F(ConservationTest, HoldsForTheRunAsItWas) { EXPECT_TRUE(Check().ok()) << Check(); }

TEST_F(ConservationTest, OnePicojouleTooManyIsFound) {
  result_->records.requests[3].prefill_energy += kLeast;
  ExpectFailure("prefill energy");
}

TEST_F(ConservationTest, OnePicojouleTooFewIsFound) {
  result_->records.requests[5].decode_energy -= kLeast;
  ExpectFailure("decode energy");
}

TEST_F(ConservationTest, OnePicojouleOfWasteOnADeviceIsFound) {
  result_->devices[1].energy.waste += kLeast;
  ExpectFailure("wasted energy");
}

TEST_F(ConservationTest, ARequestThatNeverEndedIsFound) {
  scheduler::RequestRecord lost = result_->records.requests.back();
  result_->records.requests.pop_back();
  // Its energy goes to another, so that only the count is off.
  result_->records.requests[0].prefill_energy += lost.prefill_energy;
  result_->records.requests[0].decode_energy += lost.decode_energy;
  result_->records.requests[0].waste_energy += lost.waste_energy;
  ExpectFailure("admitted and ended");
}

TEST_F(ConservationTest, ARequestThatEndedTwiceIsFound) {
  scheduler::RequestRecord twin = result_->records.requests[0];
  twin.prefill_energy = twin.decode_energy = twin.waste_energy = Energy();
  result_->records.requests.push_back(twin);
  ExpectFailure("ended twice");
}

TEST_F(ConservationTest, ARequestThatNobodyAnsweredIsFound) {
  result_->offered += 1;
  ExpectFailure("offered");
}

TEST_F(ConservationTest, ABlockThatStaysBehindIsFound) {
  result_->devices[0].kv_blocks_used = 1;
  ExpectFailure("device 0 still has 1 KV blocks");
}

TEST_F(ConservationTest, ALiveRequestIsFound) {
  idle_.scheduler->Submit(idle_.NewRequest(10, 10));
  ExpectFailure("still live");
  idle_.loop.Run();
}

TEST(CheckDevicesTest, HoldsAfterEveryEvent) {
  tests::CoreOptions options{.devices = 2, .kv_blocks = 12};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  tests::Core core(options);
  std::vector<device::Device*> devices;
  for (const auto& device : core.devices) devices.push_back(device.get());
  for (int i = 0; i < 8; ++i) core.scheduler->Submit(core.NewRequest(50, 60));
  while (core.loop.RunOne()) {
    const absl::Status status = CheckDevices(devices);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_GT(core.observer.preempted, 0);
}

}  // namespace
}  // namespace scoville::sim
