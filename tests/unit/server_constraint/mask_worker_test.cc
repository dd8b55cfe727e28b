#include "server/constraint/mask_worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "server/engine/engine.h"
#include "server/runtime/real_event_loop.h"
#include "tests/simulation/tiny_core.h"
#include "tests/support/answer_sink.h"

namespace scoville::server {
namespace {

using model::ConstraintSpec;
using model::ConstraintState;
using model::TokenMask;
using scheduler::Outcome;
using tests::AnswerSink;

constexpr char kSchema[] =
    R"({"type": "array", "minItems": 9, "items": {"type": "object", "properties": {"id":
    {"type": "integer"}, "text": {"type": "string", "minLength": 5, "maxLength": 30}},
    "required": ["id", "text"]}})";

class MaskWorkerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = tests::LoadTinyModel().release(); }
  static void TearDownTestSuite() { delete model_; }

  // Knows no mask yet.
  static std::shared_ptr<const model::CompiledConstraint> Fresh() {
    model::CompileLimits limits;
    limits.mask_steps = 0;
    return tests::TinyConstraint(*model_, ConstraintSpec::Kind::kJsonSchema, kSchema, limits);
  }

  static model::LoadedModel* model_;
};

model::LoadedModel* MaskWorkerTest::model_ = nullptr;

// A loop on a thread of its own.
struct RunningLoop {
  ~RunningLoop() {
    loop.Stop();
    thread.join();
  }
  RealEventLoop loop;
  std::thread thread{[this] { loop.Run(); }};

  MaskWorker::Post post() {
    return [this](absl::AnyInvocable<void()> fn) { loop.Post(std::move(fn)); };
  }
};

TEST_F(MaskWorkerTest, BringsEachMaskInTurnToTheLoopsThread) {
  RunningLoop running;
  BackgroundWorker thread(MaskWorker::kMostWaiting);
  MaskWorker masks(&thread, INT64_MAX, running.post());
  const auto constraint = Fresh();
  std::vector<TokenMask> came;
  std::vector<TokenMask> expected;
  std::promise<void> all;
  running.loop.Post([&] {
    const auto here = std::this_thread::get_id();
    ConstraintState state = ConstraintState::Start(constraint);
    for (const int32_t token : tests::TinyTokens(*model_, R"([{"id": 17, "text": "abcde")")) {
      expected.push_back(state.ComputeMask());
      masks.Make(
          state, [] {},
          [&, here](std::optional<TokenMask> mask) {
            EXPECT_EQ(std::this_thread::get_id(), here);
            came.push_back(*std::move(mask));
            if (came.size() == expected.size()) all.set_value();
          });
      ASSERT_TRUE(state.Accept(token));
    }
    EXPECT_TRUE(came.empty());  // nothing comes within Make
  });
  all.get_future().wait();
  EXPECT_GT(came.size(), 5u);
  EXPECT_EQ(came, expected);
}

// One with many masks to make holds another up by one of them.
TEST_F(MaskWorkerTest, ConstraintsHaveTurns) {
  RunningLoop running;
  BackgroundWorker thread(MaskWorker::kMostWaiting);
  MaskWorker masks(&thread, INT64_MAX, running.post());
  std::promise<void> go;
  thread.Post(Bytes(1), [may_go = go.get_future().share()] { may_go.wait(); });
  const auto many = Fresh();
  const auto one = Fresh();
  std::vector<int> order;  // of beginning and end
  std::promise<void> all;
  running.loop.Post([&] {
    for (int i = 1; i <= 6; ++i) {
      masks.Make(
          ConstraintState::Start(i == 6 ? one : many), [&, i] { order.push_back(i); },
          [&, i](std::optional<TokenMask>) {
            order.push_back(-i);
            if (order.size() == 12) all.set_value();
          });
    }
  });
  running.loop.Post([&] { go.set_value(); });
  all.get_future().wait();
  EXPECT_EQ(order, std::vector<int>({1, -1, 6, -6, 2, -2, 3, -3, 4, -4, 5, -5}));
}

TEST_F(MaskWorkerTest, GivesUpBeyondItsSteps) {
  RunningLoop running;
  BackgroundWorker thread(MaskWorker::kMostWaiting);
  MaskWorker masks(&thread, 3, running.post());
  std::promise<bool> given_up;
  running.loop.Post([&] {
    masks.Make(
        ConstraintState::Start(Fresh()), [] {},
        [&](std::optional<TokenMask> mask) { given_up.set_value(!mask); });
  });
  EXPECT_TRUE(given_up.get_future().get());
}

// The request ends, its constraint is let go, the port and the loop are gone before it is made.
TEST_F(MaskWorkerTest, WhatIsUnderWayOwnsWhatItReads) {
  BackgroundWorker thread(MaskWorker::kMostWaiting);
  std::promise<void> go;
  const std::shared_future<void> may_go(go.get_future());
  thread.Post(Bytes(1), [may_go] { may_go.wait(); });
  bool came = false;
  std::promise<void> posted;
  int posts = 0;
  {
    auto constraint = Fresh();
    MaskWorker masks(&thread, INT64_MAX, [&posted, &posts](absl::AnyInvocable<void()>) {
      if (++posts == 2) posted.set_value();  // it began, it is done
    });
    masks.Make(
        ConstraintState::Start(constraint), [] {}, [&](std::optional<TokenMask>) { came = true; });
  }
  go.set_value();
  posted.get_future().wait();
  thread.Stop();
  EXPECT_FALSE(came);
}

// A real engine, whose masks come from another thread at times of their own.
class MasksOfAnEngine : public MaskWorkerTest {
 protected:
  static constexpr int64_t kTokens = 40;

  static std::vector<int32_t> Prompt(int i) {
    return tests::TinyTokens(*model_, tests::SomeText(static_cast<uint64_t>(i), 10));
  }

  std::unique_ptr<Engine> Start(const ConstraintOptions& constraints) {
    EngineOptions options;
    options.pool.executor = device::ExecutorKind::kFunctional;
    options.pool.kv_blocks = 256;
    options.compute_lanes = 1;
    options.constraints = constraints;
    options.scheduler.max_drafts = 3;
    auto engine = Engine::Start(options, model_, &observer_);
    CHECK_EQ(engine.status(), absl::OkStatus());
    return *std::move(engine);
  }

  // `constrained` of `n` requests, the first of them.
  std::vector<std::unique_ptr<AnswerSink::Answer>> Ask(Engine& engine, int n, int constrained) {
    std::vector<std::unique_ptr<AnswerSink::Answer>> answers;
    const auto constraint = Fresh();
    for (int i = 0; i < n; ++i) {
      answers.push_back(std::make_unique<AnswerSink::Answer>());
      scheduler::Request request;
      request.prompt = Prompt(i);
      request.max_tokens = kTokens;
      request.sampling.seed = static_cast<uint64_t>(i);
      request.sampling.logprobs = 2;
      if (i < constrained) {
        request.constraint = constraint;
        const absl::Span<const int32_t> ends = model_->tokenizer->end_tokens();
        request.stop_tokens.assign(ends.begin(), ends.end());
      }
      request.sink = std::make_unique<AnswerSink>(answers.back().get());
      auto box = std::make_shared<scheduler::Request>(std::move(request));
      CHECK(engine.Post(
          [&engine, box] { CHECK(!engine.scheduler().Submit(std::move(*box)).refusal); }));
    }
    return answers;
  }

  tests::LoggingObserver observer_;
};

TEST_F(MasksOfAnEngine, TokensAreThoseOfMasksThatAreMadeAtOnce) {
  std::vector<std::vector<uint64_t>> expected;
  tests::TinyCore core(*model_, {});
  std::vector<std::shared_ptr<tests::SinkLog>> logs;
  const auto constraint = Fresh();
  for (int i = 0; i < 8; ++i) {
    logs.push_back(core.Submit({.prompt = Prompt(i),
                                .max_tokens = kTokens,
                                .seed = static_cast<uint64_t>(i),
                                .constraint = i < 5 ? constraint : nullptr})[0]);
  }
  core.loop.Run();

  const std::unique_ptr<Engine> engine = Start({});
  const auto answers = Ask(*engine, 8, 5);
  for (size_t i = 0; i < answers.size(); ++i) {
    const scheduler::RequestRecord record = answers[i]->end.get_future().get();
    EXPECT_TRUE(scheduler::IsCompletion(record.outcome));
    EXPECT_EQ(tests::Bits(answers[i]->tokens), tests::Bits(logs[i]->sampled)) << i;
  }
}

TEST_F(MasksOfAnEngine, OneThatTakesTooMuchWorkEndsItsRequestAndNoOther) {
  ConstraintOptions constraints;
  constraints.mask_steps = 3;
  const std::unique_ptr<Engine> engine = Start(constraints);
  const auto answers = Ask(*engine, 3, 1);
  EXPECT_EQ(answers[0]->end.get_future().get().outcome, Outcome::kConstraint);
  EXPECT_TRUE(answers[0]->tokens.empty());
  EXPECT_EQ(answers[1]->end.get_future().get().outcome, Outcome::kLength);
  EXPECT_EQ(answers[2]->end.get_future().get().outcome, Outcome::kLength);
}

TEST_F(MasksOfAnEngine, StopsAmidMasks) {
  for (int i = 0; i < 20; ++i) {
    std::unique_ptr<Engine> engine = Start({});
    const auto answers = Ask(*engine, 4, 4);
    std::this_thread::sleep_for(std::chrono::milliseconds(i));
    engine.reset();
    for (const auto& answer : answers) {
      EXPECT_NE(answer->end.get_future().get().outcome, Outcome::kInternal);
    }
  }
}

}  // namespace
}  // namespace scoville::server
