// Steps a core from event to event and integrates what stands between two instants.
#ifndef SCOVILLE_TESTS_SIMULATION_CORE_WALK_H_
#define SCOVILLE_TESTS_SIMULATION_CORE_WALK_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "tests/support/core_fixture.h"

namespace scoville::tests {

class CoreWalk {
 public:
  explicit CoreWalk(Core* core) : core_(core) {}

  // Runs until nothing is pending, or until `end`.
  void Run(TimePoint end = TimePoint::Max()) {
    while (core_->loop.pending() > 0 && core_->loop.Now() < end) {
      const State before = Observe();
      const TimePoint from = core_->loop.Now();
      core_->loop.RunOne();
      const Duration held = core_->loop.Now() - from;
      if (held > Duration()) {
        in_system_ns += before.live * held.value();
        idle_beside_waiting += before.idle_device && before.waiting > 0 ? held : Duration();
      }
      const State after = Observe();
      most_waiting = std::max(most_waiting, after.waiting);
      most_live = std::max(most_live, after.live);
      // Whatever waits, something will happen.
      if (after.live > 0) {
        ASSERT_GT(core_->loop.pending(), 0u);
        const scheduler::Liveness liveness = core_->scheduler->CheckLiveness();
        ASSERT_TRUE(liveness.stuck.empty()) << liveness.stuck.front();
      }
    }
  }

  __int128 in_system_ns = 0;     // integral of the number of live requests
  Duration idle_beside_waiting;  // device with nothing placed on it, while the queue was not empty
  int64_t most_waiting = 0;
  int64_t most_live = 0;

 private:
  struct State {
    int64_t live = 0;
    int64_t waiting = 0;
    bool idle_device = false;
  };

  State Observe() const {
    const scheduler::PoolStatus status = core_->scheduler->Status();
    State state;
    state.waiting = status.waiting;
    state.live = status.waiting;
    for (int32_t running : status.running) {
      state.live += running;
      state.idle_device |= running == 0;
    }
    return state;
  }

  Core* const core_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_SIMULATION_CORE_WALK_H_
