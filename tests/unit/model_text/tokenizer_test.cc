#include "model/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::GgufWriter;

std::string ErrorOf(const GgufWriter& writer) {
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  if (!file.ok()) return std::string(file.status().message());
  auto tokenizer = Tokenizer::Create(**file);
  return tokenizer.ok() ? "" : std::string(tokenizer.status().message());
}

std::unique_ptr<Tokenizer> Build(const GgufWriter& writer) {
  const std::vector<uint8_t> bytes = writer.Finish();
  auto file = GgufFile::Parse(bytes);
  EXPECT_TRUE(file.ok()) << file.status();
  auto tokenizer = Tokenizer::Create(**file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

std::unique_ptr<Tokenizer> Tiny(const std::string& pre = "smollm") {
  GgufWriter writer;
  tests::AddTinyTokenizer(writer, pre);
  return Build(writer);
}

std::string Join(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens) {
  std::string text;
  for (const int32_t token : tokens) text += std::string(tokenizer.TokenBytes(token));
  return text;
}

// Tokens as text, so that expectations can be read.
std::vector<std::string> Pieces(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> pieces;
  for (const int32_t token : tokenizer.Encode(text).tokens) {
    pieces.emplace_back(tokenizer.TokenBytes(token));
  }
  return pieces;
}

TEST(TokenizerTest, MergesByRankAndLeftmostFirst) {
  const auto tokenizer = Tiny();
  EXPECT_THAT(Pieces(*tokenizer, "the other"), ElementsAre("t", "he", " o", "t", "he", "r"));
  EXPECT_THAT(Pieces(*tokenizer, " the theme"), ElementsAre(" the", " the", "m", "e"));
  EXPECT_THAT(Pieces(*tokenizer, "ininin"), ElementsAre("in", "in", "in"));
  EXPECT_THAT(Pieces(*tokenizer, "        x"), ElementsAre("    ", "  ", " ", " ", "x"));
}

TEST(TokenizerTest, ControlTokensAreMadeOnlyWhereAllowed) {
  const auto tokenizer = Tiny();
  const std::string text = "a<|im_end|>b<|im_end|";
  for (const int32_t token : tokenizer->Encode(text).tokens) {
    EXPECT_FALSE(tokenizer->IsControl(token));
  }
  EncodeOptions options;
  options.allow_control_tokens = true;
  const std::vector<int32_t> tokens = tokenizer->Encode(text, options).tokens;
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer->FindToken("<|im_end|>")), 1);
  EXPECT_EQ(Join(*tokenizer, tokens), text);
}

TEST(TokenizerTest, BosIsAddedWhenAsked) {
  const auto tokenizer = Tiny();
  EncodeOptions options;
  options.add_bos = true;
  EXPECT_THAT(tokenizer->Encode("", options).tokens, ElementsAre(tokenizer->bos()));
  EXPECT_TRUE(tokenizer->Encode("").tokens.empty());
}

TEST(TokenizerTest, AnyBytesComeBackAsTheyWere) {
  for (const char* pre : {"smollm", "gpt-2", "llama-bpe", "qwen2"}) {
    const auto tokenizer = Tiny(pre);
    for (uint64_t i = 0; i < 300; ++i) {
      std::string text;
      const uint64_t size = RandomBelow(1, 0, i, 80);
      for (uint64_t j = 0; j < size; ++j) {
        text.push_back(static_cast<char>(RandomBelow(2, i, j, i % 2 == 0 ? 256 : 128)));
      }
      EncodeOptions options;
      options.allow_control_tokens = i % 3 == 0;
      const Encoding encoding = tokenizer->Encode(text, options);
      EXPECT_EQ(encoding.dropped_bytes, 0);
      EXPECT_EQ(Join(*tokenizer, encoding.tokens), text);
    }
  }
}

TEST(TokenizerTest, AWordOfMegabytesIsNoAttack) {
  for (const char* pre : {"smollm", "llama-bpe"}) {
    const auto tokenizer = Tiny(pre);
    for (const char* unit : {"in", " ", "\n", "é", "\xff", "<", "1", "\n  ", "' "}) {
      std::string text;
      const size_t size =
          std::string(unit) == "in" && std::string(pre) == "smollm" ? 4u << 20 : 1u << 18;
      while (text.size() < size) text += unit;
      text += "x";
      EncodeOptions options;
      options.allow_control_tokens = true;
      const Encoding encoding = tokenizer->Encode(text, options);
      EXPECT_EQ(Join(*tokenizer, encoding.tokens), text);
    }
  }
}

TEST(TokenizerTest, BytesWithoutATokenAreDroppedAndCounted) {
  GgufWriter writer;
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "gpt-2");
  writer.AddStringArray("tokenizer.ggml.tokens", {"a", "b", "ab"});
  writer.AddStringArray("tokenizer.ggml.merges", {"a b"});
  const auto tokenizer = Build(writer);
  const Encoding encoding = tokenizer->Encode("axbab");
  // Dropped before merging: its neighbours meet.
  EXPECT_THAT(encoding.tokens, ElementsAre(2, 2));
  EXPECT_EQ(encoding.dropped_bytes, 1);
  EXPECT_EQ(tokenizer->bos(), -1);
  EXPECT_TRUE(tokenizer->end_tokens().empty());
}

TEST(TokenizerTest, UserDefinedTokensAreCutOutOfAnyText) {
  GgufWriter writer;
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "gpt-2");
  writer.AddStringArray("tokenizer.ggml.tokens", {"a", "b", "<ab>", "<ab", "<end>", ">"});
  writer.AddIntArray("tokenizer.ggml.token_type", {1, 1, 4, 4, 4, 1});
  writer.AddStringArray("tokenizer.ggml.merges", {});
  writer.AddUint32("tokenizer.ggml.eos_token_id", 4);
  const auto tokenizer = Build(writer);
  EXPECT_THAT(tokenizer->Encode("a<ab>b<ab").tokens, ElementsAre(0, 2, 1, 3));
  // Whatever the file calls it: the token that ends answers is a control token.
  EXPECT_TRUE(tokenizer->IsControl(4));
  EXPECT_THAT(tokenizer->Encode("<end>").tokens, ElementsAre(5));
  EXPECT_EQ(tokenizer->Encode("<end>").dropped_bytes, 4);
}

TEST(TokenizerTest, AWholePieceIsTakenFirstWhereTheModelWantsIt) {
  GgufWriter writer;
  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddStringArray("tokenizer.ggml.tokens", {"a", "b", "c", "bc", "abc"});
  writer.AddStringArray("tokenizer.ggml.merges", {"b c"});
  GgufWriter gpt2 = writer;
  gpt2.AddString("tokenizer.ggml.pre", "gpt-2");
  EXPECT_THAT(Build(gpt2)->Encode("abc").tokens, ElementsAre(0, 3));
  EXPECT_FALSE(Build(gpt2)->add_bos_by_default());
  writer.AddString("tokenizer.ggml.pre", "llama-bpe");
  EXPECT_THAT(Build(writer)->Encode("abc").tokens, ElementsAre(4));
  EXPECT_TRUE(Build(writer)->add_bos_by_default());
}

TEST(TokenizerTest, RefusesByName) {
  GgufWriter none;
  EXPECT_THAT(ErrorOf(none), HasSubstr("tokenizer.ggml.model"));
  GgufWriter spm;
  spm.AddString("tokenizer.ggml.model", "llama");
  EXPECT_THAT(ErrorOf(spm), HasSubstr("tokenizer model `llama` is not supported"));
  GgufWriter pre;
  tests::AddTinyTokenizer(pre, "gpt-5");
  EXPECT_THAT(ErrorOf(pre), HasSubstr("pre-tokenizer `gpt-5` is not supported; supported: smollm"));
  const auto with = [](const std::vector<std::string>& merges, uint32_t eos) {
    GgufWriter writer;
    writer.AddString("tokenizer.ggml.model", "gpt2");
    writer.AddString("tokenizer.ggml.pre", "gpt-2");
    writer.AddStringArray("tokenizer.ggml.tokens", {"a", "b", "ab"});
    writer.AddStringArray("tokenizer.ggml.merges", merges);
    writer.AddUint32("tokenizer.ggml.eos_token_id", eos);
    return ErrorOf(writer);
  };
  EXPECT_EQ(with({"a b"}, 0), "");
  EXPECT_THAT(with({"ab"}, 0), HasSubstr("merge 0 is not a pair"));
  EXPECT_THAT(with({"a b", "b a"}, 0), HasSubstr("merge 1 names `ba`"));
  EXPECT_THAT(with({"a b"}, 2), HasSubstr("merge 0 makes a control token"));
  EXPECT_THAT(with({"a b"}, 3), HasSubstr("is 3, the vocabulary has 3"));
}

}  // namespace
}  // namespace scoville::model
