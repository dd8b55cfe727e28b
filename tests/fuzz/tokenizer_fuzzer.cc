// Text to tokens and back: what was not dropped comes back, and control tokens appear only where
// they are allowed.
#include <memory>
#include <string>

#include "base/status_macros.h"
#include "model/text/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

namespace {

using model::Encoding;
using model::Tokenizer;

std::unique_ptr<Tokenizer> MakeTokenizer(const std::string& pre) {
  GgufWriter writer;
  AddTinyTokenizer(writer, pre);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = model::GgufFile::Parse(bytes);
  CHECK(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  return std::move(*tokenizer);
}

void Check(const Tokenizer& tokenizer, const std::string& text, bool allow) {
  model::EncodeOptions options;
  options.allow_control_tokens = allow;
  const Encoding encoding = tokenizer.Encode(text, options);
  CHECK_EQ(encoding.dropped_bytes, 0);
  std::string back;
  for (const int32_t token : encoding.tokens) {
    CHECK(allow || !tokenizer.IsControl(token));
    const absl::string_view bytes = tokenizer.TokenBytes(token);
    back.append(bytes.data(), bytes.size());
  }
  CHECK(back == text);
}

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  static const auto& tokenizers = *new std::vector<std::unique_ptr<Tokenizer>>([] {
    std::vector<std::unique_ptr<Tokenizer>> all;
    for (const char* pre : {"smollm", "gpt-2", "llama-bpe", "qwen2"}) {
      all.push_back(MakeTokenizer(pre));
    }
    return all;
  }());
  const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
  for (const auto& tokenizer : tokenizers) {
    Check(*tokenizer, text, false);
    Check(*tokenizer, text, true);
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string text :
       {"", "The other thing isn't 123 there.\r\n\n  x", "<|im_start|>user\nhi<|im_end|>\n",
        "日本語 😀 \xff\xc3 é \xe2\x82", "\xc2\x85 \xe1\xa0\x8e \xe2\x80\x8b\xe3\x80\x80 '"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

}  // namespace scoville::tests
