#include "server/stream/token_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace scoville::server {
namespace {

class FakeThread final : public ReaderThread {
 public:
  void Notify(std::vector<std::shared_ptr<TokenStream>> ready) override {
    batches.push_back(std::move(ready));
  }
  std::vector<std::vector<std::shared_ptr<TokenStream>>> batches;
};

// A fake thread that ends with its scope, as a real one drops what it was told of when it ends: a
// stream holds its thread, so what the fake keeps would hold the fake.
class FakeThreadScope {
 public:
  ~FakeThreadScope() { thread_->batches.clear(); }
  const std::shared_ptr<FakeThread>& get() const { return thread_; }

 private:
  const std::shared_ptr<FakeThread> thread_ = std::make_shared<FakeThread>();
};

class CountingReader final : public StreamReader {
 public:
  void OnStreamReady() override { ++wakes; }
  int wakes = 0;
};

model::SampledToken Token(int32_t id) {
  model::SampledToken token;
  token.token = id;
  return token;
}

scheduler::RequestRecord Record() {
  scheduler::RequestRecord record;
  record.outcome = scheduler::Outcome::kLength;
  return record;
}

TEST(TokenStreamTest, GivesTokensThenTheEnd) {
  const FakeThreadScope thread_scope;
  const std::shared_ptr<FakeThread>& thread = thread_scope.get();
  auto flusher = std::make_shared<StreamFlusher>();
  auto stream = std::make_shared<TokenStream>(thread, nullptr);
  StreamSink sink(stream, flusher);
  sink.OnPromptScores(1, {Token(3), Token(4)});
  sink.OnPromptScores(3, {Token(5)});
  sink.OnToken(Token(9), TimePoint(17));
  sink.OnEnd(Record());
  EXPECT_TRUE(stream->ended());
  EXPECT_FALSE(stream->drained());
  StreamToken token;
  ASSERT_TRUE(stream->Pop(&token));
  EXPECT_EQ(token.sampled.token, 9);
  EXPECT_EQ(token.when, TimePoint(17));
  ASSERT_EQ(stream->prompt_scores().size(), 3u);
  EXPECT_EQ(stream->prompt_scores()[2].token, 5);
  EXPECT_TRUE(stream->drained());
  ASSERT_TRUE(stream->record().has_value());
  EXPECT_FALSE(stream->refusal().has_value());
}

TEST(TokenStreamTest, EachThreadHearsOnceATurnOfItsOwnStreams) {
  const FakeThreadScope a_scope;
  const std::shared_ptr<FakeThread>& a = a_scope.get();
  const FakeThreadScope b_scope;
  const std::shared_ptr<FakeThread>& b = b_scope.get();
  auto flusher = std::make_shared<StreamFlusher>();
  CountingReader reader;
  std::vector<std::shared_ptr<TokenStream>> streams;
  std::vector<std::unique_ptr<StreamSink>> sinks;
  for (int i = 0; i < 5; ++i) {
    streams.push_back(std::make_shared<TokenStream>(i % 2 == 0 ? a : b, &reader));
    sinks.push_back(std::make_unique<StreamSink>(streams.back(), flusher));
  }
  for (int round = 0; round < 3; ++round) {
    for (auto& sink : sinks) sink->OnToken(Token(round), TimePoint());
  }
  flusher->Flush();
  ASSERT_EQ(a->batches.size(), 1u);
  ASSERT_EQ(b->batches.size(), 1u);
  EXPECT_EQ(a->batches[0], (std::vector{streams[0], streams[2], streams[4]}));
  EXPECT_EQ(b->batches[0], (std::vector{streams[1], streams[3]}));
  flusher->Flush();
  EXPECT_EQ(a->batches.size(), 1u);
  // The next turn counts anew.
  sinks[0]->OnToken(Token(1), TimePoint());
  flusher->Flush();
  EXPECT_EQ(a->batches.size(), 2u);

  for (auto& stream : a->batches[0]) stream->Wake();
  EXPECT_EQ(reader.wakes, 3);
  streams[0]->Detach();
  streams[0]->Wake();
  EXPECT_EQ(reader.wakes, 3);
}

TEST(TokenStreamTest, CongestedAtTheLimitAndCaughtUpAtHalf) {
  TokenStream stream(std::make_shared<FakeThread>(), nullptr, StreamLimits{8, 1 << 20});
  for (int i = 0; i < 7; ++i) {
    stream.Push(Token(i), TimePoint());
    EXPECT_FALSE(stream.Congested());
  }
  stream.Push(Token(7), TimePoint());
  EXPECT_TRUE(stream.Congested());
  StreamToken token;
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(stream.TakeCaughtUp()) << stream.pending();
    ASSERT_TRUE(stream.Pop(&token));
  }
  EXPECT_FALSE(stream.TakeCaughtUp());  // four of eight are still pending
  ASSERT_TRUE(stream.Pop(&token));
  EXPECT_TRUE(stream.TakeCaughtUp());
  EXPECT_FALSE(stream.TakeCaughtUp());  // once
}

TEST(TokenStreamTest, CountsBytesOfAlternatives) {
  TokenStream stream(std::make_shared<FakeThread>(), nullptr, StreamLimits{1 << 20, 4096});
  model::SampledToken heavy = Token(1);
  heavy.top.resize(20);
  int pushed = 0;
  while (!stream.Congested() && pushed < 1000) {
    stream.Push(heavy, TimePoint());
    ++pushed;
  }
  EXPECT_GT(pushed, 10);
  EXPECT_LT(pushed, 30);
}

// An engine that stops pushing when congested, and goes on only when told: if a wake-up could be
// lost, this would hang.
TEST(TokenStreamTest, APausedSequenceIsAlwaysWoken) {
  constexpr int kTokens = 100'000;
  TokenStream stream(std::make_shared<FakeThread>(), nullptr, StreamLimits{4, 1 << 20});
  std::atomic<int> caught_up{0};
  std::thread engine([&] {
    int taken = 0;
    for (int i = 0; i < kTokens; ++i) {
      stream.Push(Token(i), TimePoint());
      if (stream.Congested()) {
        while (caught_up.load() == taken) std::this_thread::yield();
        taken = caught_up.load();
      }
    }
    stream.End(Record());
  });
  StreamToken token;
  int expected = 0;
  while (!stream.drained()) {
    while (stream.Pop(&token)) ASSERT_EQ(token.sampled.token, expected++);
    if (stream.TakeCaughtUp()) caught_up.fetch_add(1);
    std::this_thread::yield();
  }
  engine.join();
  EXPECT_EQ(expected, kTokens);
}

}  // namespace
}  // namespace scoville::server
