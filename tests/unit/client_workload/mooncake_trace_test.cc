#include "client/workload/mooncake_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/client_workload/shared_prefixes.h"

namespace scoville::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kExcerpt = SCOVILLE_SOURCE_DIR "/tests/data/traces/mooncake_conversation.jsonl";

std::vector<WorkloadRequest> Excerpt(const MooncakeOptions& options) {
  const auto trace = ParseMooncakeTrace(ReadTrace(kExcerpt), "m.jsonl", options);
  EXPECT_TRUE(trace.ok()) << trace.status();
  return trace.ok() ? *trace : std::vector<WorkloadRequest>();
}

std::string ErrorOf(const std::string& text) {
  return std::string(ParseMooncakeTrace(text, "m.jsonl", {}).status().message());
}

TEST(MooncakeTraceTest, ReadsTheExcerpt) {
  const std::vector<WorkloadRequest> trace = Excerpt({});
  ASSERT_EQ(trace.size(), 26u);
  EXPECT_EQ(Count(trace), (TraceCounts{26, 325'510, 10'313, 651, 582, 69, true}));
  EXPECT_EQ(trace[0].arrival, TimePoint());
  EXPECT_EQ(trace[0].prompt_tokens, 6'758);
  EXPECT_EQ(trace[0].output_tokens, 500);
  EXPECT_EQ(trace[0].blocks.tokens, 512);
  EXPECT_EQ(trace[0].blocks.ids.size(), 14u);
  EXPECT_THAT(trace[3].blocks.ids, ElementsAre(0, 42, 43, 44, 45));
  EXPECT_EQ(Excerpt({.max_requests = 5}).size(), 5u);
}

// Whole blocks that the trace shares are the same tokens; the next one differs.
TEST(MooncakeTraceTest, EqualIdsAreEqualTokens) {
  constexpr int64_t kVocabulary = 50'000;
  const std::vector<WorkloadRequest> trace = Excerpt({.seed = 3});
  const WorkloadRequest& later = trace[25];
  int shared = 0;
  for (size_t i = 0; i < 25; ++i) {
    const auto common =
        static_cast<size_t>(std::mismatch(later.blocks.ids.begin(), later.blocks.ids.end(),
                                          trace[i].blocks.ids.begin(), trace[i].blocks.ids.end())
                                .first -
                            later.blocks.ids.begin());
    ASSERT_GE(common, 1u);  // id 0 begins every prompt
    const std::vector<int32_t> a = PromptOf(later, kVocabulary);
    const std::vector<int32_t> b = PromptOf(trace[i], kVocabulary);
    ASSERT_EQ(static_cast<int64_t>(a.size()), later.prompt_tokens);
    ASSERT_EQ(static_cast<int64_t>(b.size()), trace[i].prompt_tokens);
    const auto same = static_cast<size_t>(
        std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
    // Chance makes a token or two equal beyond.
    EXPECT_GE(same, common * 512);
    EXPECT_LE(same, common * 512 + 2);
    shared = std::max(shared, static_cast<int>(common));
  }
  EXPECT_GE(shared, 11);
  // Another seed, other tokens; another request with the same blocks, the same ones.
  EXPECT_NE(PromptOf(Excerpt({.seed = 4})[25], kVocabulary), PromptOf(later, kVocabulary));
  WorkloadRequest twin = later;
  twin.seed ^= 1;
  EXPECT_EQ(PromptOf(twin, kVocabulary), PromptOf(later, kVocabulary));
}

TEST(MooncakeTraceTest, SpreadsWithinThreeSecondsBySeed) {
  const std::vector<WorkloadRequest> still = Excerpt({.seed = 7});
  std::map<uint64_t, TimePoint> instants;
  for (const WorkloadRequest& request : still) {
    instants[request.seed] = request.arrival;
  }
  const std::vector<WorkloadRequest> spread = Excerpt({.seed = 7, .spread = true});
  ASSERT_EQ(spread.size(), still.size());
  double sum = 0;
  for (size_t i = 0; i < spread.size(); ++i) {
    const Duration after = spread[i].arrival - instants.at(spread[i].seed);
    EXPECT_GE(after, Duration());
    EXPECT_LT(after, Seconds(3));
    sum += ToSeconds(after);
    if (i > 0) {
      EXPECT_GT(spread[i].arrival, spread[i - 1].arrival);
    }
  }
  EXPECT_NEAR(sum / static_cast<double>(spread.size()), 1.5, 0.6);
  EXPECT_EQ(Count(spread).hits, 69);
  EXPECT_EQ(Excerpt({.seed = 7, .spread = true})[4].arrival, spread[4].arrival);
  EXPECT_NE(Excerpt({.seed = 8, .spread = true})[4].arrival, spread[4].arrival);
}

TEST(MooncakeTraceTest, ErrorsNameFileAndLine) {
  const std::string good =
      R"({"timestamp": 5, "input_length": 600, "output_length": 1, "hash_ids": [0, 1]})";
  EXPECT_EQ(ErrorOf(good + "\r\n\n" + good), "");
  EXPECT_THAT(ErrorOf("\n\n"), HasSubstr("m.jsonl:1: the trace has no requests"));
  const auto with = [&](const char* fields) {
    return ErrorOf(absl::StrCat(good, "\n\n{", fields, "}"));
  };
  EXPECT_THAT(ErrorOf(good + "\n7"), HasSubstr("m.jsonl:2: is not one JSON object"));
  EXPECT_THAT(with(R"("input_length": 1)"), HasSubstr("m.jsonl:3: timestamp must be"));
  EXPECT_THAT(with(R"("timestamp": 6, "input_length": 0)"), HasSubstr("m.jsonl:3: input_length"));
  EXPECT_THAT(with(R"("timestamp": 6, "input_length": 1, "output_length": 0)"),
              HasSubstr("m.jsonl:3: output_length"));
  const auto ids = [&](const char* list) {
    return with(
        absl::StrCat(R"("timestamp": 6, "input_length": 513, "output_length": 1, "hash_ids": )",
                     list)
            .c_str());
  };
  EXPECT_EQ(ids("[4294967295, 0]"), "");
  EXPECT_THAT(ids("7"), HasSubstr("m.jsonl:3: hash_ids must be a list"));
  EXPECT_THAT(ids("[1]"), HasSubstr("m.jsonl:3: hash_ids has 1 ids, the prompt has 2 blocks"));
  for (const char* bad : {"-1", "1.5", "\"1\"", "null", "4294967296", "[0]"}) {
    EXPECT_THAT(ids(absl::StrCat("[1, ", bad, "]").c_str()),
                HasSubstr("m.jsonl:3: hash_ids[1] must be a whole number"))
        << bad;
  }
  EXPECT_THAT(with(R"("timestamp": 4, "input_length": 1, "output_length": 1, "hash_ids": [0])"),
              HasSubstr("m.jsonl:3: comes before"));
}

TEST(MooncakeTraceTest, CountsOfTheWholeTrace) {
  if (TraceFolder().empty()) {
    GTEST_SKIP() << "SCOVILLE_TRACES names no folder";
  }
  const auto trace = ParseMooncakeTrace(
      ReadTrace(TraceFolder() + "/mooncake/conversation_trace.jsonl"), "m.jsonl", {});
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(Count(*trace),
            (TraceCounts{12'031, 144'793'823, 4'122'048, 288'500, 182'790, 105'710, true}));
  std::map<int64_t, int> at;
  for (const WorkloadRequest& request : *trace) {
    at[request.arrival.ns()] += 1;
  }
  EXPECT_EQ(at.size(), 1'180u);
  EXPECT_EQ(std::max_element(at.begin(), at.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; })
                ->second,
            28);
}

}  // namespace
}  // namespace scoville::client
