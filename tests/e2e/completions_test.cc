// Answers of a real daemon with a real, tiny model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "client/terminal/text_width.h"
#include "tests/e2e/daemon_test.h"

namespace scoville::tests {
namespace {

class CompletionsTest : public DaemonTest {
 protected:
  void SetUp() override { StartDaemon({}); }

  struct Answer {
    std::string text;
    std::vector<uint32_t> ids;
    uint64_t tokens = 0;
    v1::Final last;
  };

  Answer Generate(v1::GenerateRequest request, const client::CallOptions& options = {}) {
    Answer answer;
    request.mutable_output()->set_token_ids(true);
    const auto last = client().Generate(request, options, [&](const v1::Chunk& chunk) {
      answer.text += chunk.text();
      answer.tokens += chunk.tokens();
      answer.ids.insert(answer.ids.end(), chunk.token_ids().begin(), chunk.token_ids().end());
      return true;
    });
    EXPECT_TRUE(last.ok()) << last.status();
    if (last.ok()) {
      answer.last = *last;
    }
    return answer;
  }
};

__int128 Picojoules(const v1::Energy& energy) {
  return static_cast<__int128>(energy.microjoules()) * 1'000'000 + energy.picojoules();
}

TEST_F(CompletionsTest, StreamsTokensThenUsageTimesAndJoules) {
  client::CallOptions options;
  options.request_id = "pepper-1";
  const Answer answer = Generate(LongRequest(40), options);
  EXPECT_EQ(answer.tokens, 40u);
  EXPECT_EQ(answer.ids.size(), 40u);
  const v1::Final& last = answer.last;
  EXPECT_EQ(last.request_id(), "pepper-1");
  ASSERT_EQ(last.choices_size(), 1);
  EXPECT_EQ(last.choices(0).finish_reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(last.usage().completion_tokens(), 40u);
  EXPECT_GT(last.usage().prompt_tokens(), 0u);
  EXPECT_GT(Picojoules(last.energy().prefill()), 0);
  EXPECT_GT(Picojoules(last.energy().decode()), 0);
  EXPECT_EQ(Picojoules(last.energy().total()),
            Picojoules(last.energy().prefill()) + Picojoules(last.energy().decode()));
  EXPECT_GT(last.timings().first_token_ns(), 0u);
  EXPECT_GE(last.timings().total_ns(), last.timings().first_token_ns());
  EXPECT_TRUE(last.emulated());
  EXPECT_EQ(last.seed(), 1u);
}

TEST_F(CompletionsTest, ChatAnswersAConversation) {
  v1::ChatRequest request;
  for (const auto& [role, content] : {std::pair("user", "Hi"), std::pair("assistant", "Hello"),
                                      std::pair("user", "Which pepper is hottest? 🌶")}) {
    v1::ChatMessage* message = request.add_messages();
    message->set_role(role);
    message->set_content(content);
  }
  request.mutable_stop()->set_max_tokens(16);
  std::string text;
  const auto last = client().Chat(request, {}, [&](const v1::Chunk& chunk) {
    text += chunk.text();
    return true;
  });
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_GE(last->usage().completion_tokens(), 1u);
  EXPECT_LE(last->usage().completion_tokens(), 16u);
  // Text arrives in whole characters, whatever bytes the model drew.
  for (absl::string_view rest = text; !rest.empty();) {
    const client::CodePoint point = client::FirstCodePoint(rest);
    EXPECT_FALSE(point.value == 0xFFFD && point.bytes == 1) << text;
    rest.remove_prefix(point.bytes);
  }
}

TEST_F(CompletionsTest, TokensDependOnTheRequestAlone) {
  const Answer first = Generate(LongRequest(64));
  const Answer again = Generate(LongRequest(64));
  EXPECT_EQ(first.ids, again.ids);
  v1::GenerateRequest other = LongRequest(64);
  other.mutable_sampling()->set_seed(2);
  EXPECT_NE(Generate(other).ids, first.ids);
}

class CrowdedTest : public CompletionsTest {
 protected:
  // Room for two long answers, not for six.
  void SetUp() override {
    StartDaemon({.devices = 1,
                 .more_flags = {"--set=pool.kv_blocks=40", "--set=scheduler.join=prompt_fits"}});
  }
};

TEST_F(CrowdedTest, TokensAreTheSameAfterPreemptionsAndTheirWasteIsNotBilled) {
  constexpr size_t kCrowd = 6;
  const auto request = [](size_t i) {
    v1::GenerateRequest long_one = LongRequest(300);
    long_one.mutable_sampling()->set_seed(i);
    return long_one;
  };
  std::vector<Answer> alone(kCrowd);
  for (size_t i = 0; i < kCrowd; ++i) {
    alone[i] = Generate(request(i));
    EXPECT_EQ(alone[i].last.preemptions(), 0u);
  }
  std::vector<Answer> crowded(kCrowd);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kCrowd; ++i) {
    threads.emplace_back([&, i] { crowded[i] = Generate(request(i)); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  uint32_t preemptions = 0;
  for (size_t i = 0; i < kCrowd; ++i) {
    EXPECT_EQ(crowded[i].ids, alone[i].ids) << i;
    preemptions += crowded[i].last.preemptions();
    if (crowded[i].last.preemptions() > 0) {
      EXPECT_GT(crowded[i].last.usage().recomputed_tokens(), 0u) << i;
      EXPECT_GT(Picojoules(crowded[i].last.energy().waste()), 0) << i;
    }
  }
  EXPECT_GT(preemptions, 0u);
  EXPECT_TRUE(BecomesIdle());
  EXPECT_EQ(daemon().Metric("scoville_energy_unattributed_joules"), 0);
}

TEST_F(CompletionsTest, TextAndItsTokenIdsAreTheSamePrompt) {
  v1::TokenizeRequest tokenize;
  tokenize.set_text(LongRequest(1).text());
  const auto ids = client().Tokenize(tokenize, {});
  ASSERT_TRUE(ids.ok()) << ids.status();
  v1::GenerateRequest by_ids = LongRequest(32);
  by_ids.mutable_token_ids()->mutable_ids()->CopyFrom(ids->token_ids());
  EXPECT_EQ(Generate(by_ids).ids, Generate(LongRequest(32)).ids);
}

TEST_F(CompletionsTest, DetokenizeInvertsTokenize) {
  const std::string text = "Scoville: 2,200,000 🌶 熱い\n\tend";
  v1::TokenizeRequest tokenize;
  tokenize.set_text(text);
  const auto ids = client().Tokenize(tokenize, {});
  ASSERT_TRUE(ids.ok()) << ids.status();
  v1::DetokenizeRequest detokenize;
  detokenize.mutable_token_ids()->CopyFrom(ids->token_ids());
  const auto back = client().Detokenize(detokenize, {});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->text(), text);
}

TEST_F(CompletionsTest, StopStringEndsTheTextBeforeIt) {
  const Answer whole = Generate(LongRequest(64));
  // A part of the text that is not at its very start, of whole characters.
  size_t at = 0;
  while (at < whole.text.size() &&
         (at < 8 || !absl::ascii_isalpha(static_cast<unsigned char>(whole.text[at])))) {
    ++at;
  }
  ASSERT_LT(at, whole.text.size()) << whole.text;
  const std::string stop = whole.text.substr(at, 1);
  v1::GenerateRequest request = LongRequest(64);
  request.mutable_stop()->add_strings(stop);
  const Answer cut = Generate(request);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(cut.last.choices(0).finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(cut.last.choices(0).match(), stop);
}

TEST_F(CompletionsTest, LogprobsOfPromptAndOutput) {
  v1::GenerateRequest request = LongRequest(4);
  request.mutable_output()->set_logprobs(2);
  request.mutable_output()->set_prompt_logprobs(0);
  size_t outputs = 0;
  size_t prompts = 0;
  const auto last = client().Generate(request, {}, [&](const v1::Chunk& chunk) {
    for (const v1::PositionLogprobs& position : chunk.logprobs()) {
      EXPECT_LE(position.chosen().logprob(), 0);
      EXPECT_EQ(position.top_size(), 2);
    }
    for (const v1::PositionLogprobs& position : chunk.prompt_logprobs()) {
      EXPECT_LE(position.chosen().logprob(), 0);
    }
    outputs += chunk.logprobs_size();
    prompts += chunk.prompt_logprobs_size();
    return true;
  });
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(outputs, 4u);
  EXPECT_EQ(prompts, last->usage().prompt_tokens() - 1);
}

TEST_F(CompletionsTest, ListsTheModelWithItsLimits) {
  const auto models = client().ListModels({});
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->models_size(), 1);
  EXPECT_EQ(models->models(0).state(), "ready");
  EXPECT_EQ(models->models(0).executor(), "functional");
  EXPECT_EQ(models->models(0).context(), 512u);
  EXPECT_EQ(models->models(0).vocabulary(), 304u);
}

TEST_F(CompletionsTest, JoulesAddUpToTheLastPicojoule) {
  __int128 billed = 0;
  for (int i = 0; i < 5; ++i) {
    billed += Picojoules(Generate(LongRequest(20)).last.energy().total());
  }
  ASSERT_TRUE(BecomesIdle());
  __int128 attributed = 0;
  const v1::PoolState pool = Pool();
  for (const v1::Device& device : pool.devices()) {
    attributed += Picojoules(device.energy().prefill()) + Picojoules(device.energy().decode());
    EXPECT_GT(Picojoules(device.energy().idle()), 0);
  }
  // The daemon's own warm-up is attributed too, so what clients were told is at most that.
  EXPECT_GT(billed, 0);
  EXPECT_LE(billed, attributed);
  EXPECT_EQ(daemon().Metric("scoville_energy_unattributed_joules"), 0);
  const double buckets = daemon().Metric("scoville_device_energy_joules_total");
  EXPECT_GT(buckets, 0);
}

TEST_F(CompletionsTest, MetricsCountTheTokens) {
  const double before = daemon().Metric("scoville_tokens_total", "phase=\"output\"");
  Generate(LongRequest(33));
  ASSERT_TRUE(BecomesIdle());
  EXPECT_EQ(daemon().Metric("scoville_tokens_total", "phase=\"output\"") - before, 33);
  EXPECT_TRUE(std::isnan(daemon().Metric("scoville_no_such_series")));
}

TEST_F(CompletionsTest, HealthOfDaemonAndModel) {
  const auto models = client().ListModels({});
  ASSERT_TRUE(models.ok());
  EXPECT_EQ(client().CheckHealth("", {}).value(), client::Health::kServing);
  EXPECT_EQ(client().CheckHealth("model/" + models->models(0).id(), {}).value(),
            client::Health::kServing);
  EXPECT_EQ(client().CheckHealth("no.such.Service", {}).value(), client::Health::kServiceUnknown);
}

}  // namespace
}  // namespace scoville::tests
