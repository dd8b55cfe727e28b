// Prompts that are built on the background worker, which the tests block at will.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using std::chrono::milliseconds;

v1::GenerateRequest Prompt(size_t bytes) {
  v1::GenerateRequest request;
  std::string text;
  while (text.size() < bytes) text += "long prompts take long ";
  text.resize(bytes);
  request.set_text(text);
  request.mutable_stop()->set_max_tokens(4);
  request.mutable_stop()->set_ignore_eos(true);
  request.mutable_output()->set_token_ids(true);
  return request;
}

constexpr size_t kLong = 20 << 10;

class LongPromptTest : public ::testing::Test {
 protected:
  LongPromptTest()
      : f({.executor = device::ExecutorKind::kSynthetic,
           .engine = {},
           .grpc = {},
           .long_prompts = Bytes(100 << 10),
           .context = 32768}) {}
  ~LongPromptTest() override { Unblock(); }

  void Block() {
    std::promise<void> blocked;
    const std::shared_future<void> go(go_.get_future());
    ASSERT_TRUE(f.workers->prompts.Post(Bytes(), [&blocked, go] {
      blocked.set_value();
      go.wait();
    }));
    blocked.get_future().wait();
  }
  void Unblock() {
    if (!unblocked_) {
      unblocked_ = true;
      go_.set_value();
    }
  }
  // Waits until the worker has `bytes` of prompts.
  bool ComesToWait(size_t bytes) {
    for (int i = 0; i < 1000; ++i) {
      if (f.workers->prompts.waiting() == Bytes(static_cast<int64_t>(bytes))) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  ServerFixture f;

 private:
  std::promise<void> go_;
  bool unblocked_ = false;
};

TEST_F(LongPromptTest, ShortCallsDoNotWaitForIt) {
  Block();
  auto waiting =
      std::async(std::launch::async, [&] { return Generate(f.completions.get(), Prompt(kLong)); });
  ASSERT_TRUE(ComesToWait(kLong));
  // Each queue's turn comes.
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(Generate(f.completions.get(), Prompt(100)).status.ok());
  }
  EXPECT_EQ(waiting.wait_for(milliseconds(0)), std::future_status::timeout);
  Unblock();
  const Answer answer = waiting.get();
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.token_ids.size(), 4u);
  EXPECT_GT(answer.final->usage().prompt_tokens(), 1000u);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongPromptTest, CancelAndDeadlineEndItWhileItWaits) {
  Block();
  grpc::ClientContext cancelled;
  auto first = f.completions->Generate(&cancelled, Prompt(kLong));
  ASSERT_TRUE(ComesToWait(kLong));
  cancelled.TryCancel();
  v1::GenerateResponse response;
  EXPECT_FALSE(first->Read(&response));
  EXPECT_EQ(first->Finish().error_code(), grpc::StatusCode::CANCELLED);
  grpc::ClientContext late;
  late.set_deadline(std::chrono::system_clock::now() + milliseconds(50));
  EXPECT_EQ(Generate(f.completions.get(), Prompt(kLong), &late).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // Neither is forgotten, nor run.
  EXPECT_EQ(f.server->open_streams(), 2);
  Unblock();
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongPromptTest, AFullQueueSaysWhenToComeBack) {
  Block();
  std::vector<std::future<Answer>> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(std::async(std::launch::async,
                                 [&] { return Generate(f.completions.get(), Prompt(kLong)); }));
  }
  ASSERT_TRUE(ComesToWait(5 * kLong));
  grpc::ClientContext context;
  v1::GenerateRequest request = Prompt(kLong);
  request.set_request_id("sixth");
  const Answer refused = Generate(f.completions.get(), request, &context);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(refused.status), "QUEUE_FULL");
  const auto& trailers = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailers.count("grpc-retry-pushback-ms"), 1u);
  EXPECT_EQ(trailers.find("grpc-retry-pushback-ms")->second, "1000");
  EXPECT_EQ(trailers.find("x-request-id")->second, "sixth");
  v1::TokenizeRequest tokenize;
  tokenize.set_text(request.text());
  v1::TokenizeResponse tokens;
  grpc::ClientContext tokenize_context;
  EXPECT_EQ(ReasonOf(f.completions->Tokenize(&tokenize_context, tokenize, &tokens)), "QUEUE_FULL");
  Unblock();
  for (std::future<Answer>& answer : waiting) EXPECT_TRUE(answer.get().status.ok());
  EXPECT_TRUE(f.ReturnsToBaseline());
  grpc::ClientContext again;
  ASSERT_TRUE(f.completions->Tokenize(&again, tokenize, &tokens).ok());
  v1::DetokenizeRequest back;
  *back.mutable_token_ids() = tokens.token_ids();
  v1::DetokenizeResponse text;
  grpc::ClientContext back_context;
  ASSERT_TRUE(f.completions->Detokenize(&back_context, back, &text).ok());
  EXPECT_EQ(text.text(), request.text());
}

// Ten times what may wait, while nobody tokenises: booked as it arrives, refused before anything is
// made of it.
TEST(LongPromptBurst, IsRefusedByItsBytesBeforeItIsTokenised) {
  constexpr size_t kPrompt = 1 << 20;
  constexpr size_t kFit = 4;
  FixtureOptions options;
  options.executor = device::ExecutorKind::kSynthetic;
  options.max_queued_bytes = Bytes(kFit * (kPrompt + 1024));
  ServerFixture f(std::move(options));
  std::promise<void> go;
  ASSERT_TRUE(f.workers->prompts.Post(Bytes(), [done = go.get_future().share()] { done.wait(); }));
  std::vector<std::future<Answer>> waiting;
  for (size_t i = 0; i < kFit; ++i) {
    waiting.push_back(std::async(std::launch::async,
                                 [&] { return Generate(f.completions.get(), Prompt(kPrompt)); }));
  }
  for (int i = 0; i < 1000 && f.workers->prompts.waiting() < Bytes(kFit * kPrompt); ++i) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  const Bytes held = f.hub->bytes()->booked();
  EXPECT_GE(held, Bytes(kFit * kPrompt));
  for (size_t i = 0; i < 9 * kFit; ++i) {
    const Answer refused = Generate(f.completions.get(), Prompt(kPrompt));
    ASSERT_EQ(ReasonOf(refused.status), "QUEUE_FULL") << refused.status.error_message();
    EXPECT_GT(RetryOf(refused.status), Duration());
    EXPECT_GT(NumberOf(refused.status, "needed"), NumberOf(refused.status, "limit"));
    ASSERT_EQ(f.hub->bytes()->booked(), held) << "nothing of it stays";
    ASSERT_EQ(f.workers->prompts.waiting(), Bytes(kFit * kPrompt)) << "nor waits to be tokenised";
  }
  EXPECT_TRUE(Generate(f.completions.get(), Prompt(100)).status.ok()) << "small ones still fit";
  go.set_value();
  // They are longer than the model's context, and their bytes go with them.
  for (std::future<Answer>& answer : waiting) {
    EXPECT_EQ(ReasonOf(answer.get().status), "CONTEXT_LENGTH_EXCEEDED");
  }
  EXPECT_TRUE(f.ReturnsToBaseline());
  // A call lets go of its bytes after its client has the answer.
  for (int i = 0; i < 1000 && f.hub->bytes()->booked() > Bytes(); ++i) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(f.hub->bytes()->booked(), Bytes());
  EXPECT_TRUE(Generate(f.completions.get(), Prompt(1000)).status.ok());
}

TEST_F(LongPromptTest, ShutdownEndsWhatWaits) {
  Block();
  auto waiting =
      std::async(std::launch::async, [&] { return Generate(f.completions.get(), Prompt(kLong)); });
  ASSERT_TRUE(ComesToWait(kLong));
  std::thread unblock([&] {
    std::this_thread::sleep_for(milliseconds(400));
    Unblock();
  });
  f.server->Shutdown();
  unblock.join();
  EXPECT_FALSE(waiting.get().status.ok());
  EXPECT_EQ(f.server->open_streams(), 0);
}

}  // namespace
}  // namespace scoville::tests
