// Whatever happens to a request, its joules and the waste are the meter's, to the picojoule: each
// way of losing work by itself.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/simulation/core_walk.h"
#include "tests/simulation/energy_books.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::RequestRecord;

class EnergyConservation : public ::testing::Test {
 protected:
  void Start(const CoreOptions& options, int requests = 12, int64_t prompt = 60,
             int64_t output = 80) {
    core_ = std::make_unique<Core>(options);
    for (int i = 0; i < requests; ++i) {
      logs_.push_back(std::make_shared<SinkLog>());
      const auto submitted =
          core_->scheduler->Submit(core_->NewRequest(prompt + i, output + i, logs_.back()));
      ASSERT_FALSE(submitted.refusal);
      ids_.push_back(submitted.id);
    }
  }

  // Into the midst of the next step of device 0 that begins after `at`.
  void RunIntoAStep(Duration at) {
    core_->loop.RunUntil(TimePoint() + at);
    while (!core_->devices[0]->busy()) {
      ASSERT_TRUE(core_->loop.RunOne());
    }
    core_->loop.RunUntil(core_->loop.Now() + Microseconds(20));
    ASSERT_TRUE(core_->devices[0]->busy());
  }

  // To the end, and some idle time.
  void Finish() {
    CoreWalk(core_.get()).Run();
    core_->loop.RunUntil(core_->loop.Now() + Milliseconds(5));
    ASSERT_TRUE(core_->scheduler->idle());
    ASSERT_EQ(core_->observer.ended.size(), ids_.size());
    ExpectJoulesAddUp(core_->observer, core_->Metered());
    EXPECT_GT(core_->Metered().idle, Energy());
  }

  void ExpectAllComplete() const {
    for (const RequestRecord& record : core_->observer.ended) {
      EXPECT_EQ(record.outcome, Outcome::kLength);
    }
  }

  std::unique_ptr<Core> core_;
  std::vector<std::shared_ptr<SinkLog>> logs_;
  std::vector<RequestId> ids_;
};

TEST_F(EnergyConservation, AcrossPreemptions) {
  CoreOptions options{.kv_blocks = 30};
  options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
  Start(options);
  Finish();
  ExpectAllComplete();
  EXPECT_GT(core_->observer.preempted, 0);
  EXPECT_GT(core_->Metered().waste, Energy());
}

TEST_F(EnergyConservation, AcrossCancelsInTheMidstOfAStep) {
  Start({.kv_blocks = 512, .max_step_tokens = 64});
  RunIntoAStep(Milliseconds(1));
  core_->scheduler->Cancel(ids_[0]);
  core_->scheduler->Cancel(ids_[5]);
  RunIntoAStep(Milliseconds(8));
  core_->scheduler->Cancel(ids_[1]);
  Finish();
  int cancelled = 0;
  for (const RequestRecord& record : core_->observer.ended) {
    cancelled += record.outcome == Outcome::kCancelled ? 1 : 0;
  }
  EXPECT_EQ(cancelled, 3);
}

TEST_F(EnergyConservation, AcrossTheDeathOfADeviceInTheMidstOfAStep) {
  Start({.devices = 2});
  RunIntoAStep(Milliseconds(6));
  core_->devices[0]->Kill();
  Finish();
  ExpectAllComplete();
  EXPECT_EQ(core_->observer.lost.size(), 1u);
  EXPECT_GT(core_->observer.migrated, 0);
  EXPECT_GT(core_->Metered().waste, Energy());
}

TEST_F(EnergyConservation, AcrossTheDeathAndReturnOfADeviceThatIsIdle) {
  Start({.devices = 2}, 1);
  const uint32_t idle = core_->devices[0]->busy() ? 1 : 0;
  core_->devices[idle]->Kill();
  ASSERT_TRUE(core_->scheduler->FenceDevice(DeviceId{idle}).ok());
  core_->loop.RunUntil(TimePoint() + Milliseconds(2));
  ASSERT_TRUE(core_->scheduler->ReturnDevice(DeviceId{idle}).ok());
  Finish();
  ExpectAllComplete();
}

TEST_F(EnergyConservation, AcrossAStepThatNeverEnds) {
  Start({.devices = 2});
  RunIntoAStep(Milliseconds(6));
  core_->devices[0]->Hang();
  Finish();
  ExpectAllComplete();
  EXPECT_EQ(core_->observer.lost.size(), 1u);
  EXPECT_GT(core_->Metered().waste, Energy());
}

TEST_F(EnergyConservation, AcrossLostPages) {
  Start({.devices = 2});
  RunIntoAStep(Milliseconds(6));
  std::vector<uint32_t> pages;
  for (uint32_t page = 0; page < 20; ++page) {
    pages.push_back(page);
  }
  ASSERT_TRUE(core_->scheduler->LosePages(DeviceId{0}, pages).ok());
  Finish();
  ExpectAllComplete();
  EXPECT_EQ(core_->devices[0]->kv().bad_blocks(), 20);
  EXPECT_GT(core_->Metered().waste, Energy());  // what was in them was computed again
}

TEST_F(EnergyConservation, AcrossMovesFromADrainedDevice) {
  Start({.devices = 2});
  RunIntoAStep(Milliseconds(6));
  ASSERT_TRUE(core_->scheduler->DrainDevice(DeviceId{0}, /*migrate=*/true).ok());
  Finish();
  ExpectAllComplete();
  EXPECT_GT(core_->observer.migrated, 0);
  // Their pages go along: nothing is computed again.
  EXPECT_EQ(core_->Metered().waste, Energy());
}

TEST_F(EnergyConservation, AcrossAnOperatorsFenceAndTheReturn) {
  Start({.devices = 2}, 30);
  RunIntoAStep(Milliseconds(4));
  ASSERT_TRUE(core_->scheduler->FenceDevice(DeviceId{0}).ok());
  core_->loop.RunUntil(core_->loop.Now() + Milliseconds(3));
  ASSERT_TRUE(core_->scheduler->ReturnDevice(DeviceId{0}).ok());
  Finish();
  ExpectAllComplete();
}

TEST_F(EnergyConservation, AcrossSlowStepsAndDraftsThatAreWrong) {
  CoreOptions options{.devices = 2};
  options.scheduler.max_drafts = 4;
  Start(options);
  core_->devices[0]->SlowDown(250);
  Finish();
  ExpectAllComplete();
  int64_t wrong = 0;
  for (const RequestRecord& record : core_->observer.ended) {
    wrong += record.draft_tokens - record.accepted_draft_tokens;
  }
  EXPECT_GT(wrong, 0);
}

TEST_F(EnergyConservation, WithAPromptThatIsCachedAndSharedByChoices) {
  Start({.kv_blocks = 512, .prefix_cache = true}, 3, 100);
  core_->loop.Run();
  std::vector<scheduler::Request> choices;
  for (int i = 0; i < 4; ++i) {
    choices.push_back(core_->NewRequest(100, 40));
  }
  const auto submitted = core_->scheduler->SubmitChoices(std::move(choices));
  ASSERT_FALSE(submitted.refusal);
  ids_.insert(ids_.end(), submitted.ids.begin(), submitted.ids.end());
  Finish();
  ExpectAllComplete();
  EXPECT_GT(core_->observer.ended.back().cached_tokens, 0);
}

}  // namespace
}  // namespace scoville::tests
