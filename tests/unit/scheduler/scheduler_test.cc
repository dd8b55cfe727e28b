#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "tests/support/core_fixture.h"

namespace scoville::scheduler {
namespace {

using tests::Core;
using tests::CoreOptions;
using tests::SinkLog;

TEST(SchedulerTest, OneRequestRunsThrough) {
  Core core;
  auto log = std::make_shared<SinkLog>();
  const SubmitResult submitted = core.scheduler->Submit(core.NewRequest(20, 5, log));
  ASSERT_FALSE(submitted.refusal);
  core.loop.Run();
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->outcome, Outcome::kLength);
  EXPECT_EQ(log->tokens.size(), 5u);
  EXPECT_EQ(log->end->output_tokens, 5);
  EXPECT_EQ(log->end->prompt_tokens, 20);
  EXPECT_GT(log->end->prefill_energy, Energy());
  EXPECT_GT(log->end->decode_energy, Energy());
  EXPECT_EQ(log->end->waste_energy, Energy());
  EXPECT_GT(log->end->first_token, log->end->scheduled);
  EXPECT_TRUE(core.scheduler->idle());
  EXPECT_EQ(core.UsedBlocks(), 0);
  EXPECT_EQ(core.observer.steps.size(), 5u);
}

TEST(SchedulerTest, JoulesAddUpExactly) {
  CoreOptions options{.devices = 3, .kv_blocks = 24};
  options.scheduler.join = JoinPolicy::kPromptFits;
  Core core(options);
  for (int i = 0; i < 40; ++i) {
    core.scheduler->Submit(core.NewRequest(30 + 3 * i, 20 + i));
  }
  core.loop.Run();
  core.loop.RunUntil(core.loop.Now() + Milliseconds(10));
  EXPECT_GT(core.observer.preempted, 0);
  device::EnergyBuckets requests;
  for (const RequestRecord& r : core.observer.ended) {
    requests.prefill += r.prefill_energy;
    requests.decode += r.decode_energy;
    requests.waste += r.waste_energy;
  }
  const device::EnergyBuckets metered = core.Metered();
  EXPECT_EQ(requests.prefill, metered.prefill);
  EXPECT_EQ(requests.decode, metered.decode);
  EXPECT_EQ(requests.waste, metered.waste);
  EXPECT_GT(metered.waste, Energy());
  EXPECT_GT(metered.idle, Energy());
  EXPECT_EQ(core.observer.ended.size(), 40u);
}

TEST(SchedulerTest, APreemptedRequestGivesTheSameTokens) {
  auto run = [](int64_t kv_blocks) {
    CoreOptions options{.kv_blocks = kv_blocks};
    options.scheduler.join = JoinPolicy::kPromptFits;
    Core core(options);
    std::vector<std::shared_ptr<SinkLog>> logs;
    for (int i = 0; i < 6; ++i) {
      logs.push_back(std::make_shared<SinkLog>());
      core.scheduler->Submit(core.NewRequest(20, 60, logs.back()));
    }
    core.loop.Run();
    std::vector<std::vector<int32_t>> tokens;
    tokens.reserve(logs.size());
    for (const auto& log : logs) tokens.push_back(log->tokens);
    return std::pair(tokens, core.observer.preempted);
  };
  const auto [roomy, none] = run(256);
  const auto [tight, some] = run(14);
  EXPECT_EQ(none, 0);
  EXPECT_GT(some, 0);
  EXPECT_EQ(roomy, tight);
}

TEST(SchedulerTest, ARequestThatNeedsExactlyTheWholePoolRuns) {
  Core core({.kv_blocks = 8});
  auto log = std::make_shared<SinkLog>();
  core.scheduler->Submit(core.NewRequest(100, 28, log));
  core.loop.Run();
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->output_tokens, 28);
  const SubmitResult more = core.scheduler->Submit(core.NewRequest(100, 29));
  ASSERT_TRUE(more.refusal);
  EXPECT_EQ(more.refusal->reason, RefusalReason::kNeverFits);
}

TEST(SchedulerTest, CancelFreesAtOnceWhenQueuedAndAtTheStepsEndWhenRunning) {
  Core core({.max_running = 1});
  auto running = std::make_shared<SinkLog>();
  auto queued = std::make_shared<SinkLog>();
  const RequestId a = core.scheduler->Submit(core.NewRequest(20, 1000, running)).id;
  const RequestId b = core.scheduler->Submit(core.NewRequest(20, 1000, queued)).id;
  core.loop.RunUntil(TimePoint(1'000));  // within the first step
  core.scheduler->Cancel(b);
  EXPECT_TRUE(queued->end);
  core.scheduler->Cancel(a);
  EXPECT_FALSE(running->end);
  EXPECT_GT(core.UsedBlocks(), 0);
  core.loop.Run();
  ASSERT_TRUE(running->end);
  EXPECT_EQ(running->end->outcome, Outcome::kCancelled);
  EXPECT_EQ(core.observer.steps.size(), 1u);
  EXPECT_EQ(core.UsedBlocks(), 0);
  EXPECT_TRUE(core.scheduler->idle());
}

TEST(SchedulerTest, AnExpiredDeadlineEndsWithinOneStep) {
  Core core;
  auto log = std::make_shared<SinkLog>();
  Request request = core.NewRequest(3000, 1000, log);
  request.deadline = TimePoint(1'000'000);
  core.scheduler->Submit(std::move(request));
  core.loop.Run();
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->outcome, Outcome::kDeadlineExceeded);
  const device::StepRecord& last = core.observer.steps.back();
  EXPECT_LE(last.start, TimePoint(1'000'000));
}

TEST(SchedulerTest, ASlowReaderPausesOnlyItself) {
  Core core;
  auto slow = std::make_shared<SinkLog>();
  auto other = std::make_shared<SinkLog>();
  const RequestId id = core.scheduler->Submit(core.NewRequest(10, 50, slow)).id;
  core.scheduler->Submit(core.NewRequest(10, 50, other));
  slow->congested = true;
  core.loop.RunUntil(TimePoint() + Seconds(1));
  EXPECT_EQ(slow->tokens.size(), 1u);
  EXPECT_EQ(core.scheduler->Explain(id)->wait, WaitReason::kClient);
  EXPECT_TRUE(other->end);
  slow->congested = false;
  core.scheduler->ReaderCaughtUp(id);
  core.loop.Run();
  ASSERT_TRUE(slow->end);
  EXPECT_EQ(slow->end->output_tokens, 50);
  EXPECT_GT(slow->end->client_stall, Milliseconds(900));
}

TEST(SchedulerTest, AReaderThatNeverComesBackIsGivenUp) {
  Core core;
  auto log = std::make_shared<SinkLog>();
  log->congested = true;
  core.scheduler->Submit(core.NewRequest(10, 50, log));
  core.loop.Run();
  ASSERT_TRUE(log->end);
  EXPECT_EQ(log->end->outcome, Outcome::kSlowConsumer);
  EXPECT_EQ(core.UsedBlocks(), 0);
}

TEST(SchedulerTest, StopTokensAreHeldBackUntilMinTokens) {
  Core core;
  auto log = std::make_shared<SinkLog>();
  Request request = core.NewRequest(10, 100, log);
  request.stop_tokens = {100, 101, 102, 103, 104};  // all but 105 of what can be drawn
  request.min_tokens = 7;
  core.scheduler->Submit(std::move(request));
  core.loop.Run();
  ASSERT_TRUE(log->end);
  ASSERT_GE(log->tokens.size(), 8u);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(log->tokens[i], 105);
  EXPECT_EQ(log->end->outcome, Outcome::kStop);
}

TEST(SchedulerTest, TheQueueIsBoundedAndSaysWhenToComeBack) {
  Core core({.max_queued_requests = 3, .max_running = 1});
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(core.scheduler->Submit(core.NewRequest(10, 10)).refusal);
  }
  const SubmitResult refused = core.scheduler->Submit(core.NewRequest(10, 10));
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->reason, RefusalReason::kQueueFull);
  EXPECT_GT(refused.refusal->retry_after, Duration());
  EXPECT_EQ(core.observer.refused.size(), 1u);
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), 4u);
}

TEST(SchedulerTest, WhatWaitsIsBoundedInBytesAndInTime) {
  CoreOptions options{.max_running = 1};
  options.scheduler.max_queued_by_class[1].bytes = 250;
  Core core(options);
  const auto submit = [&](int64_t bytes) {
    Request request = core.NewRequest(10, 10);
    request.bytes = bytes;
    return core.scheduler->Submit(std::move(request));
  };
  EXPECT_FALSE(submit(1'000'000).refusal);  // runs
  EXPECT_FALSE(submit(200).refusal);
  EXPECT_TRUE(submit(51).refusal);
  const RequestId last = submit(50).id;
  EXPECT_TRUE(submit(1).refusal);
  core.scheduler->Cancel(last);
  EXPECT_FALSE(submit(50).refusal);
  core.loop.Run();
  EXPECT_FALSE(submit(1'000'000).refusal);
  core.loop.Run();

  // Twice the prompts, about half as many of them wait; two devices, about twice as many.
  const auto taken = [](int32_t devices, int64_t prompt) {
    CoreOptions timed{.devices = devices, .kv_blocks = 2048, .max_running = 1};
    timed.scheduler.max_queued.time = Milliseconds(20);
    Core other(timed);
    int64_t count = 0;
    while (!other.scheduler->Submit(other.NewRequest(prompt, 1)).refusal) ++count;
    EXPECT_EQ(other.observer.refused.back().bound, "time");
    EXPECT_GT(other.observer.refused.back().retry_after, Duration());
    other.loop.Run();
    return count - devices;
  };
  const int64_t one = taken(1, 1024);
  EXPECT_GT(one, 4);
  EXPECT_NEAR(static_cast<double>(taken(1, 2048)), static_cast<double>(one) / 2, 2);
  EXPECT_NEAR(static_cast<double>(taken(2, 1024)), static_cast<double>(one) * 2, 2);
}

TEST(SchedulerTest, ChoicesThatWaitForTheirLeaderCount) {
  CoreOptions options{.max_running = 8};
  options.scheduler.max_queued_by_tenant.bytes = 100;
  Core core(options);
  const auto choices = [&](int count) {
    std::vector<Request> out;
    for (int i = 0; i < count; ++i) {
      out.push_back(core.NewRequest(100, 5));
      out.back().bytes = 40;
    }
    return core.scheduler->SubmitChoices(std::move(out));
  };
  EXPECT_TRUE(choices(3).refusal);
  EXPECT_FALSE(choices(2).refusal);
  EXPECT_TRUE(choices(2).refusal) << "one waits for the first";
  core.loop.Run();
  EXPECT_FALSE(choices(2).refusal);
  core.loop.Run();
}

TEST(SchedulerTest, ExplainNamesWhatBinds) {
  Core core({.kv_blocks = 24});
  core.scheduler->Submit(core.NewRequest(200, 100));
  const RequestId second = core.scheduler->Submit(core.NewRequest(200, 100)).id;
  const RequestId third = core.scheduler->Submit(core.NewRequest(10, 10)).id;
  core.loop.RunUntil(TimePoint(1'000));
  const auto blocked = core.scheduler->Explain(second);
  ASSERT_TRUE(blocked);
  EXPECT_EQ(blocked->wait, WaitReason::kKv);
  EXPECT_NE(blocked->detail.find("needs 13 blocks"), std::string::npos) << blocked->detail;
  // The third is small enough to pass the second.
  EXPECT_EQ(core.scheduler->Explain(third)->phase, Phase::kPrefill)
      << core.scheduler->Explain(third)->detail;
  EXPECT_EQ(blocked->rank, 0);
  EXPECT_GT(blocked->wait_bound, Duration());
  EXPECT_FALSE(core.scheduler->Explain(RequestId{99}));
  core.loop.Run();
  EXPECT_EQ(core.observer.ended.size(), 3u);
}

TEST(SchedulerTest, DrainRefusesNewWorkAndFinishesTheOld) {
  Core core;
  auto log = std::make_shared<SinkLog>();
  core.scheduler->Submit(core.NewRequest(10, 10, log));
  core.scheduler->StartDrain();
  const SubmitResult refused = core.scheduler->Submit(core.NewRequest(10, 10));
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->reason, RefusalReason::kDraining);
  core.loop.Run();
  EXPECT_EQ(log->end->outcome, Outcome::kLength);
}

TEST(SchedulerTest, PromptScoresComeOnceEachAlsoAcrossPreemption) {
  CoreOptions options{.kv_blocks = 8, .max_step_tokens = 16};
  options.scheduler.join = JoinPolicy::kPromptFits;
  Core core(options);
  std::vector<std::shared_ptr<SinkLog>> logs;
  for (int i = 0; i < 3; ++i) {
    logs.push_back(std::make_shared<SinkLog>());
    Request request = core.NewRequest(40, 60, logs.back());
    request.sampling.prompt_logprobs = 0;
    core.scheduler->Submit(std::move(request));
  }
  core.loop.Run();
  EXPECT_GT(core.observer.preempted, 0);
  for (const auto& log : logs) EXPECT_EQ(log->prompt_scores.size(), 39u);
}

// Random submits, cancels and slow readers: everything ends once, and nothing stays behind.
TEST(SchedulerTest, ChurnLeavesNothingBehind) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Core core({.devices = 1 + static_cast<int32_t>(RandomBelow(seed, 0, 0, 3)),
               .kv_blocks = 8 + static_cast<int64_t>(RandomBelow(seed, 0, 1, 30)),
               .max_queued_requests = 20,
               .max_running = 1 + static_cast<int32_t>(RandomBelow(seed, 0, 2, 8)),
               .max_step_tokens = 1 + static_cast<int64_t>(RandomBelow(seed, 0, 3, 100))});
    std::vector<std::shared_ptr<SinkLog>> logs;
    std::vector<RequestId> ids;
    int64_t admitted = 0;
    for (int i = 0; i < 200; ++i) {
      core.loop.RunUntil(core.loop.Now() + Microseconds(RandomBelow(seed, 1, i, 4'000)));
      logs.push_back(std::make_shared<SinkLog>());
      Request request = core.NewRequest(1 + RandomBelow(seed, 2, i, 100),
                                        1 + RandomBelow(seed, 3, i, 40), logs.back());
      if (RandomBelow(seed, 4, i, 5) == 0) {
        request.deadline = core.loop.Now() + Microseconds(1 + RandomBelow(seed, 5, i, 20'000));
      }
      if (RandomBelow(seed, 6, i, 10) == 0) logs.back()->congested = true;
      const SubmitResult result = core.scheduler->Submit(std::move(request));
      if (!result.refusal) {
        ++admitted;
        ids.push_back(result.id);
      }
      if (!ids.empty() && RandomBelow(seed, 7, i, 3) == 0) {
        core.scheduler->Cancel(ids[RandomBelow(seed, 8, i, ids.size())]);
      }
      for (const auto& device : core.devices) device->kv().CheckInvariants();
      core.Metered();  // settles and checks every meter
    }
    core.loop.Run();
    EXPECT_EQ(static_cast<int64_t>(core.observer.ended.size()), admitted) << "seed " << seed;
    EXPECT_TRUE(core.scheduler->idle());
    EXPECT_EQ(core.UsedBlocks(), 0);
  }
}

TEST(SchedulerTest, ConsolidationEndsWhereARequestsOwnTargetWouldBeMissed) {
  // Where a second request runs, and how long the first one's prompt takes.
  const auto run = [](Duration its_target) {
    Core core({.devices = 2, .kv_blocks = 2000, .routing = RoutePolicy::kConsolidate});
    auto first = std::make_shared<SinkLog>();
    auto second = std::make_shared<SinkLog>();
    core.scheduler->Submit(core.NewRequest(8'000, 50, first));
    core.loop.RunUntil(TimePoint() + Microseconds(10));
    Request request = core.NewRequest(100, 5, second);
    request.ttft_target = its_target;
    core.scheduler->Submit(std::move(request));
    core.loop.Run();
    return std::pair(second->end->device.value, first->end->first_token - first->end->arrival);
  };
  const auto [beside, prompt_time] = run(Duration());
  EXPECT_EQ(beside, 0u);
  EXPECT_EQ(run(prompt_time * 10).first, 0u) << "there is time for the first one's prompt";
  EXPECT_EQ(run(prompt_time / 2).first, 1u) << "not behind it";
}

TEST(SchedulerTest, TwoRunsAreEqual) {
  auto run = [] {
    Core core({.devices = 4, .kv_blocks = 20});
    for (int i = 0; i < 60; ++i) {
      core.loop.RunUntil(core.loop.Now() + Microseconds(100));
      core.scheduler->Submit(core.NewRequest(5 + i, 30));
    }
    core.loop.Run();
    std::vector<std::tuple<int64_t, int64_t, uint64_t, uint64_t>> trace;
    for (const device::StepRecord& s : core.observer.steps) {
      trace.emplace_back(s.start.ns(), s.end.ns(), s.plan_hash, s.token_hash);
    }
    return trace;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace scoville::scheduler
