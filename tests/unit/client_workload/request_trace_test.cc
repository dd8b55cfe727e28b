#include "client/workload/request_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/client_workload/shared_prefixes.h"

namespace scoville::client {
namespace {

using ::testing::HasSubstr;

std::string Excerpt() {
  return ReadTrace(SCOVILLE_SOURCE_DIR "/tests/data/operator_tables/requests_20.jsonl");
}

std::string ErrorOf(const std::string& text) {
  return std::string(ParseRequestTrace(text, "t.jsonl", 0, 1).status().message());
}

TEST(RequestTraceTest, ReadsTheExcerptFromItsFirstArrival) {
  const auto trace = ParseRequestTrace(Excerpt(), "t.jsonl", 0, 1);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 20u);
  EXPECT_EQ(trace->front().arrival, TimePoint());
  EXPECT_EQ(trace->front().prompt_tokens, 2361);
  EXPECT_EQ(trace->front().output_tokens, 532);
  for (size_t i = 1; i < trace->size(); ++i) {
    EXPECT_GT((*trace)[i].arrival, (*trace)[i - 1].arrival);
    EXPECT_NE((*trace)[i].seed, (*trace)[i - 1].seed);
  }
  const auto three = ParseRequestTrace(Excerpt(), "t.jsonl", 3, 1);
  ASSERT_TRUE(three.ok());
  ASSERT_EQ(three->size(), 3u);
  EXPECT_EQ(three->back().arrival, (*trace)[2].arrival);
}

TEST(RequestTraceTest, SecondsSince1970KeepTheirMicroseconds) {
  const auto trace = ParseRequestTrace(
      "{\"request_id\": \"a\", \"arrival_time\": 1777142838.338653, \"input_toks\": 7, "
      "\"output_toks\": 1}\r\n"
      "\n"
      "{\"arrival_time\": 1777142838.6237123, \"input_toks\": 8, \"output_toks\": 2, \"x\": [1]}",
      "t.jsonl", 0, 1);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 2u);
  EXPECT_NEAR(static_cast<double>((*trace)[1].arrival.ns()), 285'059'300.0, 500.0);
}

TEST(RequestTraceTest, ErrorsNameFileAndLine) {
  const std::string good = R"({"arrival_time_ns": 5, "input_toks": 1, "output_toks": 1})";
  EXPECT_THAT(ErrorOf(""), HasSubstr("t.jsonl:1: the trace has no requests"));
  EXPECT_THAT(ErrorOf(good + "\n[1]"), HasSubstr("t.jsonl:2: is not one JSON object"));
  EXPECT_THAT(ErrorOf(good + "\n" + good + "x"), HasSubstr("t.jsonl:2: is not one JSON object"));
  EXPECT_THAT(ErrorOf(std::string(100'000, '[')), HasSubstr("t.jsonl:1: is not one JSON object"));
  const auto with = [&](const char* fields) {
    return ErrorOf(absl::StrCat(good, "\n\n{", fields, "}"));
  };
  EXPECT_THAT(with(R"("input_toks": 1, "output_toks": 1)"), HasSubstr("t.jsonl:3: needs arrival"));
  for (const char* bad : {"-1", "1.5", "1e300", "null", "\"4\"", "9223372036854775808"}) {
    EXPECT_THAT(
        with(absl::StrCat("\"arrival_time_ns\": ", bad, ", \"input_toks\": 1, \"output_toks\": 1")
                 .c_str()),
        HasSubstr("t.jsonl:3: needs arrival"))
        << bad;
  }
  for (const char* bad : {"0", "-3", "100000001", "1.0", "true", "18446744073709551615"}) {
    EXPECT_THAT(
        with(absl::StrCat("\"arrival_time_ns\": 5, \"input_toks\": ", bad, ", \"output_toks\": 1")
                 .c_str()),
        HasSubstr("t.jsonl:3: input_toks must be"))
        << bad;
    EXPECT_THAT(
        with(absl::StrCat("\"arrival_time_ns\": 5, \"input_toks\": 1, \"output_toks\": ", bad)
                 .c_str()),
        HasSubstr("t.jsonl:3: output_toks must be"))
        << bad;
  }
  EXPECT_THAT(with(R"("arrival_time_ns": 4, "input_toks": 1, "output_toks": 1)"),
              HasSubstr("t.jsonl:3: comes before"));
  EXPECT_THAT(with(R"("arrival_time": 4, "input_toks": 1, "output_toks": 1)"),
              HasSubstr("t.jsonl:3: gives its arrival in another unit"));
}

TEST(RequestTraceTest, BlocksOfTheExcerptAreSharedTokens) {
  const auto trace = ParseRequestTrace(
      ReadTrace(SCOVILLE_SOURCE_DIR "/tests/data/traces/sharegpt_llama_3_1_8b.jsonl"), "t.jsonl", 0,
      1);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(Count(*trace), (TraceCounts{11, 9'790, 7'372, 608, 492, 116, true}));
  const WorkloadRequest& last = trace->back();
  EXPECT_EQ(last.blocks.tokens, 16);
  EXPECT_EQ(static_cast<int64_t>(last.blocks.ids.size()), last.prompt_tokens / 16);
  // What follows the whole blocks is the request's own.
  WorkloadRequest twin = last;
  twin.seed += 1;
  const std::vector<int32_t> a = PromptOf(last, 50'000);
  const std::vector<int32_t> b = PromptOf(twin, 50'000);
  ASSERT_EQ(static_cast<int64_t>(a.size()), last.prompt_tokens);
  const auto whole = static_cast<std::ptrdiff_t>(last.blocks.ids.size()) * 16;
  ASSERT_LT(whole, last.prompt_tokens);
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + whole, b.begin()));
  EXPECT_NE(a, b);
}

TEST(RequestTraceTest, ErrorsOfBlocks) {
  const auto with = [](const char* fields) {
    return ErrorOf(absl::StrCat(R"({"arrival_time_ns": 5, "input_toks": 33, "output_toks": 1, )",
                                fields, "}"));
  };
  EXPECT_EQ(with(R"("block_size": 16, "input_hash_ids": [4, 5])"), "");
  EXPECT_EQ(with(R"("block_size": 64, "input_hash_ids": [])"), "");
  EXPECT_THAT(with(R"("input_hash_ids": [4, 5])"),
              HasSubstr("t.jsonl:1: input_hash_ids need block_size"));
  EXPECT_THAT(with(R"("block_size": 0, "input_hash_ids": [])"), HasSubstr("need block_size"));
  EXPECT_THAT(with(R"("block_size": 16, "input_hash_ids": [4, 5, 6])"),
              HasSubstr("t.jsonl:1: input_hash_ids has 3 ids, the prompt has 2 blocks"));
}

TEST(RequestTraceTest, CountsOfTheWholeTraces) {
  if (TraceFolder().empty()) {
    GTEST_SKIP() << "SCOVILLE_TRACES names no folder";
  }
  const auto counts = [](const char* name) {
    const auto trace =
        ParseRequestTrace(ReadTrace(TraceFolder() + "/sharegpt-llmservingsim/" + name), name, 0, 1);
    EXPECT_TRUE(trace.ok()) << trace.status();
    EXPECT_EQ(trace->back().arrival, TimePoint(29'183'763'203 - 46'926'808));
    return Count(*trace);
  };
  EXPECT_EQ(counts("sharegpt-llama-3.1-8b-300-sps10.jsonl"),
            (TraceCounts{300, 257'239, 195'753, 15'942, 14'722, 1'220, true}));
  EXPECT_EQ(counts("sharegpt-qwen3-32b-300-sps10.jsonl"),
            (TraceCounts{300, 258'691, 199'486, 16'034, 14'756, 1'278, true}));
}

}  // namespace
}  // namespace scoville::client
