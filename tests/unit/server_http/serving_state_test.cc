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
  state.Report(At(0), /*running=*/0, /*steps=*/5);
  state.Report(At(100), 0, 5);
  EXPECT_EQ(state.NotReady(At(100), At(100)), "");
  state.Report(At(110), 3, 5);
  EXPECT_EQ(state.NotReady(At(110), At(110)), "");
  state.Report(At(111), 3, 5);
  EXPECT_THAT(state.NotReady(At(111), At(111)), HasSubstr("no step has ended for 11.0 s"));
  EXPECT_EQ(state.NotLive(At(111), At(111)), "");
  state.Report(At(112), 3, 6);
  EXPECT_EQ(state.NotReady(At(112), At(112)), "");
}

TEST(ServingStateTest, SlowHostsSetHowLongAStepMayTake) {
  ServingState state(Seconds(60));
  state.set_phase(ServingPhase::kReady);
  state.Report(At(0), /*running=*/0, /*steps=*/5);
  state.Report(At(60), 3, 5);
  EXPECT_EQ(state.NotReady(At(60), At(60)), "");
  state.Report(At(61), 3, 5);
  EXPECT_THAT(state.NotReady(At(61), At(61)), HasSubstr("no step has ended for 61.0 s"));
}

}  // namespace
}  // namespace scoville::server
