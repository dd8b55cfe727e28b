// The ways in which published checkpoints say how they are stored.
#include "model/card/quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace scoville::model::internal {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<StoredPrecisions> Read(const std::string& fields) {
  const absl::StatusOr<CardDocument> document =
      CardDocument::Parse(absl::StrCat("{", fields, "}"), "c.json");
  EXPECT_TRUE(document.ok()) << document.status();
  const CardFields root = document->Root();
  return ReadStoredPrecisions(root, root, 12);
}

StoredPrecisions Stored(const std::string& quantization) {
  const absl::StatusOr<StoredPrecisions> stored =
      Read("\"torch_dtype\": \"bfloat16\", \"quantization_config\": " + quantization);
  EXPECT_TRUE(stored.ok()) << stored.status();
  return stored.value_or(StoredPrecisions());
}

std::string ErrorOf(const std::string& fields) {
  return std::string(Read(fields).status().message());
}

TEST(QuantizationTest, PlainTypes) {
  EXPECT_EQ(Read("")->attention, Precision::kBf16);
  EXPECT_EQ(Read("\"torch_dtype\": \"float32\"")->attention, Precision::kBf16);
  EXPECT_EQ(Read("\"dtype\": \"float8_e4m3fn\"")->experts, Precision::kFp8);
  EXPECT_THAT(ErrorOf("\"torch_dtype\": \"int2\""),
              HasSubstr("c.json:1:2: torch_dtype: 'int2' is not among"));
}

TEST(QuantizationTest, BlockFp8) {
  const StoredPrecisions stored =
      Stored(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})");
  EXPECT_EQ(stored.attention, Precision::kFp8);
  EXPECT_EQ(stored.dense, Precision::kFp8);
  EXPECT_EQ(stored.experts, Precision::kFp8);
  EXPECT_EQ(stored.activations, Precision::kFp8);
  EXPECT_EQ(stored.head, Precision::kBf16);
  EXPECT_EQ(stored.kv, Precision::kBf16);
}

TEST(QuantizationTest, ModeloptNvfp4WithAttentionLeftOut) {
  const StoredPrecisions stored = Stored(R"({
      "quant_method": "modelopt", "quant_algo": "NVFP4",
      "ignore": ["lm_head", "model.layers.12.self_attn*", "model.layers.13.self_attn*"],
      "kv_cache_scheme": {"dynamic": false, "num_bits": 8, "type": "float"}})");
  EXPECT_EQ(stored.attention, Precision::kBf16);
  EXPECT_EQ(stored.dense, Precision::kNvfp4);
  EXPECT_EQ(stored.experts, Precision::kNvfp4);
  EXPECT_EQ(stored.activations, Precision::kNvfp4);
  EXPECT_EQ(stored.kv, Precision::kFp8);
}

TEST(QuantizationTest, ModeloptInTheOlderForm) {
  const StoredPrecisions stored = Stored(R"({"quant_method": "modelopt", "quantization":
      {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}})");
  EXPECT_EQ(stored.attention, Precision::kFp8);
  EXPECT_EQ(stored.kv, Precision::kFp8);
}

TEST(QuantizationTest, CompressedTensors) {
  const std::string groups = R"({"quant_method": "compressed-tensors", "config_groups": {"group_0":
      {"weights": {"num_bits": %b, "type": "%t", "group_size": %g}, "input_activations": %a}},
      "ignore": ["re:.*mlp\\.(gate|up|down)_proj.*", "re:.*self_attn.*"]})";
  const auto with = [&](const char* b, const char* t, const char* g, const char* a) {
    std::string text = groups;
    for (const auto& [from, to] : {std::pair{"%b", b}, {"%t", t}, {"%g", g}, {"%a", a}}) {
      text.replace(text.find(from), 2, to);
    }
    return Stored(text);
  };
  EXPECT_EQ(with("4", "int", "32", "null").experts, Precision::kInt4);
  EXPECT_EQ(with("4", "int", "32", "null").activations, Precision::kBf16);
  EXPECT_EQ(with("4", "float", "16", "null").experts, Precision::kNvfp4);
  EXPECT_EQ(with("4", "float", "32", "null").experts, Precision::kMxfp4);
  const StoredPrecisions fp8 = with("8", "float", "0", R"({"num_bits": 8, "type": "float"})");
  EXPECT_EQ(fp8.experts, Precision::kFp8);
  EXPECT_EQ(fp8.activations, Precision::kFp8);
  EXPECT_EQ(fp8.attention, Precision::kBf16);
  EXPECT_EQ(fp8.dense, Precision::kBf16);
  EXPECT_EQ(fp8.shared, Precision::kFp8);
}

TEST(QuantizationTest, UnknownMethodsSayWhatToDo) {
  EXPECT_THAT(ErrorOf(R"("quantization_config": {"quant_method": "quip"})"),
              HasSubstr("quantization_config.quant_method: 'quip' is not among fp8"));
  EXPECT_THAT(ErrorOf(R"("quantization_config": {"quant_method": "modelopt", "quant_algo": "X"})"),
              HasSubstr("say the precisions in a \"scoville\" block"));
  EXPECT_THAT(ErrorOf(R"("quantization_config": {"quant_method": "gptq", "bits": 3})"),
              HasSubstr("3 bits, supported are 4 and 8"));
  EXPECT_THAT(ErrorOf(R"("quantization_config": {"quant_method": "compressed-tensors"})"),
              HasSubstr("config_groups: the field is missing"));
}

TEST(QuantizationTest, NamesOfModules) {
  const auto names = [](const std::string& pattern, const char* module) {
    return NamesModule({pattern}, module);
  };
  EXPECT_TRUE(names("lm_head", "language_model.lm_head"));
  EXPECT_TRUE(names("model.layers.*.self_attn", "model.layers.3.self_attn.q_proj"));
  EXPECT_FALSE(names("model.layers.3.self_attn*", "model.layers.4.self_attn.q_proj"));
  EXPECT_TRUE(names("re:.*mlp\\.(gate|up)_proj.*", "model.layers.0.mlp.up_proj"));
  EXPECT_FALSE(names("re:.*mlp\\.(gate|up)_proj.*", "model.layers.0.mlp.experts.0.up_proj"));
  EXPECT_TRUE(names("re:^model\\.layers\\.\\d+\\.mlp\\.gate$", "model.layers.9.mlp.gate"));
  EXPECT_FALSE(names("", "model.layers.9.mlp.gate"));
  EXPECT_FALSE(names("*", ""));
  std::string many;
  for (int i = 0; i < 100; ++i) {
    many += "(a|b|c)";
  }
  EXPECT_FALSE(names("re:" + many, "model"));  // and returns
}

}  // namespace
}  // namespace scoville::model::internal
