// Several choices, structured output, classes and targets: through `scoville` and the client
// library, against a real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/library/error_detail.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/daemon_test.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using Json = nlohmann::json;

class ChoicesTest : public DaemonTest {
 protected:
  void SetUp() override { StartDaemon({}); }

  ProgramResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {ProgramPath("scoville"), "run", "--raw", "--seed", "7"});
    words.push_back("The hottest pepper");
    return RunProgram(words, "", {{"SCOVILLE_ADDRESS", daemon().address()}});
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

TEST_F(ChoicesTest, SeveralAnswersInOrderEachWithItsSeed) {
  const Json three = RunJson({"--n", "3", "--max-tokens", "12"});
  ASSERT_EQ(three["choices"].size(), 3u);
  std::set<std::string> texts;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(three["choices"][i]["index"], i);
    texts.insert(three["choices"][i]["text"].get<std::string>());
  }
  EXPECT_EQ(texts.size(), 3u);
  EXPECT_EQ(three["text"], three["choices"][0]["text"]);
  EXPECT_EQ(three["final"]["usage"]["prompt_tokens"],
            RunJson({"--max-tokens", "12"})["final"]["usage"]["prompt_tokens"]);
  const ProgramResult printed = Run({"--n", "3", "--max-tokens", "12"});
  EXPECT_EQ(printed.exit_code, 0) << printed.err;
  size_t at = 0;
  for (size_t i = 0; i < 3; ++i) {
    at = printed.out.find(three["choices"][i]["text"].get<std::string>(), at);
    ASSERT_NE(at, std::string::npos) << printed.out;
  }
  EXPECT_EQ(Run({"--n", "17"}).exit_code, 2);
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(ChoicesTest, TheAnswerHasTheFormThatWasAskedFor) {
  const std::string file = MakeTempDir() + "/schema.json";
  std::ofstream(file) << R"({"type": "object", "properties": {"ok": {"type": "boolean"}},
                             "required": ["ok"], "additionalProperties": false})";
  const Json object = Json::parse(
      RunJson({"--json-schema", file, "--max-tokens", "60"})["text"].get<std::string>());
  EXPECT_TRUE(object["ok"].is_boolean());
  const Json number = RunJson({"--regex", "[0-9]{3}-[0-9]{4}", "--max-tokens", "60"});
  EXPECT_THAT(number["text"].get<std::string>(), MatchesRegex("[0-9]{3}-[0-9]{4}"))
      << number["text"];
  const std::string choice = RunJson({"--choice", "yes", "--choice", "no way"})["text"];
  EXPECT_TRUE(choice == "yes" || choice == "no way") << choice;
  EXPECT_EQ(RunJson({"--json-object", "--max-tokens", "5"})["text"].get<std::string>()[0], '{');

  const ProgramResult wrong = Run({"--regex", "ab(c"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("constraint.regex"));
  EXPECT_THAT(wrong.err, HasSubstr("offset"));
  EXPECT_EQ(Run({"--json-schema", "/nowhere.json"}).exit_code, 2);
  EXPECT_EQ(Run({"--regex", "a", "--choice", "a"}).exit_code, 2);
}

TEST_F(ChoicesTest, ClassTargetsAndDraftsChangeNoToken) {
  const Json plain = RunJson({"--max-tokens", "20"});
  const Json told = RunJson({"--max-tokens", "20", "--class", "batch", "--ttft", "200ms", "--itl",
                             "20ms", "--no-drafts"});
  EXPECT_EQ(plain["text"], told["text"]);
  EXPECT_EQ(Run({"--class", "urgent"}).exit_code, 2);
  EXPECT_EQ(Run({"--ttft", "soon"}).exit_code, 2);
}

class PoliciesTest : public DaemonTest {};

TEST_F(PoliciesTest, QuotasOfTheConfigurationAreKept) {
  StartDaemon({.executor = "synthetic",
               .devices = 1,
               .more_flags = {"--set", "limits.max_running=1", "--set",
                              "scheduler.max_queued_by_class=batch requests=1", "--set",
                              "scheduler.queue=fcfs", "--set", "scheduler.max_drafts=4", "--set",
                              "fairness.weights=acme=2,blue=0.5"}});
  v1::GenerateRequest request = LongRequest(8000);
  request.mutable_scheduling()->set_service_class(v1::SERVICE_CLASS_BATCH);
  // One runs, one waits: as choices they are refused together, three of them.
  request.mutable_sampling()->set_n(3);
  const auto refused = client().Generate(request, {}, [](const v1::Chunk&) { return true; });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(client::DetailOf(refused.status()).reason, "TENANT_QUOTA");
  EXPECT_TRUE(client::DetailOf(refused.status()).retry_after.has_value());
  request.mutable_sampling()->set_n(1);
  request.mutable_stop()->set_max_tokens(10);
  EXPECT_TRUE(client().Generate(request, {}, [](const v1::Chunk&) { return true; }).ok());
  EXPECT_TRUE(BecomesIdle());
}

TEST_F(PoliciesTest, ADeadlineThatCannotBeMetIsSaidAtOnce) {
  StartDaemon(
      {.executor = "synthetic", .devices = 1, .more_flags = {"--set", "limits.max_step_tokens=1"}});
  v1::GenerateRequest request;
  for (uint32_t i = 0; i < 8000; ++i) {
    request.mutable_token_ids()->add_ids(i % 100 + 5);
  }
  request.mutable_stop()->set_max_tokens(1);
  client::CallOptions options;
  options.timeout = Milliseconds(100);
  const auto answer = client().Generate(request, options, [](const v1::Chunk&) { return true; });
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(client::DetailOf(answer.status()).reason, "DEADLINE_INFEASIBLE") << answer.status();
}

TEST_F(PoliciesTest, WithoutAPrefixCacheNothingIsCached) {
  for (const bool cache : {true, false}) {
    StartDaemon(
        {.executor = "synthetic",
         .devices = 1,
         .more_flags = {"--set", cache ? "pool.prefix_cache=true" : "pool.prefix_cache=false"}});
    v1::GenerateRequest request = LongRequest(2);
    std::string text;
    for (int i = 0; i < 100; ++i) text += "the hottest pepper ";
    request.set_text(text);
    const auto cached = [&] {
      const auto last = client().Generate(request, {}, [](const v1::Chunk&) { return true; });
      EXPECT_TRUE(last.ok()) << last.status();
      return last.ok() ? last->usage().cached_tokens() : 0;
    };
    EXPECT_EQ(cached(), 0u);
    EXPECT_EQ(cached() > 0, cache);
    // Another salt does not see what this one left, nor does who asks to bypass it.
    request.mutable_scheduling()->set_cache_salt("other");
    EXPECT_EQ(cached(), 0u);
    EXPECT_EQ(cached() > 0, cache);
    request.mutable_scheduling()->set_bypass_prefix_cache(true);
    EXPECT_EQ(cached(), 0u);
  }
}

}  // namespace
}  // namespace scoville::tests
