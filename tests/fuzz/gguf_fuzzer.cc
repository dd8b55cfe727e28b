// Everything that is made out of a model file, from bytes that may be anything.
#include <algorithm>
#include <string>

#include "base/status_macros.h"
#include "model/gguf/dequantize.h"
#include "model/gguf/gguf_file.h"
#include "model/gguf/model_config_from_gguf.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

namespace {

using model::GgmlType;

void UseTensors(const model::GgufFile& file) {
  for (const model::TensorInfo& tensor : file.tensors()) {
    CHECK(file.FindTensor(tensor.name) == &tensor);
    const int64_t blocks = tensor.row_length() / model::GgmlBlockSize(tensor.type);
    const int64_t row_bytes = blocks * model::GgmlBlockBytes(tensor.type);
    CHECK_EQ(static_cast<int64_t>(tensor.data.size()), row_bytes * tensor.rows());
    if (tensor.row_length() > (1 << 16)) continue;
    std::vector<float> row(static_cast<size_t>(tensor.row_length()));
    const auto bytes = tensor.data.subspan(0, static_cast<size_t>(row_bytes));
    const bool finite = model::DequantizeRow(tensor.type, bytes, absl::MakeSpan(row)).ok();
    if (model::CheckFinite(tensor).ok()) CHECK(finite);
  }
}

void UseText(const model::GgufFile& file) {
  auto tokenizer = model::Tokenizer::Create(file);
  if (!tokenizer.ok()) {
    CHECK(!tokenizer.status().message().empty());
    return;
  }
  model::EncodeOptions options;
  options.allow_control_tokens = true;
  options.add_bos = true;
  const std::string text = "The <|im_start|> of 12 \xff things,\n  that's all";
  for (const int32_t token : (*tokenizer)->Encode(text, options).tokens) {
    CHECK_LT(int64_t{token}, (*tokenizer)->vocabulary());
    (*tokenizer)->TokenBytes(token);
  }
  auto chat = model::ChatTemplate::Create(file, tokenizer->get());
  if (!chat.ok()) return;
  const std::vector<model::ChatMessage> messages = {{"system", "s"}, {"user", "u"}};
  (void)(*chat)->Render(messages, false).status();
  (void)(*chat)->Render(absl::MakeSpan(messages).subspan(1), false).status();
}

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  auto file = model::GgufFile::Parse(input);
  if (!file.ok()) {
    CHECK(!file.status().message().empty());
    return;
  }
  (void)model::ModelConfigFromGguf(**file).status();
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "k"}) {
    (void)(*file)->GetInt(key).status();
    (void)(*file)->GetFloat(key).status();
    (void)(*file)->GetBool(key).status();
    (void)(*file)->GetString(key).status();
    (void)(*file)->GetStringArray(key).status();
    (void)(*file)->GetIntArray(key).status();
    (void)(*file)->GetFloatArray(key).status();
  }
  UseTensors(**file);
  UseText(**file);
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  GgufWriter tokenizer;
  AddTinyTokenizer(tokenizer);
  seeds.push_back(tokenizer.Finish());
  GgufWriter llama3;
  AddTinyTokenizer(llama3, "llama-bpe");
  seeds.push_back(llama3.Finish());
  GgufWriter bytes;
  AddByteTokenizer(bytes, {"<s>", "</s>", "<|im_start|>", "<|im_end|>"}, 0, 1);
  bytes.AddString("tokenizer.chat_template", "{{ '<|im_start|>user\n' + c + '<|im_end|>' }}");
  seeds.push_back(bytes.Finish());
  GgufWriter types;
  types.AddUint32("general.alignment", 32);
  types.AddFloatArray("k", {1.0f, 2.0f});
  for (const GgmlType type : {GgmlType::kF32, GgmlType::kF16, GgmlType::kBF16, GgmlType::kQ8_0,
                              GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ5_0, GgmlType::kQ5_1,
                              GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K}) {
    const auto size = static_cast<uint64_t>(model::GgmlBlockSize(type));
    const auto stored = static_cast<size_t>(model::GgmlBlockBytes(type));
    types.AddTensor(std::string(model::GgmlTypeName(type)), type, {size, 2},
                    std::vector<uint8_t>(2 * stored, 0x11));
  }
  seeds.push_back(types.Finish());
  seeds.push_back(TinyModelBytes(1));
  return seeds;
}

}  // namespace scoville::tests
