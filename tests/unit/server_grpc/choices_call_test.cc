// Several choices over gRPC.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "server/stream/choices.h"
#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

v1::GenerateRequest Request(uint32_t n, uint64_t seed = 11) {
  v1::GenerateRequest request;
  request.set_text("once upon a time there was");
  request.mutable_sampling()->set_seed(seed);
  request.mutable_sampling()->set_n(n);
  request.mutable_stop()->set_max_tokens(20);
  request.mutable_output()->set_token_ids(true);
  return request;
}

struct ChoiceText {
  std::string text;
  std::vector<uint32_t> token_ids;
};

std::map<uint32_t, ChoiceText> ByChoice(const Answer& answer) {
  std::map<uint32_t, ChoiceText> out;
  for (const v1::Chunk& chunk : answer.chunks) {
    ChoiceText& choice = out[chunk.index()];
    choice.text += chunk.text();
    choice.token_ids.insert(choice.token_ids.end(), chunk.token_ids().begin(),
                            chunk.token_ids().end());
  }
  return out;
}

int64_t Picojoules(const v1::Energy& e) { return e.microjoules() * 1'000'000 + e.picojoules(); }

class ChoicesCallTest : public ::testing::Test {
 protected:
  ServerFixture f;
};

TEST_F(ChoicesCallTest, EachIsWhatARequestWithItsSeedGives) {
  const Answer three = Generate(f.completions.get(), Request(3));
  ASSERT_TRUE(three.status.ok()) << three.status.error_message();
  const auto choices = ByChoice(three);
  ASSERT_EQ(choices.size(), 3u);
  ASSERT_EQ(three.final->choices_size(), 3);
  uint64_t tokens = 0;
  for (const v1::ChoiceEnd& end : three.final->choices()) {
    const ChoiceText& choice = choices.at(end.index());
    EXPECT_EQ(end.seed(), server::ChoiceSeed(11, end.index()));
    EXPECT_EQ(end.tokens(), choice.token_ids.size());
    const Answer alone = Generate(f.completions.get(), Request(1, end.seed()));
    EXPECT_EQ(alone.token_ids, choice.token_ids) << "choice " << end.index();
    EXPECT_EQ(alone.text, choice.text);
    tokens += end.tokens();
  }
  EXPECT_NE(choices.at(0).token_ids, choices.at(1).token_ids);
  EXPECT_EQ(three.final->usage().completion_tokens(), tokens);
  EXPECT_EQ(three.final->seed(), 11u);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(ChoicesCallTest, ALargerNumberChangesNoneOfThem) {
  const auto three = ByChoice(Generate(f.completions.get(), Request(3)));
  const auto sixteen = ByChoice(Generate(f.completions.get(), Request(16)));
  ASSERT_EQ(sixteen.size(), 16u);
  for (const auto& [index, choice] : three) {
    EXPECT_EQ(sixteen.at(index).token_ids, choice.token_ids);
  }
}

TEST(ChoicesCostTest, ThePromptCountsOnceInTokensAndJoules) {
  v1::GenerateRequest request = Request(4);
  for (uint32_t i = 0; i < 480; ++i) request.mutable_token_ids()->add_ids(i % 100 + 5);
  request.mutable_stop()->set_max_tokens(2);
  request.mutable_stop()->set_ignore_eos(true);
  int64_t prefill[2];
  for (const bool shared : {false, true}) {
    FixtureOptions options;
    options.engine.pool.kv.prefix_cache = shared;
    options.devices = 1;
    ServerFixture f(options);
    const Answer answer = Generate(f.completions.get(), request);
    ASSERT_TRUE(answer.final.has_value()) << answer.status.error_message();
    EXPECT_EQ(answer.final->usage().prompt_tokens(), 480u);
    EXPECT_EQ(answer.final->usage().completion_tokens(), 8u);
    const v1::RequestEnergy& energy = answer.final->energy();
    EXPECT_EQ(Picojoules(energy.prefill()) + Picojoules(energy.decode()),
              Picojoules(energy.total()));
    prefill[shared] = Picojoules(energy.prefill());
  }
  // The weights pass once for the first and once for the others, which compute a token each.
  EXPECT_LT(prefill[true], prefill[false] * 3 / 4);
}

TEST_F(ChoicesCallTest, PromptScoresComeOnceWithTheFirstChoice) {
  v1::GenerateRequest request = Request(3);
  request.mutable_output()->set_prompt_logprobs(1);
  request.mutable_output()->set_logprobs(0);
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.final.has_value()) << answer.status.error_message();
  EXPECT_EQ(answer.prompt_logprobs.size() + 1, answer.final->usage().prompt_tokens());
  EXPECT_EQ(answer.logprobs.size(), answer.final->usage().completion_tokens());
  for (const v1::Chunk& chunk : answer.chunks) {
    EXPECT_TRUE(chunk.prompt_logprobs().empty() || chunk.index() == 0);
  }
}

TEST_F(ChoicesCallTest, StopStringsAreMatchedInEachChoice) {
  v1::GenerateRequest request = Request(8);
  request.mutable_stop()->set_max_tokens(60);
  request.mutable_stop()->add_strings("e");
  const Answer answer = Generate(f.completions.get(), request);
  ASSERT_TRUE(answer.final.has_value());
  const auto choices = ByChoice(answer);
  for (const v1::ChoiceEnd& end : answer.final->choices()) {
    const bool matched = end.match() == "e";
    EXPECT_EQ(matched, end.finish_reason() == v1::FINISH_REASON_STOP && !end.match().empty());
    if (matched) {
      EXPECT_EQ(choices.at(end.index()).text.find('e'), std::string::npos);
    }
  }
}

class LongChoicesTest : public ::testing::Test {
 protected:
  static FixtureOptions Synthetic() {
    FixtureOptions options;
    options.executor = device::ExecutorKind::kSynthetic;
    options.context = 16384;
    return options;
  }
  static v1::GenerateRequest Long(uint32_t n) {
    v1::GenerateRequest request = Request(n);
    request.mutable_stop()->set_max_tokens(8000);
    request.mutable_stop()->set_ignore_eos(true);
    return request;
  }
  ServerFixture f{Synthetic()};
};

TEST_F(LongChoicesTest, CancelEndsAllOfThem) {
  grpc::ClientContext context;
  auto reader = f.completions->Generate(&context, Long(6));
  v1::GenerateResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_GT(f.UsedBlocks(), 0);
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongChoicesTest, TheDeadlineEndsAllOfThem) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(150));
  const Answer answer = Generate(f.completions.get(), Long(6), &context);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(f.ReturnsToBaseline());
}

TEST_F(LongChoicesTest, AllAreRefusedTogether) {
  FixtureOptions options = Synthetic();
  options.engine.scheduler.max_queued.requests = 4;
  ServerFixture small(options);
  const Answer answer = Generate(small.completions.get(), Long(6));
  EXPECT_EQ(ReasonOf(answer.status), "QUEUE_FULL");
  EXPECT_TRUE(answer.chunks.empty());
  EXPECT_TRUE(small.ReturnsToBaseline());
  EXPECT_TRUE(Generate(small.completions.get(), Request(4)).status.ok());
}

}  // namespace
}  // namespace scoville::tests
