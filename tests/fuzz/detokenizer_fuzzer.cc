// A stream of tokens with stop strings: what comes out is UTF-8, never holds a stop string, and is
// the same as the matcher's verdict on the bytes.
#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "model/text/detokenizer.h"
#include "model/text/stop_matcher.h"
#include "model/text/utf8.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tiny_model.h"

namespace scoville::tests {

namespace {

std::unique_ptr<model::Tokenizer> MakeTokenizer() {
  GgufWriter writer;
  AddTinyTokenizer(writer);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = model::GgufFile::Parse(bytes);
  CHECK(file.ok());
  auto tokenizer = model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  return std::move(*tokenizer);
}

// Takes the input apart: options, up to three stop strings, then tokens.
class Script {
 public:
  explicit Script(absl::Span<const uint8_t> input) : input_(input) {}
  bool done() const { return at_ >= input_.size(); }
  uint8_t Next() { return done() ? 0 : input_[at_++]; }
  std::string NextString(size_t size) {
    std::string text;
    while (text.size() < size && !done()) text.push_back(static_cast<char>(Next()));
    return text;
  }

 private:
  absl::Span<const uint8_t> input_;
  size_t at_ = 0;
};

}  // namespace

void RunInput(absl::Span<const uint8_t> input) {
  static const model::Tokenizer& tokenizer = *MakeTokenizer().release();
  Script script(input);
  model::DetokenizerOptions options;
  const uint8_t flags = script.Next();
  options.keep_special_tokens = (flags & 1) != 0;
  options.keep_match = (flags & 2) != 0;
  for (int i = 0; i < ((flags >> 2) & 3); ++i) {
    options.stop_strings.push_back(script.NextString(script.Next() % 8));
  }
  const std::vector<std::string> stops = options.stop_strings;
  const bool keep_match = options.keep_match;
  const bool keep_special = options.keep_special_tokens;
  model::Detokenizer detokenizer(&tokenizer, std::move(options));
  model::StopMatcher matcher(stops);
  std::string text;
  while (!script.done()) {
    const int32_t token = (script.Next() + 256 * (script.Next() % 2)) % kTinyVocabulary;
    const bool was_stopped = detokenizer.stopped();
    const std::string part = detokenizer.Append(token);
    CHECK_EQ(model::ValidUtf8Prefix(part), part.size());
    text += part;
    if (was_stopped) {
      CHECK(part.empty());
    } else if (keep_special || !tokenizer.IsControl(token)) {
      CHECK_EQ(matcher.Append(tokenizer.TokenBytes(token)), detokenizer.stopped());
    }
  }
  text += detokenizer.Flush();
  CHECK_EQ(model::ValidUtf8Prefix(text), text.size());
  CHECK(detokenizer.Flush().empty());
  for (const std::string& stop : stops) {
    const bool is_text = model::ValidUtf8Prefix(stop) == stop.size() &&
                         stop.find(model::kReplacementCharacter.data()) == std::string::npos;
    if (!keep_match && !stop.empty() && is_text) CHECK(text.find(stop) == std::string::npos);
  }
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds = {{}, {0, 100, 0, 5, 1}};
  std::vector<uint8_t> stops = {4 | 8, 2, 'a', 'b', 3, 0xe2, 0x82, 0xac, 1, '\n'};
  for (const int byte : {0x78, 0x61, 0x61, 0x62, 0xe2, 0x82, 0x21, 0xff}) {
    stops.push_back(static_cast<uint8_t>(byte + 3));
    stops.push_back(static_cast<uint8_t>(byte + 3 > 255 ? 1 : 0));
  }
  seeds.push_back(stops);
  stops[0] |= 3;
  seeds.push_back(stops);
  return seeds;
}

}  // namespace scoville::tests
