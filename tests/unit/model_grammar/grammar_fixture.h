// Small vocabularies, and walks through the masks of a constraint.
#ifndef SCOVILLE_TESTS_UNIT_MODEL_GRAMMAR_GRAMMAR_FIXTURE_H_
#define SCOVILLE_TESTS_UNIT_MODEL_GRAMMAR_GRAMMAR_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/grammar/constraint.h"
#include "model/text/byte_level.h"
#include "model/text/tokenizer.h"
#include "model/text/utf8.h"
#include "tests/support/gguf_writer.h"

namespace scoville::tests {

// Token 0 and 1 end; then all bytes but `missing`; then pieces that cross every border.
inline std::unique_ptr<model::Tokenizer> GrammarTokenizer(absl::string_view missing = "") {
  const model::ByteLevelAlphabet alphabet;
  const auto name = [&](absl::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
      model::AppendUtf8(alphabet.CodePointOf(static_cast<uint8_t>(c)), text);
    }
    return text;
  };
  std::vector<std::string> tokens = {"<|end|>", "<|im_end|>", "<|pad|>"};
  std::vector<int32_t> types(tokens.size(), 3);
  for (int b = 0; b < 256; ++b) {
    const char c = static_cast<char>(b);
    if (missing.find(c) == absl::string_view::npos) {
      tokens.push_back(name(absl::string_view(&c, 1)));
    }
  }
  for (const char* piece :
       {"ab",    "abc",     "aa",       "bca",      "\":",      "\": ",       "\",",  "\", \"",
        "\"}",   "\"}}",    "}}",       "}}}",      "]}",       "]]",         "}, {", "{\"",
        "[{\"",  "[[",      ", ",       "true",     "null",     "tru",        "10",   "123",
        "\\\"",  "\\u00",   "\xe6\x97", "\x97\xa5", "\xf0\x9f", "\x98\x80\"", "\xc3", "\xa9\", \"a",
        "a\"}",  "k1\":",   "-1",       ".5",       "0,",       "e1",         " \"",  " {",
        "z\": ", "a\": \"", "2024-",    "-11-30\""}) {
    const std::string text(piece);
    if (text.size() > 1 && text.find_first_of(std::string(missing)) == std::string::npos) {
      tokens.push_back(name(text));
    }
  }
  types.resize(tokens.size(), 1);
  GgufWriter writer;
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "gpt-2");
  writer.AddStringArray("tokenizer.ggml.tokens", tokens);
  writer.AddIntArray("tokenizer.ggml.token_type", types);
  writer.AddStringArray("tokenizer.ggml.merges", {});
  writer.AddUint32("tokenizer.ggml.bos_token_id", 2);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 0);
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = model::GgufFile::Parse(bytes);
  CHECK(file.ok());
  auto tokenizer = model::Tokenizer::Create(**file);
  CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

inline bool Bit(absl::Span<const uint32_t> mask, int32_t token) {
  const auto t = static_cast<uint32_t>(token);
  return ((mask[t / 32] >> (t % 32)) & 1) != 0;
}

// The bytes as tokens drawn by the seed: at each place any token that the text goes on with.
inline std::vector<int32_t> Cut(const model::TokenIndex& index, absl::string_view text,
                                uint64_t seed) {
  std::vector<int32_t> tokens;
  while (!text.empty()) {
    std::vector<int32_t> fitting;
    for (int32_t t = 0; t < index.vocabulary(); ++t) {
      const absl::string_view bytes = index.Bytes(t);
      if (!bytes.empty() && text.substr(0, bytes.size()) == bytes) fitting.push_back(t);
    }
    if (fitting.empty()) return {};
    tokens.push_back(fitting[RandomBelow(seed, 1, tokens.size(), fitting.size())]);
    text.remove_prefix(index.Bytes(tokens.back()).size());
  }
  return tokens;
}

// Whether the constraint takes the text, cut by the seed, and may end there.
inline bool Takes(const std::shared_ptr<const model::CompiledConstraint>& constraint,
                  const model::TokenIndex& index, absl::string_view text, uint64_t seed = 1) {
  auto state = model::ConstraintState::Start(constraint);
  const std::vector<int32_t> tokens = Cut(index, text, seed);
  if (tokens.empty() && !text.empty()) return false;
  for (const int32_t token : tokens) {
    const bool in_mask = Bit(state.Mask(), token);
    const bool accepted = state.Accept(token);
    CHECK_EQ(in_mask, accepted);
    if (!accepted) return false;
  }
  return state.MayEnd();
}

// A text drawn from the masks; nothing if it did not end within `most` tokens. After half of them
// it prefers tokens that close. Checks on the way that each mask has a token and tells the truth.
inline std::optional<std::string> Wander(
    const std::shared_ptr<const model::CompiledConstraint>& constraint,
    const model::TokenIndex& index, uint64_t seed, size_t most, bool check_masks) {
  auto state = model::ConstraintState::Start(constraint);
  std::string text;
  for (size_t step = 0; step < most; ++step) {
    const auto mask = state.Mask();
    std::vector<int32_t> allowed, closing;
    bool end = false;
    for (int32_t t = 0; t < index.vocabulary(); ++t) {
      if (!Bit(mask, t)) continue;
      if (index.IsEnd(t)) end = true;
      if (!index.IsEnd(t)) allowed.push_back(t);
      const absl::string_view b = index.Bytes(t);
      if (b == "\"" || b == "}" || b == "]" || b == ":" || b == ",") closing.push_back(t);
    }
    CHECK_EQ(end, state.MayEnd());
    CHECK_EQ(allowed.empty(), state.MustEnd());
    CHECK(end || !allowed.empty());
    if (check_masks) {
      const model::TokenMask computed = state.ComputeMask();
      const model::TokenMask kept(mask.begin(), mask.end());
      CHECK(computed == kept);
      for (int32_t t = 0; t < index.vocabulary(); ++t) {
        CHECK_EQ(Bit(computed, t), state.Allows(t));
      }
    }
    const bool hurry = 2 * step > most;
    if (end && (hurry || allowed.empty() || RandomBelow(seed, 2, step, 3) == 0)) return text;
    const auto& from = hurry && !closing.empty() ? closing : allowed;
    const int32_t token = from[RandomBelow(seed, 3, step, from.size())];
    CHECK(state.Accept(token));
    text += std::string(index.Bytes(token));
  }
  return std::nullopt;
}

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_MODEL_GRAMMAR_GRAMMAR_FIXTURE_H_
