// The shipped cards against what their makers print.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/card/model_card_reader.h"

namespace scoville::model {
namespace {

using ::testing::HasSubstr;

// Parameters in billions as printed; `digit` is the unit of the last printed digit. Makers count a
// decoded token's parameters with or without the embedding table, which only the cheap look-up
// reads.
struct Published {
  const char* name;
  double total;
  double total_digit;
  double active;  // 0: dense
  double active_digit;
  bool active_with_table;
};

constexpr Published kPublished[] = {
    {"llama-3.1-8b", 8.03, 0.01, 0, 0, false},
    {"llama-3.1-70b", 70.6, 0.1, 0, 0, false},
    {"llama-3.1-405b", 405.9, 0.1, 0, 0, false},  // 405B rounded from 405.85
    {"qwen3-8b", 8.19, 0.01, 0, 0, false},
    {"qwen3-32b", 32.8, 0.1, 0, 0, false},
    {"qwen3-30b-a3b", 30.5, 0.1, 3.3, 0.1, true},
    {"qwen3-235b-a22b", 235, 1, 22, 1, true},
    {"gpt-oss-20b", 20.9, 0.1, 3.6, 0.1, false},
    {"gpt-oss-120b", 116.8, 0.1, 5.1, 0.1, false},
    {"deepseek-r1", 671, 1, 37, 1, true},
    {"kimi-k2.5", 1030, 10, 32, 1, false},
    {"smollm2-135m-instruct", 0.1345, 0.0001, 0, 0, false},
};

TEST(BuiltinCardsTest, CountsAreThePublishedOnes) {
  ASSERT_EQ(BuiltinCardNames().size(), std::size(kPublished));
  for (const Published& published : kPublished) {
    SCOPED_TRACE(published.name);
    const absl::StatusOr<ModelCard> card = BuiltinCard(published.name);
    ASSERT_TRUE(card.ok()) << card.status();
    const double total = static_cast<double>(card->total_parameters()) / 1e9;
    EXPECT_NEAR(total, published.total, 0.01 * published.total + 0.5 * published.total_digit);
    if (published.active == 0) {
      EXPECT_EQ(card->active_parameters(),
                card->total_parameters() - (card->tied_head ? 0 : card->width * card->vocabulary));
      continue;
    }
    const int64_t table = published.active_with_table ? card->width * card->vocabulary : 0;
    const double active = static_cast<double>(card->active_parameters() + table) / 1e9;
    EXPECT_NEAR(active, published.active, 0.01 * published.active + 0.5 * published.active_digit);
  }
}

TEST(BuiltinCardsTest, EveryCardIsValidAndAFileOfItsName) {
  const std::vector<std::string> names = BuiltinCardNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const absl::StatusOr<ModelCard> built_in = FindCard(name);
    ASSERT_TRUE(built_in.ok()) << built_in.status();
    EXPECT_TRUE(Validate(*built_in).ok());
    EXPECT_EQ(built_in->name, name);
    const std::string folder = absl::StrCat(SCOVILLE_SOURCE_DIR, "/deploy/models/", name);
    for (const std::string& path : {folder, folder + "/config.json"}) {
      const absl::StatusOr<ModelCard> file = FindCard(path);
      ASSERT_TRUE(file.ok()) << file.status();
      EXPECT_EQ(file->name, name);
      EXPECT_EQ(file->total_parameters(), built_in->total_parameters());
      EXPECT_EQ(file->stored_bytes(), built_in->stored_bytes());
    }
  }
}

TEST(BuiltinCardsTest, BytesOnDiskAreThePublishedOnes) {
  // Sizes of the published checkpoints, decimal gigabytes.
  const auto gigabytes = [](absl::string_view name) {
    return BuiltinCard(name)->stored_bytes() / 1e9;
  };
  EXPECT_NEAR(gigabytes("gpt-oss-120b"), 65.3, 0.02 * 65.3);  // 60.8 GiB
  EXPECT_NEAR(gigabytes("gpt-oss-20b"), 13.8, 0.02 * 13.8);   // 12.8 GiB
  EXPECT_NEAR(gigabytes("llama-3.1-8b"), 16.06, 0.16);
}

TEST(BuiltinCardsTest, WindowsExpertsAndLatentAttention) {
  const ModelCard oss = *BuiltinCard("gpt-oss-120b");
  ASSERT_EQ(oss.groups.size(), 2u);
  EXPECT_EQ(oss.groups[0].window, 128);
  EXPECT_EQ(oss.groups[0].count, 18);
  EXPECT_EQ(oss.groups[1].window, 0);
  EXPECT_EQ(oss.expert_weights, Precision::kMxfp4);
  EXPECT_EQ(oss.weights, Precision::kBf16);
  EXPECT_EQ(oss.activations, Precision::kBf16);

  const ModelCard r1 = *BuiltinCard("deepseek-r1");
  ASSERT_EQ(r1.groups.size(), 2u);
  EXPECT_EQ(r1.groups[0].count, 3);
  EXPECT_EQ(r1.groups[0].experts, 0);
  EXPECT_EQ(r1.groups[1].count, 58);
  EXPECT_EQ(r1.groups[1].shared_width, 2048);
  EXPECT_EQ(r1.kv_values_per_layer(), 576);
  EXPECT_EQ(r1.weights, Precision::kFp8);
  EXPECT_EQ(r1.activations, Precision::kFp8);

  const ModelCard kimi = *BuiltinCard("kimi-k2.5");
  EXPECT_EQ(kimi.heads, 64);
  EXPECT_EQ(kimi.groups[1].experts, 384);
  EXPECT_EQ(kimi.expert_weights, Precision::kInt4);
  EXPECT_EQ(kimi.weights, Precision::kBf16);
}

TEST(BuiltinCardsTest, AnUnknownNameIsToldTheNearest) {
  const absl::StatusOr<ModelCard> card = FindCard("llama-3-8b");
  ASSERT_EQ(card.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(card.status().message()), HasSubstr("did you mean 'llama-3.1-8b'?"));
  EXPECT_THAT(std::string(card.status().message()), HasSubstr("kimi-k2.5"));
  EXPECT_EQ(FindCard("/nowhere/config.json").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace scoville::model
