#include "device/physics/tables/operator_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "device/physics/step_cost.h"
#include "tests/unit/device_physics/physics_fixtures.h"

namespace scoville::device {
namespace {

using ::testing::HasSubstr;

const char* const kDirectory = SCOVILLE_SOURCE_DIR "/tests/data/operator_tables";

std::string Read(const char* name) {
  std::ifstream in(absl::StrCat(kDirectory, "/", name), std::ios::binary);
  EXPECT_TRUE(in.good()) << name;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Qwen3-32B, which the excerpt was measured on.
model::ModelCard Dense32B() {
  model::ModelCard c;
  c.name = "dense-32b";
  c.groups = {{64, 0, 25600, 0, 0, 0}};
  c.width = 5120;
  c.heads = 64;
  c.kv_heads = 8;
  c.head_size = 128;
  c.context = 40960;
  c.vocabulary = 151936;
  return c;
}

SequenceWork Prompt(int64_t cached, int64_t tokens, bool ends) {
  return {StepRole::kPrefill, cached, tokens, ends ? 1 : 0, 0};
}

class OperatorTablesTest : public ::testing::Test {
 protected:
  OperatorTablesTest()
      : profile_(*BuiltinProfile("rtx-pro-6000-server")), model_(Timing(profile_, Dense32B(), 2)) {
    texts_.attention = Read("attention.csv");
    texts_.dense = Read("dense.csv");
    texts_.per_sequence = Read("per_sequence.csv");
  }

  std::unique_ptr<OperatorTables> Tables() const {
    auto tables = OperatorTables::Parse(texts_, "d", profile_, model_);
    CHECK(tables.ok());
    return *std::move(tables);
  }
  std::string ErrorOf(const OperatorTableTexts& texts) const {
    return std::string(OperatorTables::Parse(texts, "d", profile_, model_).status().message());
  }

  const Profile profile_;
  const ModelTiming model_;
  OperatorTableTexts texts_;
};

TEST_F(OperatorTablesTest, MeasuredCallsComeBackAsMeasured) {
  const auto tables = Tables();
  // Rows of attention.csv, looked up by other means.
  const auto row = [&](const std::string& key) {
    const size_t at = texts_.attention.find("\n" + key + ",");
    EXPECT_NE(at, std::string::npos) << key;
    return std::stod(texts_.attention.substr(at + key.size() + 2)) * 1e-6;
  };
  EXPECT_DOUBLE_EQ(tables->AttentionSeconds(ShapeOf({Prompt(0, 1024, true)})), row("1024,0,0,0"));
  EXPECT_DOUBLE_EQ(tables->AttentionSeconds(ShapeOf({Prompt(4096, 512, true)})),
                   row("512,4096,0,0"));
  EXPECT_DOUBLE_EQ(tables->AttentionSeconds(ShapeOf(Decodes(128, 1023))), row("0,0,128,1024"));
  std::vector<SequenceWork> mixed = Decodes(32, 511);
  mixed.push_back(Prompt(1024, 1024, false));
  EXPECT_DOUBLE_EQ(tables->AttentionSeconds(ShapeOf(mixed)), row("1024,1024,32,512"));
}

TEST_F(OperatorTablesTest, ComposesAPassLayerByLayer) {
  const auto tables = Tables();
  const auto value = [](const std::string& text, const std::string& key) {
    const size_t at = text.find("\n" + key + ",");
    EXPECT_NE(at, std::string::npos) << key;
    return std::stod(text.substr(at + key.size() + 2));
  };
  const auto dense = [&](const char* name) {
    return value(texts_.dense, absl::StrCat(name, ",128"));
  };
  const double layer = 2 * dense("layernorm") + dense("qkv_proj") + dense("qk_norm") +
                       dense("rotary_emb") + dense("o_proj") + dense("gate_up_proj") +
                       dense("act_fn") + dense("down_proj") +
                       value(texts_.attention, "0,0,128,1024");
  const double expected = 64 * layer + dense("embedding") + dense("final_layernorm") +
                          value(texts_.per_sequence, "lm_head,128") +
                          value(texts_.per_sequence, "sampler,128");
  EXPECT_NEAR(tables->PassSeconds(ShapeOf(Decodes(128, 1023))), expected * 1e-6, 1e-12);
  // A chunk amid a prompt has no head.
  const double with = tables->PassSeconds(ShapeOf({Prompt(0, 512, true)}));
  const double without = tables->PassSeconds(ShapeOf({Prompt(0, 512, false)}));
  EXPECT_NEAR(
      with - without,
      (value(texts_.per_sequence, "lm_head,1") + value(texts_.per_sequence, "sampler,1")) * 1e-6,
      1e-12);
}

TEST_F(OperatorTablesTest, SeveralPromptsCountByTheirPairs) {
  const auto tables = Tables();
  // 512 tokens on 512 cached ones and 512 on none have the pairs of 1024 on none.
  EXPECT_DOUBLE_EQ(
      tables->AttentionSeconds(ShapeOf({Prompt(512, 512, false), Prompt(0, 512, true)})),
      tables->AttentionSeconds(ShapeOf({Prompt(0, 1024, true)})));
  // Short prompts have fewer pairs than one chunk of all their tokens, and more than one of them.
  const double two =
      tables->AttentionSeconds(ShapeOf({Prompt(0, 800, true), Prompt(0, 800, true)}));
  EXPECT_GT(two, tables->AttentionSeconds(ShapeOf({Prompt(0, 800, true)})));
  EXPECT_LT(two, tables->AttentionSeconds(ShapeOf({Prompt(0, 1600, true)})));
}

TEST_F(OperatorTablesTest, UnevenContextsTakeTheSharedPartOfTheLongest) {
  std::vector<SequenceWork> uneven = Decodes(16, 511);
  for (const SequenceWork& longer : Decodes(16, 1535)) {
    uneven.push_back(longer);
  }
  const auto attention = [&](const OperatorTables& tables, const std::vector<SequenceWork>& work) {
    return tables.AttentionSeconds(ShapeOf(work));
  };
  const auto tables = Tables();
  const double even = attention(*tables, Decodes(32, 1023));
  const double longest = attention(*tables, Decodes(32, 1535));
  EXPECT_NEAR(attention(*tables, uneven), even + profile_.skew_share.value * (longest - even),
              1e-15);
  texts_.skew =
      "regime,n,x,t_mean_us,t_max_us,t_skew_us\n"
      "pure,32,,10,20,14\n"
      "pure,32,,10,30,16\n"
      "mixed,32,,10,20,10\n";
  const auto skewed = Tables();
  EXPECT_NEAR(attention(*skewed, uneven), even + 10.0 / 30.0 * (longest - even), 1e-15);
  texts_.skew = Read("skew.csv");
  const auto measured = Tables();
  EXPECT_GE(attention(*measured, uneven), even);
  EXPECT_LT(attention(*measured, uneven), longest);
}

TEST_F(OperatorTablesTest, PricesKeepEverythingButTheTime) {
  texts_.all_reduce = Read("all_reduce.csv");
  const auto tables = Tables();
  const int top = profile_.top_state();
  for (uint64_t index = 0; index < 200; ++index) {
    const StepShape shape = ShapeOf(RandomWork(index));
    for (int state : {0, top / 2, top}) {
      const StepClock clock{state, top, index % 2 == 1};
      const StepPrice plain = PriceStep(profile_, model_, shape, clock);
      const StepPrice price = PriceStep(profile_, model_, shape, clock, tables.get());
      EXPECT_EQ(price.stalls.total(), price.duration);
      EXPECT_EQ(price.host_gap, plain.host_gap);
      EXPECT_EQ(price.flops_model, plain.flops_model);
      EXPECT_EQ(price.flops_executed, plain.flops_executed);
      EXPECT_EQ(price.hbm_bytes, plain.hbm_bytes);
      EXPECT_EQ(price.link_bytes, plain.link_bytes);
      // The pass at this clock: the tables' time, stretched as the formulas stretch theirs.
      const StepPrice fast =
          PriceStep(profile_, model_, shape, StepClock{top, top, clock.switched});
      const double comm =
          128 * tables->AllReduceSeconds(static_cast<double>(shape.total_tokens()) * 5120 * 2);
      const double plain_comm = plain.comm_share * plain.forward_seconds;
      const double ratio =
          (plain.forward_seconds - plain_comm) / (fast.forward_seconds - plain_comm);
      const double expected = tables->PassSeconds(shape) * ratio + comm;
      EXPECT_NEAR(price.forward_seconds, expected, 1e-9 * expected);
    }
  }
}

TEST_F(OperatorTablesTest, ThePricerUsesThemToo) {
  const auto tables = Tables();
  StepPricer pricer(&profile_, model_, 512, tables.get());
  const int top = profile_.top_state();
  for (uint64_t index = 0; index < 50; ++index) {
    const StepShape shape = ShapeOf(RandomWork(index));
    const StepClock clock{static_cast<int>(index) % (top + 1), top, false};
    const StepPrice expected = PriceStep(profile_, model_, shape, clock, tables.get());
    const StepPrice price = pricer.Price(shape, clock);
    EXPECT_EQ(price.duration, expected.duration);
    EXPECT_EQ(price.stalls.comm, expected.stalls.comm);
  }
}

TEST_F(OperatorTablesTest, CollectivesWithoutATableAreTheProfiles) {
  const auto tables = Tables();
  const StepShape shape = ShapeOf(Decodes(64, 700));
  const int top = profile_.top_state();
  const StepPrice plain = PriceStep(profile_, model_, shape, top);
  const StepPrice price = PriceStep(profile_, model_, shape, StepClock{top, top}, tables.get());
  EXPECT_EQ(plain.stalls.comm > Duration(), true);
  EXPECT_NEAR(static_cast<double>(price.stalls.comm.value()),
              static_cast<double>(plain.stalls.comm.value()), 1.0);
}

TEST_F(OperatorTablesTest, LoadsADirectory) {
  const auto tables = OperatorTables::Load(kDirectory, profile_, model_);
  ASSERT_TRUE(tables.ok()) << tables.status();
  EXPECT_TRUE((*tables)->has_all_reduce());
  const auto missing = OperatorTables::Load("/nowhere", profile_, model_);
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nowhere/attention.csv"));
}

TEST_F(OperatorTablesTest, ErrorsNameFileAndLine) {
  const auto with = [&](std::string OperatorTableTexts::*member, const std::string& text) {
    OperatorTableTexts texts = texts_;
    texts.*member = text;
    return ErrorOf(texts);
  };
  const auto attention = [&](const std::string& row) {
    return with(&OperatorTableTexts::attention, texts_.attention + row + "\n");
  };
  const int64_t next = std::count(texts_.attention.begin(), texts_.attention.end(), '\n') + 1;
  const std::string at = absl::StrCat("d/attention.csv:", next, ": ");
  EXPECT_THAT(attention("1,2,3"), HasSubstr(at + "has 3 fields, the header has 5"));
  EXPECT_THAT(attention("-1,0,0,0,5"), HasSubstr(at + "prefill_chunk is '-1'"));
  EXPECT_THAT(attention("16,0,0,0,nan"), HasSubstr(at + "time_us is 'nan'"));
  EXPECT_THAT(attention("16,0,0,0,0"), HasSubstr(at + "time_us is '0'"));
  EXPECT_THAT(attention("16,0,0,0,inf"), HasSubstr(at + "time_us is 'inf'"));
  EXPECT_THAT(attention("0,0,0,0,5"), HasSubstr(at + "a call has a chunk"));
  EXPECT_THAT(attention("0,5,1,16,5"), HasSubstr(at + "a call has a chunk"));
  EXPECT_THAT(attention("16,0,2,0,5"), HasSubstr(at + "a call has a chunk"));
  EXPECT_THAT(attention("1024,0,0,0,5"), HasSubstr("two values at prefill_chunk,kv_prefill"));
  EXPECT_THAT(with(&OperatorTableTexts::attention, ""), HasSubstr("d/attention.csv:1: the header"));
  EXPECT_THAT(
      with(&OperatorTableTexts::attention, "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"),
      HasSubstr("d/attention.csv:1: has no rows"));
  EXPECT_THAT(with(&OperatorTableTexts::dense, "layer,tokens,time_us\nlayer_norm,1,2\n"),
              HasSubstr("d/dense.csv:2: no operator 'layer_norm'"));
  EXPECT_THAT(with(&OperatorTableTexts::dense, "layer,tokens,time_us\nlayernorm,1,2\n"),
              HasSubstr("has no row of embedding"));
  EXPECT_THAT(with(&OperatorTableTexts::per_sequence, texts_.per_sequence + "sampler,1,9\n"),
              HasSubstr("sampler: two values at 1"));
  OperatorTableTexts texts = texts_;
  texts.skew = "regime,n,t_mean_us,t_max_us,t_skew_us\nodd,1,2,3,4\n";
  EXPECT_THAT(ErrorOf(texts), HasSubstr("d/skew.csv:2: regime must be pure or mixed"));
  texts = texts_;
  texts.all_reduce = "bytes,time_us\n64,1\n64,2\n";
  EXPECT_THAT(ErrorOf(texts), HasSubstr("d/all_reduce.csv:1: two values at 64"));
}

TEST_F(OperatorTablesTest, RefusesOtherKindsOfModels) {
  model::ModelCard experts = Dense32B();
  experts.groups = {{64, 0, 768, 128, 8, 0}};
  const auto tables = OperatorTables::Parse(texts_, "d", profile_, Timing(profile_, experts, 2));
  EXPECT_THAT(std::string(tables.status().message()), HasSubstr("has experts, windows"));
}

}  // namespace
}  // namespace scoville::device
