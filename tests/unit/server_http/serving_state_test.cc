#include "server/http/serving_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace scoville::server {
namespace {

using ::testing::HasSubstr;

TimePoint At(int64_t seconds) { return TimePoint() + Seconds(seconds); }

TEST(ServingStateTest, IsReadyOnlyInItsReadyPhase) {
  ServingState state;
  EXPECT_EQ(state.NotReady(At(1), At(1)), "starting");
  state.set_phase(ServingPhase::kReady);
  EXPECT_EQ(state.NotReady(At(1), At(1)), "");
  EXPECT_FALSE(state.draining());
  for (const ServingPhase phase : {ServingPhase::kLameduck, ServingPhase::kDraining}) {
    state.set_phase(phase);
    EXPECT_EQ(state.NotReady(At(1), At(1)), "draining");
    EXPECT_TRUE(state.draining());
    EXPECT_EQ(state.NotLive(At(1), At(1)), "");
  }
}

TEST(ServingStateTest, ALoopThatStandsStillIsNeitherLiveNorReady) {
  ServingState state;
  state.set_phase(ServingPhase::kReady);
  EXPECT_EQ(state.NotLive(At(15), At(10)), "");
  EXPECT_THAT(state.NotLive(At(16), At(10)), HasSubstr("not turned for 6.0 s"));
  EXPECT_THAT(state.NotReady(At(16), At(10)), HasSubstr("not turned"));
}

TEST(ServingStateTest, WorkWithoutStepsIsNoProgressAndIdleIsNotStalled) {
  ServingState state;
  state.set_phase(ServingPhase::kReady);
  state.Report({.now = At(0), .running = 0, .steps = 5});
  state.Report({.now = At(100), .running = 0, .steps = 5});
  EXPECT_EQ(state.NotReady(At(100), At(100)), "");
  state.Report({.now = At(110), .running = 3, .steps = 5});
  EXPECT_EQ(state.NotReady(At(110), At(110)), "");
  state.Report({.now = At(111), .running = 3, .steps = 5});
  EXPECT_THAT(state.NotReady(At(111), At(111)), HasSubstr("no step has ended for 11.0 s"));
  EXPECT_EQ(state.NotLive(At(111), At(111)), "");
  state.Report({.now = At(112), .running = 3, .steps = 6});
  EXPECT_EQ(state.NotReady(At(112), At(112)), "");
}

TEST(ServingStateTest, SlowHostsSetHowLongAStepMayTake) {
  ServingState state(Seconds(60));
  state.set_phase(ServingPhase::kReady);
  state.Report({.now = At(0), .running = 0, .steps = 5});
  state.Report({.now = At(60), .running = 3, .steps = 5});
  EXPECT_EQ(state.NotReady(At(60), At(60)), "");
  state.Report({.now = At(61), .running = 3, .steps = 5});
  EXPECT_THAT(state.NotReady(At(61), At(61)), HasSubstr("no step has ended for 61.0 s"));
}

TEST(ServingStateTest, WhatWaitsForNothingIsNotReadyAfterTheBoundWithTheReason) {
  ServingState state(Seconds(10));
  state.set_phase(ServingPhase::kReady);
  state.Report({.now = At(0)});
  const auto stuck = [&](int64_t second) {
    state.Report({.now = At(second), .steps = second, .stuck = "device 1 waits for nothing"});
  };
  stuck(1);
  stuck(10);
  EXPECT_EQ(state.NotReady(At(10), At(10)), "");
  stuck(11);
  EXPECT_EQ(state.NotReady(At(11), At(11)), "stuck for 11.0 s: device 1 waits for nothing");
  EXPECT_EQ(state.NotLive(At(11), At(11)), "");
  state.Report({.now = At(12)});
  EXPECT_EQ(state.NotReady(At(12), At(12)), "");
  stuck(13);
  EXPECT_EQ(state.NotReady(At(13), At(13)), "");
}

TEST(ServingStateTest, IsNotReadyWithoutADevice) {
  ServingState state;
  state.set_phase(ServingPhase::kReady);
  state.Report({.now = At(1), .no_device = "no device takes work: 2 lost"});
  EXPECT_EQ(state.NotReady(At(1), At(1)), "no device takes work: 2 lost");
  EXPECT_EQ(state.NotLive(At(1), At(1)), "");
  state.Report({.now = At(2)});
  EXPECT_EQ(state.NotReady(At(2), At(2)), "");
}

}  // namespace
}  // namespace scoville::server
