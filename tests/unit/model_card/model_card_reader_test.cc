// config.json files that are unusual, wrong or hostile.
#include "model/card/model_card_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace scoville::model {
namespace {

using ::testing::HasSubstr;

constexpr char kDense[] = R"({
  "model_type": "llama",
  "hidden_size": 64,
  "num_hidden_layers": 4,
  "num_attention_heads": 8,
  "num_key_value_heads": 2,
  "intermediate_size": 128,
  "vocab_size": 1000,
  "max_position_embeddings": 2048
})";

constexpr char kExperts[] = R"({
  "model_type": "qwen3_moe",
  "hidden_size": 64,
  "num_hidden_layers": 6,
  "num_attention_heads": 8,
  "head_dim": 32,
  "num_key_value_heads": 2,
  "intermediate_size": 128,
  "moe_intermediate_size": 16,
  "num_experts": 8,
  "num_experts_per_tok": 2,
  "vocab_size": 1000,
  "max_position_embeddings": 2048
})";

ModelCard Card(const std::string& text) {
  const absl::StatusOr<ModelCard> card = ParseModelCard(text, "c.json", "test");
  EXPECT_TRUE(card.ok()) << card.status();
  return card.value_or(ModelCard());
}

// With one piece of the text replaced.
std::string Edited(absl::string_view text, absl::string_view from, absl::string_view to) {
  EXPECT_NE(text.find(from), absl::string_view::npos) << from;
  return absl::StrReplaceAll(text, {{from, to}});
}

std::string WithField(absl::string_view text, absl::string_view field) {
  return Edited(text, "\"vocab_size\"", absl::StrCat(field, ",\n  \"vocab_size\""));
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<ModelCard> card = ParseModelCard(text, "c.json", "test");
  EXPECT_EQ(card.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(card.status().message());
}

TEST(ModelCardReaderTest, ReadsADenseModel) {
  const ModelCard card = Card(kDense);
  EXPECT_EQ(card.name, "test");
  EXPECT_EQ(card.width, 64);
  EXPECT_EQ(card.heads, 8);
  EXPECT_EQ(card.kv_heads, 2);
  EXPECT_EQ(card.head_size, 8);  // width over heads
  EXPECT_EQ(card.layers(), 4);
  EXPECT_EQ(card.groups.size(), 1u);
  EXPECT_FALSE(card.tied_head);
  EXPECT_EQ(card.weights, Precision::kBf16);
  EXPECT_EQ(card.attention_parameters(), 64 * (64 + 16 + 16 + 64));
  EXPECT_TRUE(Card(WithField(kDense, "\"tie_word_embeddings\": true")).tied_head);
}

TEST(ModelCardReaderTest, LayersWithoutExperts) {
  const auto expert_layers = [](const std::string& text) {
    int64_t count = 0;
    for (const LayerGroup& group : Card(text).groups) {
      count += group.experts > 0 ? group.count : 0;
    }
    return count;
  };
  EXPECT_EQ(expert_layers(kExperts), 6);
  EXPECT_EQ(expert_layers(WithField(kExperts, "\"mlp_only_layers\": [0, 5]")), 4);
  EXPECT_EQ(expert_layers(WithField(kExperts, "\"decoder_sparse_step\": 2")), 3);
  EXPECT_EQ(expert_layers(WithField(kExperts, "\"first_k_dense_replace\": 2")), 4);
  EXPECT_EQ(expert_layers(WithField(kExperts, "\"moe_layer_freq\": 3")), 2);
}

TEST(ModelCardReaderTest, Windows) {
  const auto windowed = [](const std::string& text) {
    int64_t count = 0;
    for (const LayerGroup& group : Card(text).groups) {
      count += group.window > 0 ? group.count : 0;
    }
    return count;
  };
  const std::string mistral = Edited(kDense, "llama", "mistral");
  EXPECT_EQ(windowed(WithField(mistral, "\"sliding_window\": 4096")), 4);
  EXPECT_EQ(windowed(WithField(mistral, "\"sliding_window\": null")), 0);
  const std::string qwen = WithField(Edited(kDense, "llama", "qwen3"), "\"sliding_window\": 512");
  EXPECT_EQ(windowed(qwen), 0);
  const std::string used = WithField(qwen, "\"use_sliding_window\": true");
  EXPECT_EQ(windowed(used), 4);
  EXPECT_EQ(windowed(WithField(used, "\"max_window_layers\": 3")), 1);
  const std::string listed =
      WithField(qwen, R"("layer_types": ["sliding_attention", "full_attention",
                         "sliding_attention", "sliding_attention"])");
  EXPECT_EQ(windowed(listed), 3);
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"vocab_size\"",
                             R"("layer_types": ["full_attention"], "vocab_size")")),
              HasSubstr("c.json:8:3: layer_types: has 1 entries for 4 layers"));
  EXPECT_THAT(ErrorOf(Edited(listed, "\"full_attention\"", "\"linear_attention\"")),
              HasSubstr("'linear_attention' is not among full_attention, sliding_attention"));
}

TEST(ModelCardReaderTest, TheLanguagePartOfANestedFile) {
  const std::string nested =
      absl::StrCat("{\"model_type\": \"some_vl\", \"text_config\": ", kExperts,
                   ", \"vision_config\": {\"hidden_size\": 7}}");
  EXPECT_EQ(Card(nested).width, 64);
  EXPECT_THAT(ErrorOf(Edited(nested, "\"vocab_size\": 1000", "\"vocab_size\": 0")),
              HasSubstr(": text_config.vocab_size: is 0, allowed 1 to 16777216"));
}

TEST(ModelCardReaderTest, OurOwnBlockOverrides) {
  const std::string text = WithField(
      kExperts,
      R"("scoville": {"weights": "fp8", "experts": "nvfp4", "activations": "fp8", "kv": "fp8"})");
  const ModelCard card = Card(text);
  EXPECT_EQ(card.weights, Precision::kFp8);
  EXPECT_EQ(card.expert_weights, Precision::kNvfp4);
  EXPECT_EQ(card.activations, Precision::kFp8);
  EXPECT_EQ(card.kv, Precision::kFp8);
  EXPECT_THAT(ErrorOf(Edited(text, "\"experts\":", "\"expert\":")),
              HasSubstr("scoville.expert: unknown field; did you mean 'experts'?"));
  EXPECT_THAT(
      ErrorOf(Edited(text, "\"nvfp4\"", "\"nvfp\"")),
      HasSubstr("'nvfp' is not among bf16, fp8, mxfp4, nvfp4, int4; did you mean 'nvfp4'?"));
  EXPECT_THAT(ErrorOf(Edited(text, "\"kv\": \"fp8\"", "\"kv\": \"mxfp4\"")),
              HasSubstr("scoville.kv: four-bit caches are not supported"));
}

TEST(ModelCardReaderTest, SaysWhatIsMissingOrWrongAndWhere) {
  EXPECT_THAT(ErrorOf(Edited(kDense, "  \"intermediate_size\": 128,\n", "")),
              HasSubstr("c.json: intermediate_size: the field is missing; take the config.json"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"llama\"", "\"lama\"")),
              HasSubstr("c.json:2:3: model_type: 'lama', supported are llama"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"llama\"", "\"lama\"")), HasSubstr("did you mean 'llama'?"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"hidden_size\": 64", "\"hidden_size\": \"64\"")),
              HasSubstr("c.json:3:3: hidden_size: expected a whole number, found string"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3")),
              HasSubstr("c.json: model 'test': 3 KV heads do not divide 8 heads"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"num_attention_heads\": 8", "\"num_attention_heads\": 7")),
              HasSubstr("head_dim: the field is missing, and 7 heads do not divide a width of 64"));
  EXPECT_THAT(ErrorOf(Edited(kExperts, "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 9")),
              HasSubstr("c.json:11:3: num_experts_per_tok: is 9, allowed 1 to 8"));
}

TEST(ModelCardReaderTest, SaysWhereItIsNoJson) {
  EXPECT_THAT(ErrorOf("{\n  \"hidden_size\": 64,,\n}"), HasSubstr("c.json:2:21: this is not JSON"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("c.json:1:1: this is not JSON"));
  EXPECT_THAT(ErrorOf("[1, 2]"), HasSubstr("c.json:1:1: expected a JSON object, found array"));
  EXPECT_THAT(ErrorOf(Edited(kDense, "\"vocab_size\"", "\"hidden_size\": 32,\n  \"vocab_size\"")),
              HasSubstr("c.json:8:3: the key 'hidden_size' stands here again"));
}

TEST(ModelCardReaderTest, HostileNumbersAndShapesAreRefused) {
  for (const char* number : {"0", "-1", "1048577", "9223372036854775807", "18446744073709551615",
                             "1e30", "2.5", "true", "[64]"}) {
    const std::string text =
        Edited(kDense, "\"hidden_size\": 64", absl::StrCat("\"hidden_size\": ", number));
    EXPECT_THAT(ErrorOf(text), HasSubstr("hidden_size")) << number;
    EXPECT_THAT(ErrorOf(Edited(kDense, "\"num_hidden_layers\": 4",
                               absl::StrCat("\"num_hidden_layers\": ", number))),
                HasSubstr("num_hidden_layers"))
        << number;
  }
  EXPECT_THAT(ErrorOf(std::string((1 << 20) + 1, ' ')), HasSubstr("more than 1048576 bytes"));
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_THAT(ErrorOf(WithField(kDense, absl::StrCat("\"x\": ", deep))),
              HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(ErrorOf(WithField(kDense, "\"x\": 1e999")), HasSubstr("beyond all bounds"));
}

}  // namespace
}  // namespace scoville::model
