// Clients that go away, at any moment, leave nothing behind.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "tests/simulation/core_walk.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::Phase;

// Everything that can be left behind: requests, blocks, timers, sinks.
void ExpectNothingLeft(Core& core, const std::vector<std::shared_ptr<SinkLog>>& logs) {
  EXPECT_TRUE(core.scheduler->idle());
  EXPECT_EQ(core.UsedBlocks(), 0);
  EXPECT_EQ(core.loop.pending(), 0u);
  const scheduler::PoolStatus status = core.scheduler->Status();
  EXPECT_EQ(status.waiting, 0);
  EXPECT_EQ(status.paused, 0);
  for (int32_t running : status.running) {
    EXPECT_EQ(running, 0);
  }
  for (const auto& device : core.devices) {
    device->kv().CheckInvariants();
    EXPECT_FALSE(device->busy());
  }
  for (const auto& log : logs) {
    ASSERT_EQ(log.use_count(), 1);  // its sink is gone
  }
}

// Mirrors sgl-project/sglang #37833, #36333 and #36876: dead rows stayed in the batch, and
// blocks leaked.
TEST(CancellationScenarios, DisconnectsInAllPhasesLeaveEverythingAtZero) {
  constexpr int kRequests = 6'000;
  CoreOptions options{.devices = 2,
                      .kv_blocks = 40,
                      .max_queued_requests = 30,
                      .max_running = 12,
                      .max_step_tokens = 48};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;  // so that some are preempted
  Core core(options);
  std::vector<std::shared_ptr<SinkLog>> logs;
  std::vector<std::pair<RequestId, std::shared_ptr<SinkLog>>> live;
  int64_t phases[3] = {0, 0, 0};
  int64_t admitted = 0;
  for (uint64_t i = 0; i < kRequests; ++i) {
    core.loop.RunUntil(core.loop.Now() +
                       Nanoseconds(static_cast<int64_t>(RandomBelow(5, 1, i, 1'500'000))));
    auto log = std::make_shared<SinkLog>();
    log->congested = RandomBelow(5, 2, i, 16) == 0;
    const auto submitted = core.scheduler->Submit(
        core.NewRequest(1 + static_cast<int64_t>(RandomBelow(5, 3, i, 200)),
                        1 + static_cast<int64_t>(RandomBelow(5, 4, i, 60)), log));
    if (!submitted.refusal) {
      ++admitted;
      logs.push_back(log);
      live.emplace_back(submitted.id, log);
      // Slow readers come back.
      core.loop.RunAt(core.loop.Now() + Milliseconds(20), EventClass::kCancel, i,
                      [&core, id = submitted.id, reader = log.get()] {
                        reader->congested = false;
                        core.scheduler->ReaderCaughtUp(id);
                      });
    }
    // One of the recent goes away; some go away twice.
    if (!live.empty() && RandomBelow(5, 5, i, 4) != 0) {
      const size_t at = RandomBelow(5, 6, i, live.size());
      if (const auto status = core.scheduler->Explain(live[at].first)) {
        ++phases[static_cast<size_t>(status->phase)];
      }
      core.scheduler->Cancel(live[at].first);
    }
    if (live.size() > 40) {
      live.erase(live.begin(), live.begin() + 20);
    }
  }
  live.clear();
  core.loop.Run();
  ExpectNothingLeft(core, logs);
  EXPECT_GT(phases[static_cast<size_t>(Phase::kQueued)], 100);
  EXPECT_GT(phases[static_cast<size_t>(Phase::kPrefill)], 50);
  EXPECT_GT(phases[static_cast<size_t>(Phase::kDecode)], 100);
  EXPECT_GT(core.observer.preempted, 0);
  EXPECT_EQ(static_cast<int64_t>(core.observer.ended.size()), admitted);
  int64_t cancelled = 0;
  for (const scheduler::RequestRecord& record : core.observer.ended) {
    cancelled += record.outcome == Outcome::kCancelled ? 1 : 0;
  }
  EXPECT_GT(cancelled, 1'000);
}

// Mirrors triton-inference-server/server #6920: a request went on computing after its time
// was up.
TEST(CancellationScenarios, AfterADeadlineWithinAPromptTheDeviceWorksAtMostOneStep) {
  for (int64_t chunk : {16, 64, 512}) {
    Core core({.kv_blocks = 512, .max_step_tokens = chunk});
    std::vector<std::shared_ptr<SinkLog>> logs = {std::make_shared<SinkLog>()};
    // A first request gives the scale: the deadline falls into the middle of the prompt.
    core.scheduler->Submit(core.NewRequest(6'000, 100));
    core.loop.Run();
    const Duration whole = core.observer.ended[0].first_token - core.observer.ended[0].arrival;
    const size_t steps_before = core.observer.steps.size();

    scheduler::Request request = core.NewRequest(6'000, 100, logs[0]);
    const TimePoint deadline = core.loop.Now() + whole / 2;
    request.deadline = deadline;
    ASSERT_FALSE(core.scheduler->Submit(std::move(request)).refusal);
    core.loop.Run();
    const SinkLog* log = logs[0].get();
    ASSERT_TRUE(log->end);
    EXPECT_EQ(log->end->outcome, Outcome::kDeadlineExceeded);
    EXPECT_TRUE(log->tokens.empty());
    ASSERT_GT(core.observer.steps.size(), steps_before + 1);
    for (size_t i = steps_before; i < core.observer.steps.size(); ++i) {
      EXPECT_LT(core.observer.steps[i].start, deadline);  // none begins after it
    }
    EXPECT_LE(log->end->end - deadline, core.observer.steps.back().duration);
    ExpectNothingLeft(core, logs);
  }
}

TEST(CancellationScenarios, ADeadlineInTheQueueEndsAtThatInstant) {
  Core core({.max_running = 1});
  core.scheduler->Submit(core.NewRequest(100, 1'000));
  auto log = std::make_shared<SinkLog>();
  scheduler::Request request = core.NewRequest(10, 10, log);
  request.deadline = TimePoint(7'777);
  core.scheduler->Submit(std::move(request));
  core.loop.RunUntil(TimePoint(7'777));
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->outcome, Outcome::kDeadlineExceeded);
  EXPECT_EQ(log->end->end, TimePoint(7'777));
  core.loop.Run();
}

}  // namespace
}  // namespace scoville::tests
