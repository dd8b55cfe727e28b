// Token masks that come late: who waits for them, and what they change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/tiny_core.h"

namespace scoville::tests {
namespace {

using scheduler::Outcome;
using scheduler::WaitReason;
using ::testing::HasSubstr;

constexpr char kHeavy[] =
    R"({"type": "array", "minItems": 60, "items": {"type": "object", "properties": {"id":
    {"type": "integer"}, "tags": {"type": "array", "items": {"enum": ["red", "read", "reed",
    "rod", "seven", "sever"]}, "minItems": 3}, "text": {"type": "string", "minLength": 40}},
    "required": ["id", "tags", "text"]}})";

LateMasks::Delay Always(Duration delay) {
  return [delay](int64_t) { return std::optional(delay); };
}

class LateMasksScenarios : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = LoadTinyModel().release(); }
  static void TearDownTestSuite() { delete model_; }

  // Knows no mask yet, but those nearest to the beginning if `first`.
  static std::shared_ptr<const model::CompiledConstraint> Fresh(const std::string& schema,
                                                                bool first = false) {
    model::CompileLimits limits;
    limits.mask_steps = first ? 1'000 : 0;
    return TinyConstraint(*model_, model::ConstraintSpec::Kind::kJsonSchema, schema, limits);
  }
  static std::vector<int32_t> Prompt(uint64_t seed, int64_t words) {
    return TinyTokens(*model_, SomeText(seed, words));
  }

  static model::LoadedModel* model_;
  std::shared_ptr<const model::CompiledConstraint> first_;
};

model::LoadedModel* LateMasksScenarios::model_ = nullptr;

// Mirrors vllm-project/vllm #10081 and #18546: one request with a grammar took all others from
// 2,000 to 200 tokens/s.
TEST_F(LateMasksScenarios, ALateMaskHoldsItsOwnRowAndNoOther) {
  struct Told {
    std::vector<std::vector<uint64_t>> bits;
    std::vector<TimePoint> last_tokens;
    std::vector<Duration> gaps;  // between the ends of steps
    std::vector<int32_t> constrained;
    int64_t waited = 0;  // instants at which the constrained row was seen to wait
    int64_t asked = 0;
  };
  const auto run = [&](bool constrained, LateMasks::Delay masks_come) {
    TinyOptions options;
    options.masks_come = std::move(masks_come);
    TinyCore core(*model_, options);
    std::vector<std::shared_ptr<SinkLog>> logs;
    for (uint64_t i = 0; i < 5; ++i) {
      logs.push_back(core.Submit(
          {.prompt = Prompt(i, 10 + static_cast<int64_t>(i)), .max_tokens = 50, .seed = i})[0]);
    }
    const auto other = core.Submit({.prompt = Prompt(9, 12),
                                    .max_tokens = 45,
                                    .seed = 9,
                                    .constraint = constrained ? Fresh(kHeavy) : nullptr})[0];
    const RequestId id = core.ids[0];
    Told told;
    while (core.loop.RunOne()) {
      core.scheduler->CheckInvariants();
      EXPECT_TRUE(core.scheduler->CheckLiveness().stuck.empty() || core.loop.pending() > 0);
      const auto status = core.scheduler->Explain(id);
      if (status && status->wait == WaitReason::kMask) {
        ++told.waited;
        EXPECT_THAT(status->detail, HasSubstr("at most 5000 ms"));
        EXPECT_GT(status->wait_bound, Seconds(4));
        EXPECT_LE(status->wait_bound, Seconds(5));
      }
    }
    for (const auto& log : logs) {
      told.bits.push_back(Bits(log->sampled));
      told.last_tokens.push_back(log->end->last_token);
    }
    TimePoint before;
    for (const device::StepRecord& step : core.observer.steps) {
      told.gaps.push_back(step.end - before);
      before = step.end;
    }
    told.constrained = other->tokens;
    told.asked = core.masks != nullptr ? core.masks->made() : 0;
    return told;
  };
  const Told free = run(false, nullptr);
  const Told at_once = run(true, nullptr);
  const Told late = run(true, Always(Milliseconds(3)));
  EXPECT_EQ(at_once.last_tokens, free.last_tokens);
  EXPECT_EQ(late.bits, free.bits);
  EXPECT_EQ(late.constrained, at_once.constrained);
  EXPECT_GT(late.waited, 20);
  EXPECT_GT(late.asked, 20);
  // The others have a token in every step as before, and steps without the late row are shorter.
  for (size_t i = 0; i < late.last_tokens.size(); ++i) {
    EXPECT_LE(late.last_tokens[i], free.last_tokens[i]);
  }
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_LE(late.gaps[i], free.gaps[i]) << i;
  }
}

enum class Trouble { kNone, kPreemption, kDeath, kLostPages, kDrain, kCancel };

struct Answers {
  std::vector<std::vector<uint64_t>> bits;
  int64_t preempted = 0;
  int64_t migrated = 0;
  int64_t drafts = 0;
  int64_t asked = 0;
  bool struck_while_waiting = false;
};

class SameTextHoweverLate
    : public LateMasksScenarios,
      public ::testing::WithParamInterface<std::tuple<Trouble, int32_t, int64_t>> {
 protected:
  static Answers Run(Trouble trouble, int32_t max_drafts, LateMasks::Delay masks_come) {
    TinyOptions options{.devices = 2};
    options.scheduler.max_drafts = max_drafts;
    options.scheduler.routing = scheduler::RoutePolicy::kLeastLoaded;
    options.masks_come = std::move(masks_come);
    if (trouble == Trouble::kPreemption) {
      options.devices = 1;
      options.kv_blocks = 26;
      options.scheduler.join = scheduler::JoinPolicy::kPromptFits;
    }
    TinyCore core(*model_, options);
    const std::vector<std::shared_ptr<SinkLog>> logs = Ask(core);
    Answers answers;
    bool strike = trouble != Trouble::kNone && trouble != Trouble::kPreemption;
    while (core.loop.RunOne()) {
      core.scheduler->CheckInvariants();
      if (strike && core.observer.tokens > 80 && SomeoneWaits(core)) {
        strike = false;
        answers.struck_while_waiting = true;
        Strike(trouble, core);
      }
    }
    EXPECT_TRUE(core.scheduler->idle());
    ExpectJoulesAddUp(core.observer, core.Metered());
    for (const auto& log : logs) {
      CHECK(log->end);
      EXPECT_TRUE(scheduler::IsCompletion(log->end->outcome));
      answers.bits.push_back(Bits(log->sampled));
      answers.drafts += log->end->accepted_draft_tokens;
    }
    answers.preempted = core.observer.preempted;
    answers.migrated = core.observer.migrated;
    answers.asked = core.masks != nullptr ? core.masks->made() : 0;
    return answers;
  }

 private:
  // The last three are choices of one request, which wait for one mask together now and then.
  static std::vector<std::shared_ptr<SinkLog>> Ask(TinyCore& core) {
    const auto heavy = Fresh(kHeavy);
    const auto light = Fresh(R"({"type": "string", "maxLength": 60})", /*first=*/true);
    std::vector<std::shared_ptr<SinkLog>> logs;
    for (uint64_t i = 0; i < 6; ++i) {
      logs.push_back(core.Submit({.prompt = Prompt(i, 14),
                                  .max_tokens = 60,
                                  .seed = 30 + i,
                                  .constraint = i == 0       ? nullptr
                                                : i % 2 == 0 ? light
                                                             : heavy})[0]);
    }
    core.Submit({.prompt = Prompt(9, 8), .max_tokens = 40, .n = 3, .constraint = heavy});
    return logs;
  }

  static bool SomeoneWaits(const TinyCore& core) {
    const std::vector<scheduler::RequestStatus> all = core.scheduler->Requests(100);
    return std::any_of(all.begin(), all.end(), [](const auto& request) {
      return request.wait == WaitReason::kMask && request.record.device == DeviceId{0};
    });
  }

  static void Strike(Trouble trouble, TinyCore& core) {
    switch (trouble) {
      case Trouble::kDeath:
        core.devices[0]->Kill();
        // An idle device is not watched: an operator says so.
        CHECK(core.scheduler->FenceDevice(DeviceId{0}).ok());
        return;
      case Trouble::kLostPages:
        CHECK(core.scheduler->LosePages(DeviceId{0}, {0, 1, 2, 3, 4, 5, 6, 7, 8}).ok());
        return;
      case Trouble::kDrain:
        CHECK(core.scheduler->DrainDevice(DeviceId{0}, /*migrate=*/true).ok());
        return;
      case Trouble::kCancel:
        for (const RequestId id : core.ids) {
          core.scheduler->Cancel(id);
        }
        return;
      case Trouble::kNone:
      case Trouble::kPreemption:
        return;
    }
  }
};

TEST_P(SameTextHoweverLate, IsAnswered) {
  const auto [trouble, max_drafts, delay] = GetParam();
  const bool struck = trouble != Trouble::kNone && trouble != Trouble::kPreemption;
  const Answers at_once = Run(Trouble::kNone, max_drafts, nullptr);
  const Answers late = Run(trouble, max_drafts, Always(Nanoseconds(delay)));
  EXPECT_EQ(late.bits, at_once.bits);
  EXPECT_GT(late.asked, 30);
  EXPECT_EQ(late.drafts > 0, max_drafts > 0);
  EXPECT_EQ(late.preempted > 0, trouble == Trouble::kPreemption);
  EXPECT_EQ(late.migrated > 0, trouble == Trouble::kDeath || trouble == Trouble::kDrain);
  EXPECT_EQ(late.struck_while_waiting, struck);
}

INSTANTIATE_TEST_SUITE_P(
    LateMasks, SameTextHoweverLate,
    ::testing::Combine(::testing::Values(Trouble::kNone, Trouble::kPreemption, Trouble::kDeath,
                                         Trouble::kLostPages, Trouble::kDrain, Trouble::kCancel),
                       ::testing::Values(0, 4),
                       ::testing::Values(int64_t{1}, int64_t{700'000}, int64_t{20'000'000})));

TEST_F(LateMasksScenarios, OneThatNeverComesEndsItsRequestAtTheTimeout) {
  TinyOptions options;
  first_ = Fresh(kHeavy);
  options.scheduler.mask_timeout = Milliseconds(40);
  options.masks_come = [](int64_t job) {
    return job == 5 ? std::nullopt : std::optional(Microseconds(200));
  };
  TinyCore core(*model_, options);
  const auto heavy =
      core.Submit({.prompt = Prompt(1, 10), .max_tokens = 60, .constraint = first_})[0];
  const auto free = core.Submit({.prompt = Prompt(2, 10), .max_tokens = 200})[0];
  while (!heavy->end) {
    ASSERT_TRUE(core.loop.RunOne());
    core.scheduler->CheckInvariants();
  }
  EXPECT_EQ(heavy->end->outcome, Outcome::kConstraint);
  EXPECT_EQ(heavy->tokens.size(), 5u);
  // Asked for at the last token, and from then on.
  EXPECT_EQ(heavy->end->end - heavy->end->last_token, Milliseconds(40));
  core.loop.Run();
  EXPECT_EQ(free->end->outcome, Outcome::kLength);
  // Whoever comes to that place afterwards has it made anew.
  const auto again =
      core.Submit({.prompt = Prompt(1, 10), .max_tokens = 60, .constraint = first_})[0];
  core.loop.Run();
  EXPECT_EQ(again->end->outcome, Outcome::kLength);
  EXPECT_TRUE(std::equal(heavy->tokens.begin(), heavy->tokens.end(), again->tokens.begin()));
}

// Begins what it is asked for when it is told to.
class HeldMasks final : public scheduler::MaskMaker {
 public:
  void Make(model::ConstraintState state, Begun begun, Done done) override {
    begun_.push_back(std::move(begun));
    done_.push_back([state = std::move(state), done = std::move(done)]() mutable {
      done(state.ComputeMask());
    });
  }
  void Begin() {
    for (auto& begun : std::exchange(begun_, {})) begun();
  }
  void End() {
    for (auto& done : std::exchange(done_, {})) done();
  }

 private:
  std::vector<Begun> begun_;
  std::vector<absl::AnyInvocable<void()>> done_;
};

TEST_F(LateMasksScenarios, TheTimeBehindOthersIsNotItsOwn) {
  TinyOptions options;
  TinyCore plain(*model_, options);
  HeldMasks masks;
  scheduler::SchedulerOptions own;
  own.context = model_->config.context;
  own.vocabulary = model_->config.vocabulary;
  own.mask_timeout = Milliseconds(40);
  plain.scheduler = std::make_unique<scheduler::Scheduler>(&plain.loop, plain.devices, own,
                                                           &plain.observer, &masks);
  const auto log =
      plain.Submit({.prompt = Prompt(1, 10), .max_tokens = 60, .constraint = Fresh(kHeavy)})[0];
  // The prompt is computed at once; then it waits for its turn for a second.
  const TimePoint turn = plain.loop.Now() + Seconds(1);
  plain.loop.RunAt(turn, EventClass::kHostResult, 1, [&] {
    EXPECT_FALSE(log->end.has_value());
    const scheduler::RequestStatus status = plain.scheduler->Requests(1).at(0);
    EXPECT_EQ(status.wait, WaitReason::kMask);
    EXPECT_THAT(status.detail, HasSubstr("waited"));
    EXPECT_FALSE(status.unbounded.empty());
    masks.Begin();
    EXPECT_THAT(plain.scheduler->Requests(1).at(0).detail, HasSubstr("at most 40 ms"));
    plain.scheduler->CheckInvariants();
  });
  plain.loop.RunAt(turn + Milliseconds(39), EventClass::kHostResult, 2,
                   [&] { EXPECT_FALSE(log->end.has_value()); });
  plain.loop.Run();
  // From its turn on the time is its own.
  ASSERT_TRUE(log->end.has_value());
  EXPECT_EQ(log->end->outcome, Outcome::kConstraint);
  EXPECT_EQ(log->end->end - turn, Milliseconds(40));
  masks.End();  // too late for anybody
}

TEST_F(LateMasksScenarios, OneThatIsGivenUpEndsAllWhoWaitForIt) {
  TinyOptions options;
  TinyCore plain(*model_, options);
  LateMasks masks(&plain.loop, Always(Microseconds(100)), /*most_steps=*/3);
  scheduler::SchedulerOptions own;
  own.context = model_->config.context;
  own.vocabulary = model_->config.vocabulary;
  plain.scheduler = std::make_unique<scheduler::Scheduler>(&plain.loop, plain.devices, own,
                                                           &plain.observer, &masks);
  const auto logs = plain.Submit(
      {.prompt = Prompt(1, 10), .max_tokens = 60, .n = 3, .constraint = Fresh(kHeavy)});
  plain.loop.Run();
  for (const auto& log : logs) {
    EXPECT_EQ(log->end->outcome, Outcome::kConstraint);
    EXPECT_TRUE(log->tokens.empty());
  }
  EXPECT_LE(masks.made(), 3);
  EXPECT_TRUE(plain.scheduler->idle());
}

TEST_F(LateMasksScenarios, RequestsAtOnePlaceWaitForOneMask) {
  const auto asked = [&](int n) {
    TinyOptions options;
    options.masks_come = Always(Milliseconds(3));
    TinyCore core(*model_, options);
    for (int i = 0; i < n; ++i) {
      core.Submit({.prompt = Prompt(1, 10),
                   .max_tokens = 30,
                   .seed = 1,
                   .constraint = i == 0 ? first_ = Fresh(kHeavy) : first_});
    }
    core.loop.Run();
    return core.masks->made();
  };
  const int64_t one = asked(1);
  EXPECT_GT(one, 10);
  EXPECT_EQ(asked(6), one);
}

// Drawing needs one a token at most; what is more was asked for by a guess that went wrong.
TEST_F(LateMasksScenarios, AGuessAsksForTheMaskThatIsNextIfItIsRight) {
  const auto asked = [&](int32_t max_drafts) {
    TinyOptions options;
    options.scheduler.max_drafts = max_drafts;
    options.masks_come = Always(Microseconds(300));
    TinyCore core(*model_, options);
    const auto log = core.Submit(
        {.prompt = Prompt(1, 10), .max_tokens = 120, .seed = 3, .constraint = Fresh(kHeavy)})[0];
    core.loop.Run();
    EXPECT_EQ(log->tokens.size(), 120u);
    return core.masks->made();
  };
  EXPECT_LE(asked(0), 120);
  EXPECT_GT(asked(4), asked(0));
}

// A daemon makes millions of them.
TEST_F(LateMasksScenarios, NothingIsKeptOfOneThatHasCome) {
  TinyOptions options;
  options.scheduler.max_drafts = 4;
  options.masks_come = Always(Microseconds(300));
  TinyCore core(*model_, options);
  auto constraint = Fresh(kHeavy);
  const std::weak_ptr<const model::CompiledConstraint> kept = constraint;
  const auto ended =
      core.Submit({.prompt = Prompt(1, 10), .max_tokens = 60, .constraint = constraint})[0];
  core.loop.RunUntil(core.loop.Now() + Milliseconds(2));
  core.Submit({.prompt = Prompt(2, 10), .max_tokens = 60, .constraint = constraint});
  while (core.scheduler->Explain(core.ids[0])->wait != WaitReason::kMask) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  core.scheduler->Cancel(core.ids[0]);
  constraint.reset();
  core.loop.Run();
  EXPECT_EQ(ended->end->outcome, Outcome::kLength);
  EXPECT_GT(core.masks->made(), 20);
  EXPECT_TRUE(kept.expired());
}

TEST_F(LateMasksScenarios, OneThatComesWhenAllIsOverIsForgotten) {
  TinyOptions options;
  options.masks_come = Always(Milliseconds(100));
  TinyCore core(*model_, options);
  const auto log =
      core.Submit({.prompt = Prompt(1, 10), .max_tokens = 60, .constraint = Fresh(kHeavy)})[0];
  while (core.scheduler->Explain(core.ids[0])->wait != WaitReason::kMask) {
    ASSERT_TRUE(core.loop.RunOne());
  }
  core.scheduler->Cancel(core.ids[0]);
  EXPECT_EQ(log->end->outcome, Outcome::kCancelled);
  core.scheduler.reset();
  core.loop.Run();
}

}  // namespace
}  // namespace scoville::tests
