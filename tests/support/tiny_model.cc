#include "tests/support/tiny_model.h"

#include <stdlib.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "model/gguf/half.h"

namespace scoville::tests {

using model::FloatToHalf;
using model::GgmlType;

namespace {

constexpr uint64_t kLayers = 2;
constexpr uint64_t kWidth = 128;
constexpr uint64_t kHeads = 4;
constexpr uint64_t kKvHeads = 2;
constexpr uint64_t kHeadSize = 32;
constexpr uint64_t kFfn = 256;

constexpr const char* kTemplate =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nYou are a tiny test model<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if "
    "add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

// In byte-level form: \u0120 is a space.
constexpr std::pair<const char*, const char*> kMerges[] = {
    {"Ġ", "t"}, {"Ġ", "a"},   {"i", "n"},   {"h", "e"}, {"Ġ", "Ġ"},   {"r", "e"},  {"o", "n"},
    {"e", "r"}, {"Ġt", "he"}, {"a", "t"},   {"Ġ", "s"}, {"Ġ", "o"},   {"e", "n"},  {"Ġ", "c"},
    {"e", "s"}, {"Ġ", "w"},   {"n", "d"},   {"i", "t"}, {"o", "r"},   {"i", "s"},  {"a", "l"},
    {"Ġ", "p"}, {"in", "g"},  {"Ġ", "f"},   {"a", "n"}, {"e", "d"},   {"Ġ", "b"},  {"o", "u"},
    {"a", "r"}, {"Ġ", "in"},  {"Ġo", "f"},  {"Ġ", "m"}, {"Ġa", "nd"}, {"i", "on"}, {"i", "c"},
    {"Ġ", "d"}, {"Ġt", "o"},  {"ĠĠ", "ĠĠ"}, {"l", "e"}, {"r", "o"},   {"a", "s"},  {"en", "t"},
    {"Ġ", "h"}, {"Ġt", "h"},  {"c", "t"},
};

std::string CodePoint(uint32_t c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xc0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3f))};
}

// The printable code point that stands for a byte in byte-level vocabularies.
std::string ByteLevel(int byte) {
  const auto printable = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  if (printable(byte)) return CodePoint(static_cast<uint32_t>(byte));
  uint32_t next = 256;
  for (int b = 0; b < byte; ++b) next += printable(b) ? 0 : 1;
  return CodePoint(next);
}

// Uniform in [-1, 1).
float Signed(uint64_t seed, uint64_t stream, uint64_t index) {
  return static_cast<float>(2.0 * RandomUniform(seed, stream, index) - 1.0);
}

void PutHalf(std::vector<uint8_t>& out, float value) {
  const uint16_t half = FloatToHalf(value);
  out.push_back(static_cast<uint8_t>(half));
  out.push_back(static_cast<uint8_t>(half >> 8));
}

// Blocks whose values have about the given standard deviation.
std::vector<uint8_t> RandomQ4_1(uint64_t seed, uint64_t stream, uint64_t values, float deviation) {
  std::vector<uint8_t> out;
  for (uint64_t block = 0; block < values / 32; ++block) {
    // A uniform 4-bit integer deviates by 4.61.
    const float d = deviation / 4.61f * (1.0f + 0.25f * Signed(seed, stream, 32 * block));
    PutHalf(out, d);
    PutHalf(out, d * (-7.5f + 0.5f * Signed(seed, stream, 32 * block + 1)));
    for (uint64_t i = 0; i < 2; ++i) {
      const uint64_t bits = RandomBits(seed, stream, 32 * block + 2 + i);
      for (int b = 0; b < 8; ++b) out.push_back(static_cast<uint8_t>(bits >> (8 * b)));
    }
  }
  return out;
}

std::vector<uint8_t> RandomQ8_0(uint64_t seed, uint64_t stream, uint64_t values, float deviation) {
  std::vector<uint8_t> out;
  for (uint64_t block = 0; block < values / 32; ++block) {
    // A uniform integer of -127 to 127 deviates by 73.6.
    PutHalf(out, deviation / 73.6f * (1.0f + 0.25f * Signed(seed, stream, 64 * block)));
    for (uint64_t i = 0; i < 32; ++i) {
      const uint64_t q = RandomBelow(seed, stream, 64 * block + 1 + i, 255);
      out.push_back(static_cast<uint8_t>(static_cast<int64_t>(q) - 127));
    }
  }
  return out;
}

std::vector<uint8_t> RandomNorm(uint64_t seed, uint64_t stream, uint64_t values) {
  std::vector<uint8_t> out;
  for (uint64_t i = 0; i < values; ++i) {
    GgufWriter::Put32(out, std::bit_cast<uint32_t>(1.0f + 0.2f * Signed(seed, stream, i)));
  }
  return out;
}

void AddMatrix(GgufWriter& writer, uint64_t seed, uint64_t stream, const std::string& name,
               uint64_t in, uint64_t out, float gain) {
  const float deviation = gain / std::sqrt(static_cast<float>(in));
  writer.AddTensor(name, GgmlType::kQ4_1, {in, out}, RandomQ4_1(seed, stream, in * out, deviation));
}

void AddLayer(GgufWriter& writer, uint64_t seed, uint64_t layer) {
  const std::string prefix = absl::StrCat("blk.", layer, ".");
  const uint64_t stream = 16 * (layer + 1);
  writer.AddTensor(prefix + "attn_norm.weight", GgmlType::kF32, {kWidth},
                   RandomNorm(seed, stream, kWidth));
  writer.AddTensor(prefix + "ffn_norm.weight", GgmlType::kF32, {kWidth},
                   RandomNorm(seed, stream + 1, kWidth));
  // The gains are above one so that the layers, and not the last token's embedding, decide.
  AddMatrix(writer, seed, stream + 2, prefix + "attn_q.weight", kWidth, kHeads * kHeadSize, 2.0f);
  AddMatrix(writer, seed, stream + 3, prefix + "attn_k.weight", kWidth, kKvHeads * kHeadSize, 2.0f);
  AddMatrix(writer, seed, stream + 4, prefix + "attn_v.weight", kWidth, kKvHeads * kHeadSize, 2.0f);
  AddMatrix(writer, seed, stream + 5, prefix + "attn_output.weight", kHeads * kHeadSize, kWidth,
            2.0f);
  AddMatrix(writer, seed, stream + 6, prefix + "ffn_gate.weight", kWidth, kFfn, 2.0f);
  AddMatrix(writer, seed, stream + 7, prefix + "ffn_up.weight", kWidth, kFfn, 2.0f);
  AddMatrix(writer, seed, stream + 8, prefix + "ffn_down.weight", kFfn, kWidth, 1.0f);
}

}  // namespace

void AddTinyTokenizer(GgufWriter& writer, const std::string& pre) {
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<int32_t> types(tokens.size(), 3);
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(ByteLevel(byte));
  std::vector<std::string> merges;
  for (const auto& [left, right] : kMerges) {
    merges.push_back(absl::StrCat(left, " ", right));
    tokens.push_back(absl::StrCat(left, right));
  }
  types.resize(tokens.size(), 1);
  CHECK_EQ(static_cast<int64_t>(tokens.size()), kTinyVocabulary);
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", pre);
  writer.AddStringArray("tokenizer.ggml.tokens", tokens);
  writer.AddIntArray("tokenizer.ggml.token_type", types);
  writer.AddStringArray("tokenizer.ggml.merges", merges);
  writer.AddUint32("tokenizer.ggml.bos_token_id", 1);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 2);
  writer.AddUint32("tokenizer.ggml.unknown_token_id", 0);
  writer.AddUint32("tokenizer.ggml.padding_token_id", 2);
  writer.AddBool("tokenizer.ggml.add_bos_token", false);
  writer.AddBool("tokenizer.ggml.add_space_prefix", false);
  writer.AddString("tokenizer.chat_template", kTemplate);
}

void AddByteTokenizer(GgufWriter& writer, const std::vector<std::string>& control, uint32_t bos,
                      uint32_t eos) {
  std::vector<std::string> tokens = control;
  std::vector<int32_t> types(tokens.size(), 3);
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(ByteLevel(byte));
  types.resize(tokens.size(), 1);
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "gpt-2");
  writer.AddStringArray("tokenizer.ggml.tokens", tokens);
  writer.AddIntArray("tokenizer.ggml.token_type", types);
  writer.AddStringArray("tokenizer.ggml.merges", {});
  writer.AddUint32("tokenizer.ggml.bos_token_id", bos);
  writer.AddUint32("tokenizer.ggml.eos_token_id", eos);
}

std::vector<uint8_t> TinyModelBytes(uint64_t seed) {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddString("general.name", absl::StrCat("Tiny ", seed));
  writer.AddUint32("llama.block_count", kLayers);
  writer.AddUint32("llama.context_length", 512);
  writer.AddUint32("llama.embedding_length", kWidth);
  writer.AddUint32("llama.feed_forward_length", kFfn);
  writer.AddUint32("llama.attention.head_count", kHeads);
  writer.AddUint32("llama.attention.head_count_kv", kKvHeads);
  writer.AddFloat("llama.rope.freq_base", 10'000.0f);
  writer.AddFloat("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  writer.AddUint32("llama.vocab_size", kTinyVocabulary);
  writer.AddUint32("llama.rope.dimension_count", kHeadSize);
  AddTinyTokenizer(writer);
  writer.AddTensor("token_embd.weight", GgmlType::kQ8_0, {kWidth, kTinyVocabulary},
                   RandomQ8_0(seed, 1, kWidth * kTinyVocabulary, 0.25f));
  for (uint64_t layer = 0; layer < kLayers; ++layer) AddLayer(writer, seed, layer);
  writer.AddTensor("output_norm.weight", GgmlType::kF32, {kWidth}, RandomNorm(seed, 2, kWidth));
  return writer.Finish();
}

std::string WriteTinyModel(const std::string& dir, uint64_t seed) {
  std::string path = absl::StrCat(dir, "/tiny-", seed, ".gguf");
  const std::vector<uint8_t> bytes = TinyModelBytes(seed);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  CHECK(out.good());
  return path;
}

std::string MakeTempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "scoville-XXXXXX").string();
  CHECK(mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

}  // namespace scoville::tests
