// The program `scoville` against a real daemon: output, exit codes, JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/e2e/daemon_test.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using Json = nlohmann::json;

class CliTest : public DaemonTest {
 protected:
  void SetUp() override { StartDaemon({}); }

  ProgramResult Run(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.begin(), ProgramPath("scoville"));
    return RunProgram(words, input, {{"SCOVILLE_ADDRESS", daemon().address()}});
  }

  Json RunJson(std::vector<std::string> words) {
    words.push_back("--json");
    const ProgramResult result = Run(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    Json json = Json::parse(result.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << result.out;
    return json;
  }
};

const std::vector<std::string> kShort = {"run", "--raw", "--max-tokens", "12", "--seed", "7"};

std::vector<std::string> With(std::vector<std::string> words,
                              const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_F(CliTest, RunPrintsTheTextAndNothingElse) {
  const ProgramResult result = Run(With(kShort, {"The hottest pepper"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_FALSE(result.out.empty());
  EXPECT_EQ(result.out.back(), '\n');
  // The words of a prompt need no quotes, and standard input will do as well.
  EXPECT_EQ(Run(With(kShort, {"The", "hottest", "pepper"})).out, result.out);
  EXPECT_EQ(Run(kShort, "The hottest pepper").out, result.out);
}

TEST_F(CliTest, RunVerboseSaysWhatItCost) {
  const ProgramResult result =
      Run({"run", "-v", "--max-tokens", "12", "--temperature", "0", "Hello"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("output tokens"));
  EXPECT_THAT(result.err, HasSubstr("first token"));
  EXPECT_THAT(result.err, HasSubstr("J/token"));
  EXPECT_THAT(result.err, HasSubstr("tokens/s/W"));
  EXPECT_THAT(result.err, HasSubstr("emulated"));
  EXPECT_THAT(result.err, Not(HasSubstr("nan")));
}

TEST_F(CliTest, RunJsonCarriesTheFinalMessage) {
  const Json json = RunJson(With(kShort, {"The hottest pepper"}));
  EXPECT_TRUE(json["text"].is_string());
  EXPECT_GT(json["joules"], 0);
  EXPECT_GT(json["output_tokens_per_joule"], 0);
  EXPECT_GT(json["final"]["usage"]["prompt_tokens"], 0);
  EXPECT_EQ(json["final"]["seed"], 7);
  EXPECT_EQ(json["final"]["emulated"], true);
}

TEST_F(CliTest, EmptyPromptIsMisuse) {
  EXPECT_EQ(Run(kShort, "").exit_code, 2);
  EXPECT_THAT(Run(kShort, "").err, HasSubstr("the prompt is empty"));
}

TEST_F(CliTest, Models) {
  EXPECT_THAT(Run({"models"}).out, HasSubstr("functional"));
  const Json json = RunJson({"models"});
  EXPECT_EQ(json["models"][0]["context"], 512);
}

TEST_F(CliTest, TokenizeAndBack) {
  const ProgramResult ids = Run({"tokenize", "Hello"});
  EXPECT_EQ(ids.exit_code, 0) << ids.err;
  EXPECT_THAT(ids.out, MatchesRegex("[0-9]+( [0-9]+)*\n"));
  std::vector<std::string> back = {"detokenize"};
  const Json tokens = RunJson({"tokenize", "Hello"});
  for (const Json& id : tokens["token_ids"]) {
    back.push_back(id.dump());
  }
  EXPECT_EQ(Run(back).out, "Hello");
  EXPECT_EQ(RunJson(back)["text"], "Hello");
  EXPECT_EQ(Run({"tokenize"}, "Hello").out, ids.out);
}

TEST_F(CliTest, PoolShowsEveryDevice) {
  const ProgramResult result = Run({"pool"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("EMULATED"));
  EXPECT_THAT(result.out, HasSubstr("jalapeno-gen1"));
  EXPECT_THAT(result.out, HasSubstr("tokens/s/W"));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
  const Json json = RunJson({"pool"});
  ASSERT_EQ(json["devices"].size(), 2u);
  EXPECT_EQ(json["devices"][0]["state"], "ready");
  EXPECT_GT(json["devices"][0]["power_milliwatts"], 0);
  EXPECT_LE(json["devices"][0]["power_milliwatts"], json["devices"][0]["cap_milliwatts"]);
  EXPECT_EQ(json["emulated"], true);
}

TEST_F(CliTest, Health) {
  EXPECT_EQ(Run({"health"}).out, "ready\n");
  EXPECT_EQ(Run({"health", "--live"}).out, "live\n");
  EXPECT_EQ(RunJson({"health"})["healthy"], true);
  EXPECT_EQ(Run({"health", "--model", "no-such-model"}).exit_code, 1);
}

TEST_F(CliTest, Version) {
  EXPECT_EQ(RunJson({"version"})["client"], RunJson({"version"})["daemon"]);
}

TEST_F(CliTest, ErrorsSayWhatTheLimitIs) {
  const ProgramResult result = Run({"run", "--temperature", "3", "Hello"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("scoville: chat: "));
  EXPECT_THAT(result.err, HasSubstr("temperature"));
  EXPECT_THAT(result.err, HasSubstr("2"));
  const ProgramResult json = Run({"run", "--temperature", "3", "Hello", "--json"});
  EXPECT_EQ(json.out, "");
  const Json error = Json::parse(json.err, nullptr, false);
  ASSERT_FALSE(error.is_discarded()) << json.err;
  EXPECT_EQ(error["error"]["reason"], "INVALID_FIELD");
  EXPECT_EQ(error["error"]["fields"][0]["field"], "sampling.temperature");
}

TEST_F(CliTest, ExplainOfNobodyFails) {
  const ProgramResult result = Run({"explain", "nobody"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("nobody"));
}

TEST_F(CliTest, NobodyThereIs69) {
  const std::string nowhere = "127.0.0.1:" + std::to_string(FreePort());
  const ProgramResult result = Run({"models", "--address", nowhere});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("no daemon answers at " + nowhere));
  EXPECT_THAT(result.err, HasSubstr("hint: "));
}

TEST_F(CliTest, HealthWaitsForADaemonThatComesLater) {
  DaemonOptions options;
  options.grpc_port = FreePort();
  const std::string out = MakeTempDir() + "/out";
  ChildProcess::Options run;
  run.command = {ProgramPath("scoville"),
                 "health",
                 "--wait",
                 "30s",
                 "--address",
                 "127.0.0.1:" + std::to_string(options.grpc_port)};
  run.output_path = run.error_path = out;
  auto waiting = ChildProcess::Start(run);
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->Wait(Milliseconds(200)), -1);
  const auto later = DaemonProcess::Start(options);
  ASSERT_TRUE(later.ok()) << later.status().message();
  EXPECT_EQ(waiting->Wait(Seconds(4)), 0) << ReadWholeFile(out);
  // In vain, it says why.
  const ProgramResult vain =
      Run({"health", "--wait", "300ms", "--address", "127.0.0.1:" + std::to_string(FreePort())});
  EXPECT_EQ(vain.exit_code, 69) << vain.err;
}

// Long answers, so that there is something to interrupt.
class CliInterruptTest : public CliTest {
 protected:
  void SetUp() override { StartDaemon({.executor = "synthetic"}); }
};

TEST_F(CliInterruptTest, CtrlCStopsTheAnswerAndFreesItsBlocks) {
  const std::string out = MakeTempDir() + "/out";
  ChildProcess::Options run;
  run.command = {ProgramPath("scoville"), "run",       "--raw",
                 "A long story",          "--address", daemon().address()};
  run.output_path = out;
  run.error_path = out + ".err";
  auto story = ChildProcess::Start(run);
  ASSERT_TRUE(story.ok()) << story.status();
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (ReadWholeFile(out).empty() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  story->Signal(SIGINT);
  EXPECT_EQ(story->Wait(Seconds(5)), 130) << ReadWholeFile(out + ".err");
  EXPECT_FALSE(ReadWholeFile(out).empty());
  EXPECT_TRUE(BecomesIdle());
}

}  // namespace
}  // namespace scoville::tests
