#include "client/workload/azure_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"

namespace scoville::client {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";

std::string Excerpt() {
  std::ifstream in(SCOVILLE_SOURCE_DIR "/tests/data/azure2023/conversation_200.csv",
                   std::ios::binary);
  EXPECT_TRUE(in.good());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(AzureTraceTest, ReadsTheExcerptWhole) {
  const auto trace = ParseAzureTrace(Excerpt(), 0, 1);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 200u);
  int64_t prompts = 0;
  int64_t outputs = 0;
  for (size_t i = 0; i < trace->size(); ++i) {
    prompts += (*trace)[i].prompt_tokens;
    outputs += (*trace)[i].output_tokens;
    if (i > 0) {
      EXPECT_GT((*trace)[i].arrival, (*trace)[i - 1].arrival);
      EXPECT_NE((*trace)[i].seed, (*trace)[i - 1].seed);
    }
  }
  // Counted by other means.
  EXPECT_EQ(prompts, 180'695);
  EXPECT_EQ(outputs, 47'050);
  EXPECT_EQ((*trace)[0].arrival, TimePoint());
  EXPECT_EQ((*trace)[1].prompt_tokens, 396);
  EXPECT_EQ((*trace)[1].output_tokens, 109);
  EXPECT_EQ((*trace)[1].arrival.ns(), 4'314'579'000);  // 18:15:50.9951690 - 18:15:46.6805900
  EXPECT_EQ((*trace)[199].arrival.ns(), 61'263'537'000);
}

TEST(AzureTraceTest, TakesNoMoreThanAskedForAndKeepsTheirSeeds) {
  const auto all = ParseAzureTrace(Excerpt(), 0, 9);
  const auto some = ParseAzureTrace(Excerpt(), 7, 9);
  const auto other = ParseAzureTrace(Excerpt(), 7, 10);
  ASSERT_TRUE(all.ok() && some.ok() && other.ok());
  ASSERT_EQ(some->size(), 7u);
  for (size_t i = 0; i < some->size(); ++i) {
    EXPECT_EQ((*some)[i].seed, (*all)[i].seed);
    EXPECT_NE((*some)[i].seed, (*other)[i].seed);
  }
}

TEST(AzureTraceTest, ReadsLinesWithoutACarriageReturnAndCrossesMidnightAndMonths) {
  const auto trace = ParseAzureTrace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2024-02-28 23:59:59,1,1\n"
      "2024-02-29 00:00:00.5,2,1\n"
      "2024-03-01 00:00:00.0000001,3,1\n\n",
      0, 0);
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 3u);
  EXPECT_EQ((*trace)[1].arrival.ns(), 1'500'000'000);
  EXPECT_EQ((*trace)[2].arrival.ns(), 86'401'000'000'100);
}

struct BadRow {
  const char* rows;
  const char* error;
};

class AzureTraceRefusals : public ::testing::TestWithParam<BadRow> {};

TEST_P(AzureTraceRefusals, NameTheLine) {
  const auto trace = ParseAzureTrace(absl::StrCat(kHeader, GetParam().rows), 0, 0);
  ASSERT_FALSE(trace.ok());
  EXPECT_EQ(trace.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(trace.status().message()), HasSubstr(GetParam().error));
}

constexpr BadRow kBadRows[] = {
    {"", "no requests"},
    {"\r\n\r\n", "no requests"},
    {"2023-11-16 18:15:46,374\r\n", "line 2: has 2 fields, 3 are expected"},
    {"2023-11-16 18:15:46,374,44,1\r\n", "line 2: has 4 fields"},
    {"2023-11-16 18:15:46,374,44\r\nhello\r\n", "line 3: has 1 fields"},
    {"2023-13-16 18:15:46,374,44\r\n", "line 2: the timestamp must look like"},
    {"2023-11-16T18:15:46,374,44\r\n", "line 2: the timestamp"},
    {"2023-11-16 18:15:46.,374,44\r\n", "line 2: the timestamp"},
    {"2023-11-16 18:15:46.1234567890,374,44\r\n", "line 2: the timestamp"},
    {"2023-11-16 24:15:46,374,44\r\n", "line 2: the timestamp"},
    {"2023-02-30 18:15:46,374,44\r\n", "line 2: the timestamp"},
    {"2023-11-16 18:15:46,0,44\r\n", "line 2: ContextTokens must be"},
    {"2023-11-16 18:15:46,-4,44\r\n", "line 2: ContextTokens"},
    {"2023-11-16 18:15:46,374,\r\n", "line 2: GeneratedTokens must be"},
    {"2023-11-16 18:15:46,374,999999999999\r\n", "line 2: GeneratedTokens"},
    {"2023-11-16 18:15:46,374,99999999999999999999\r\n", "line 2: GeneratedTokens"},
    {"2023-11-16 18:15:46,374,44\r\n2023-11-16 18:15:45,1,1\r\n",
     "line 3: comes before the line above it"},
};

INSTANTIATE_TEST_SUITE_P(All, AzureTraceRefusals, ::testing::ValuesIn(kBadRows));

TEST(AzureTraceTest, RefusesAnotherHeader) {
  for (const char* text :
       {"", "a,b,c\n1,2,3\n", "2023-11-16 18:15:46,374,44\n", "TIMESTAMP,ContextTokens\n"}) {
    const auto trace = ParseAzureTrace(text, 0, 0);
    ASSERT_FALSE(trace.ok()) << text;
    EXPECT_THAT(std::string(trace.status().message()), HasSubstr("line 1: the header"));
  }
}

}  // namespace
}  // namespace scoville::client
