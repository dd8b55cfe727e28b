#include "model/text/detokenizer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "model/text/stop_matcher.h"
#include "model/text/utf8.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_model.h"

namespace scoville::model {
namespace {

constexpr const char* kBad = "\xef\xbf\xbd";

// A vocabulary in which every byte is a token, so that a test can cut text anywhere.
class DetokenizerTest : public testing::Test {
 protected:
  DetokenizerTest() {
    tests::GgufWriter writer;
    tests::AddTinyTokenizer(writer);
    const std::vector<uint8_t> bytes = writer.Finish();
    auto file = GgufFile::Parse(bytes);
    EXPECT_TRUE(file.ok()) << file.status();
    auto tokenizer = Tokenizer::Create(**file);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = std::move(*tokenizer);
  }

  int32_t Byte(char c) const { return 3 + static_cast<uint8_t>(c); }

  // What comes out token by token, parts separated by `|`, then what Flush gives after a `/`.
  std::string Parts(const std::string& bytes, DetokenizerOptions options) const {
    Detokenizer detokenizer(tokenizer_.get(), std::move(options));
    std::string parts;
    for (const char c : bytes) parts += detokenizer.Append(Byte(c)) + "|";
    return parts + "/" + detokenizer.Flush();
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(DetokenizerTest, CodePointsComeWhole) { EXPECT_EQ(Parts("aé€😀", {}), "a||é|||€||||😀|/"); }

TEST_F(DetokenizerTest, EachIllFormedPartIsOneReplacement) {
  const std::string bad = kBad;
  EXPECT_EQ(Parts("\xffz", {}), bad + "|z|/");
  EXPECT_EQ(Parts("\xe2\x82", {}), "||/" + bad);
  EXPECT_EQ(Parts("\xe2\x82z", {}), "||" + bad + "z|/");
  EXPECT_EQ(Parts("\xe2\xe2\x82\xac", {}), "|" + bad + "||€|/");
  EXPECT_EQ(Parts("\xed\xa0\x80", {}), "|" + bad + bad + "|" + bad + "|/");
  EXPECT_EQ(Parts("\xc0\xaf", {}), bad + "|" + bad + "|/");
  EXPECT_EQ(Parts("\xf4\x90", {}), "|" + bad + bad + "|/");
}

TEST_F(DetokenizerTest, AStopStringIsFoundAcrossTokensAndLeftOut) {
  EXPECT_EQ(Parts("one STOP two", {.stop_strings = {"STOP"}}), "o|n|e| |||||||||/");
  EXPECT_EQ(Parts("one STxP", {.stop_strings = {"STOP"}}), "o|n|e| |||STx|P|/");
  EXPECT_EQ(Parts("one ST", {.stop_strings = {"STOP"}}), "o|n|e| |||/ST");
  EXPECT_EQ(Parts("aab!", {.stop_strings = {"ab"}}), "|a|||/");
  EXPECT_EQ(Parts("abab!", {.stop_strings = {"abc", "bab"}}), "||a|||/");
}

TEST_F(DetokenizerTest, TheMatchIsKeptWhenAsked) {
  Detokenizer detokenizer(tokenizer_.get(), {.stop_strings = {"\n\n", "."}, .keep_match = true});
  EXPECT_EQ(detokenizer.Append(Byte('x')), "x");
  EXPECT_FALSE(detokenizer.stopped());
  EXPECT_EQ(detokenizer.Append(Byte('.')), ".");
  EXPECT_TRUE(detokenizer.stopped());
  EXPECT_EQ(detokenizer.match(), ".");
  EXPECT_EQ(detokenizer.Append(Byte('y')), "");
  EXPECT_EQ(detokenizer.Flush(), "");
}

TEST_F(DetokenizerTest, TheFirstToBeCompleteWinsThenTheLongest) {
  Detokenizer first(tokenizer_.get(), {.stop_strings = {"abcd", "bc"}});
  for (const char c : std::string("abc")) first.Append(Byte(c));
  EXPECT_EQ(first.match(), "bc");
  Detokenizer longest(tokenizer_.get(), {.stop_strings = {"b", "ab"}});
  std::string text;
  for (const char c : std::string("xab")) text += longest.Append(Byte(c));
  EXPECT_EQ(longest.match(), "ab");
  EXPECT_EQ(text, "x");
}

TEST_F(DetokenizerTest, ControlTokensAreSilentUnlessAskedFor) {
  const int32_t end = tokenizer_->FindToken("<|im_end|>");
  Detokenizer silent(tokenizer_.get(), {});
  EXPECT_EQ(silent.Append(end), "");
  Detokenizer loud(tokenizer_.get(), {.stop_strings = {}, .keep_special_tokens = true});
  EXPECT_EQ(loud.Append(end), "<|im_end|>");
}

TEST_F(DetokenizerTest, EmptyStopStringsAskForNothing) {
  EXPECT_EQ(Parts("ab", {.stop_strings = {""}}), "a|b|/");
}

// The whole text at once, by the definition: cut at the stop that is complete first, then replace.
std::string Reference(const std::string& bytes, const std::vector<std::string>& stops) {
  size_t cut = bytes.size();
  for (size_t end = 1; end <= bytes.size() && cut == bytes.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      const bool ends_here =
          stop.size() <= end && bytes.compare(end - stop.size(), stop.size(), stop) == 0;
      if (ends_here && stop.size() > longest) longest = stop.size();
    }
    if (longest > 0) {
      cut = end - longest;
      break;
    }
  }
  std::string text;
  for (size_t at = 0; at < cut;) {
    const Utf8Step step = NextUtf8(absl::string_view(bytes).substr(at, cut - at));
    text += step.kind == Utf8Kind::kCodePoint ? bytes.substr(at, step.length) : kBad;
    at += step.length;
  }
  return text;
}

TEST_F(DetokenizerTest, StreamingGivesWhatTheWholeTextGives) {
  const std::string alphabet = "abab c\xc3\xa9\xe2\x82\xac\xff";
  for (uint64_t seed = 0; seed < 3'000; ++seed) {
    const auto draw = [&](uint64_t stream, uint64_t index, uint64_t n) {
      return RandomBelow(seed, stream, index, n);
    };
    std::string bytes;
    for (uint64_t i = 0; i < draw(0, 0, 40); ++i) bytes += alphabet[draw(1, i, alphabet.size())];
    std::vector<std::string> stops;
    for (uint64_t s = 0; s < draw(2, 0, 4); ++s) {
      std::string stop;
      for (uint64_t i = 0; i < 1 + draw(3, s, 4); ++i) stop += "abc \n"[draw(4 + s, i, 5)];
      stops.push_back(stop);
    }
    Detokenizer detokenizer(tokenizer_.get(), {.stop_strings = stops});
    StopMatcher matcher(stops);
    std::string text;
    bool matched = false;
    for (const char c : bytes) {
      text += detokenizer.Append(Byte(c));
      ASSERT_EQ(ValidUtf8Prefix(text), text.size());
      matched = matched || matcher.Append(std::string(1, c));
      ASSERT_EQ(detokenizer.stopped(), matched);
      if (matched) break;
    }
    text += detokenizer.Flush();
    ASSERT_EQ(text, Reference(bytes, stops)) << "seed " << seed;
  }
}

TEST(StopMatcherTest, FindsStopsInsideAndAcrossTokens) {
  StopMatcher matcher({"stop", "", "\n\n"});
  EXPECT_FALSE(matcher.empty());
  EXPECT_FALSE(matcher.Append("a long beginning st"));
  EXPECT_FALSE(matcher.Append("o"));
  EXPECT_TRUE(matcher.Append("pped"));
  StopMatcher inside({"b"});
  EXPECT_TRUE(inside.Append("abc"));
  StopMatcher none;
  EXPECT_TRUE(none.empty());
  EXPECT_FALSE(none.Append("anything"));
  EXPECT_TRUE(StopMatcher({""}).empty());
}

}  // namespace
}  // namespace scoville::model
