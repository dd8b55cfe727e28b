#include "model/gguf/model_config_from_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::model {
namespace {

using testing::HasSubstr;
using tests::GgufWriter;

struct Keys {
  std::string architecture = "llama";
  uint32_t layers = 1;
  uint32_t width = 32;
  uint32_t heads = 2;
  uint32_t kv_heads = 1;
  float epsilon = 1e-5f;
  uint32_t rows = 10;
};

absl::StatusOr<ModelConfig> Config(const Keys& keys,
                                   const std::function<void(GgufWriter&)>& more = {}) {
  GgufWriter writer;
  writer.AddString("general.architecture", keys.architecture);
  writer.AddUint32("llama.block_count", keys.layers);
  writer.AddUint32("llama.context_length", 128);
  writer.AddUint32("llama.embedding_length", keys.width);
  writer.AddUint32("llama.feed_forward_length", 64);
  writer.AddUint32("llama.attention.head_count", keys.heads);
  writer.AddUint32("llama.attention.head_count_kv", keys.kv_heads);
  writer.AddFloat("llama.attention.layer_norm_rms_epsilon", keys.epsilon);
  writer.AddTensor("token_embd.weight", GgmlType::kQ8_0, {32, keys.rows},
                   std::vector<uint8_t>(34 * keys.rows));
  if (more) more(writer);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  if (!file.ok()) return file.status();
  return ModelConfigFromGguf(**file);
}

std::string Error(const Keys& keys, const std::function<void(GgufWriter&)>& more = {}) {
  auto config = Config(keys, more);
  return config.ok() ? "" : std::string(config.status().message());
}

TEST(ModelConfigFromGgufTest, ReadsTheTinyModel) {
  const std::vector<uint8_t> bytes = tests::TinyModelBytes(7);
  auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  auto config = ModelConfigFromGguf(**file);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->name, "Tiny 7");
  EXPECT_EQ(config->architecture, "llama");
  EXPECT_EQ(config->layers, 2);
  EXPECT_EQ(config->width, 128);
  EXPECT_EQ(config->ffn_width, 256);
  EXPECT_EQ(config->heads, 4);
  EXPECT_EQ(config->kv_heads, 2);
  EXPECT_EQ(config->head_size, 32);
  EXPECT_EQ(config->rope_dims, 32);
  EXPECT_EQ(config->context, 512);
  EXPECT_EQ(config->vocabulary, tests::kTinyVocabulary);
  EXPECT_TRUE(config->tied_head);
  // 304 rows of embedding, two layers, and five norms of 128.
  EXPECT_EQ(config->parameters, 304 * 128 + config->layer_parameters() + 5 * 128);
  EXPECT_EQ(config->kv_values_per_token(), 2 * 2 * 2 * 32);
}

TEST(ModelConfigFromGgufTest, FillsInWhatMayBeLeftOut) {
  auto config = Config({});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocabulary, 10);
  EXPECT_EQ(config->head_size, 16);
  EXPECT_EQ(config->rope_dims, 16);
  EXPECT_EQ(config->rope_base, 10'000.0f);
  EXPECT_EQ(config->weight_bytes, 340);
}

TEST(ModelConfigFromGgufTest, RefusesByName) {
  auto other = Config({.architecture = "mamba"});
  EXPECT_TRUE(absl::IsUnimplemented(other.status()));
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("`mamba` is not supported"));
  EXPECT_THAT(Error({.layers = 0}), HasSubstr("`llama.block_count` is 0"));
  EXPECT_THAT(Error({.layers = 1'000'000}), HasSubstr("allowed are 1 to 1024"));
  EXPECT_THAT(Error({.heads = 3, .kv_heads = 2}), HasSubstr("do not divide 3"));
  EXPECT_THAT(Error({.heads = 3}), HasSubstr("do not divide the embedding length"));
  EXPECT_THAT(Error({.width = 64}), HasSubstr("rows of the embedding length 64"));
  EXPECT_THAT(Error({.epsilon = -1.0f}), HasSubstr("must be positive"));
  EXPECT_THAT(Error({}, [](GgufWriter& w) { w.AddUint32("llama.vocab_size", 11); }),
              HasSubstr("has 10 rows, the vocabulary has 11"));
  EXPECT_THAT(Error({}, [](GgufWriter& w) { w.AddUint32("llama.expert_count", 8); }),
              HasSubstr("8 experts"));
  EXPECT_THAT(Error({}, [](GgufWriter& w) { w.AddUint32("llama.attention.sliding_window", 64); }),
              HasSubstr("window of 64"));
  EXPECT_THAT(Error({}, [](GgufWriter& w) { w.AddString("llama.rope.scaling.type", "yarn"); }),
              HasSubstr("`yarn`"));
  EXPECT_THAT(Error({},
                    [](GgufWriter& w) {
                      w.AddUint32("llama.attention.key_length", 16),
                          w.AddUint32("llama.attention.value_length", 8);
                    }),
              HasSubstr("value size of 8"));
  EXPECT_THAT(Error({},
                    [](GgufWriter& w) {
                      w.AddTensor("blk.0.attn_q.bias", GgmlType::kF32, {32},
                                  std::vector<uint8_t>(128));
                    }),
              HasSubstr("`blk.0.attn_q.bias`"));
  EXPECT_THAT(Error({},
                    [](GgufWriter& w) {
                      w.AddTensor("blk.1.attn_q.weight", GgmlType::kF32, {32},
                                  std::vector<uint8_t>(128));
                    }),
              HasSubstr("`blk.1.attn_q.weight`"));
}

}  // namespace
}  // namespace scoville::model
