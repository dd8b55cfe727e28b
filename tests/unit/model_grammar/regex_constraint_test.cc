#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/grammar/constraint.h"
#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::model {
namespace {

using testing::HasSubstr;
using tests::Takes;
using tests::Wander;

class RegexConstraintTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const CompiledConstraint>> Compile(
      const std::string& pattern, const CompileLimits& limits = {}) {
    return CompileConstraint({ConstraintSpec::Kind::kRegex, pattern, {}}, index_, limits);
  }
  std::string ErrorOf(const std::string& pattern) {
    return std::string(Compile(pattern).status().message());
  }
  bool Matches(const std::string& pattern, const std::string& text) {
    const auto compiled = Compile(pattern);
    EXPECT_TRUE(compiled.ok()) << pattern << ": " << compiled.status();
    return compiled.ok() && Takes(*compiled, *index_, text);
  }

  std::unique_ptr<Tokenizer> tokenizer_ = tests::GrammarTokenizer();
  std::shared_ptr<const TokenIndex> index_ = *TokenIndex::Create(*tokenizer_);
};

// A pattern and what it means, made together: the places where a match that begins at `from` may
// end.
using Ends = std::set<size_t>;
struct Meaning {
  std::string pattern;
  std::function<Ends(const std::string& text, size_t from)> ends;
};

Ends EndsOfAll(const Meaning& m, const std::string& text, const Ends& from) {
  Ends out;
  for (const size_t at : from) out.merge(m.ends(text, at));
  return out;
}

Meaning RandomLeaf(uint64_t draw) {
  const std::pair<const char*, const char*> leaves[] = {
      {"a", "a"},     {"b", "b"},     {"c", "c"},       {".", "abc"},  {"[ab]", "ab"},
      {"[^b]", "ac"}, {"\\w", "abc"}, {"[a-c]", "abc"}, {"\\x61", "a"}};
  const auto& [pattern, letters] = leaves[draw % std::size(leaves)];
  return {pattern, [set = std::string(letters)](const std::string& text, size_t from) {
            return from < text.size() && set.find(text[from]) != std::string::npos ? Ends{from + 1}
                                                                                   : Ends{};
          }};
}

Meaning Repeated(const Meaning& atom, uint64_t draw) {
  struct Count {
    const char* text;
    int min, max;  // enough for the texts here
  };
  constexpr Count counts[] = {{"", 1, 1},   {"", 1, 1},      {"*", 0, 9},     {"+", 1, 9},
                              {"?", 0, 1},  {"{2}", 2, 2},   {"{0,2}", 0, 2}, {"{1,}", 1, 9},
                              {"*?", 0, 9}, {"{1,2}?", 1, 2}};
  const Count count = counts[draw % std::size(counts)];
  return {atom.pattern + count.text, [atom, count](const std::string& text, size_t from) {
            Ends at = {from};
            Ends out;
            for (int i = 0; i <= count.max; ++i) {
              if (i >= count.min) out.insert(at.begin(), at.end());
              at = EndsOfAll(atom, text, at);
            }
            return out;
          }};
}

Meaning RandomMeaning(uint64_t seed, uint64_t* next, int depth) {
  const auto below = [&](uint64_t n) { return RandomBelow(seed, 7, (*next)++, n); };
  Meaning whole{"", [](const std::string&, size_t from) { return Ends{from}; }};
  for (uint64_t i = 1 + below(3); i > 0; --i) {
    Meaning atom = RandomLeaf(below(9));
    if (depth > 0 && below(3) == 0) {
      const Meaning a = RandomMeaning(seed, next, depth - 1);
      const Meaning b = RandomMeaning(seed, next, depth - 1);
      atom = {"(" + a.pattern + "|" + b.pattern + ")",
              [a, b](const std::string& text, size_t from) {
                Ends out = a.ends(text, from);
                out.merge(b.ends(text, from));
                return out;
              }};
    }
    const Meaning item = Repeated(atom, below(10));
    whole = {whole.pattern + item.pattern, [whole, item](const std::string& text, size_t from) {
               return EndsOfAll(item, text, whole.ends(text, from));
             }};
  }
  return whole;
}

bool Means(const Meaning& m, const std::string& text) {
  return m.ends(text, 0).count(text.size()) > 0;
}

TEST_F(RegexConstraintTest, TakesWhatAnotherMatcherTakes) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < 4; ++i) {
    for (const char c : {'a', 'b', 'c'}) texts.push_back(texts[i] + c);
  }
  int taken = 0;
  int exhausted = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    uint64_t next = 0;
    const Meaning meaning = RandomMeaning(seed, &next, 2);
    const std::string& pattern = meaning.pattern;
    const auto compiled = Compile(pattern);
    if (absl::IsResourceExhausted(compiled.status())) {  // some need very many states
      ++exhausted;
      continue;
    }
    ASSERT_TRUE(compiled.ok()) << pattern << ": " << compiled.status();
    for (const std::string& text : texts) {
      const bool expected = Means(meaning, text);
      taken += expected ? 1 : 0;
      ASSERT_EQ(Takes(*compiled, *index_, text, seed), expected)
          << "seed " << seed << " pattern " << pattern << " text " << text;
    }
  }
  EXPECT_GT(taken, 1000);
  EXPECT_LE(exhausted, 3);
}

TEST_F(RegexConstraintTest, WalksThroughMasksMatch) {
  int ended = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    uint64_t next = 0;
    const Meaning meaning = RandomMeaning(seed, &next, 2);
    const std::string& pattern = meaning.pattern;
    const auto compiled = Compile(pattern);
    if (absl::IsResourceExhausted(compiled.status())) continue;
    ASSERT_TRUE(compiled.ok()) << pattern;
    const auto text = Wander(*compiled, *index_, seed, 40, seed % 10 == 0);
    if (!text.has_value()) continue;
    // The meanings know three letters and short texts.
    if (text->size() > 9 || text->find_first_not_of("abc") != std::string::npos) continue;
    ++ended;
    ASSERT_TRUE(Means(meaning, *text))
        << "seed " << seed << " pattern " << pattern << " text " << *text;
  }
  EXPECT_GT(ended, 30);
}

TEST_F(RegexConstraintTest, CharactersAreCodePoints) {
  EXPECT_TRUE(Matches("..", "日é"));
  EXPECT_FALSE(Matches("..", "日"));
  EXPECT_TRUE(Matches("[à-ü]+", "éèü"));
  EXPECT_FALSE(Matches("[à-ü]+", "日"));
  EXPECT_TRUE(Matches("[^a]", "😀"));
  EXPECT_TRUE(Matches("\\x{1F600}", "😀"));
  EXPECT_TRUE(Matches("\\u65e5", "日"));
  EXPECT_FALSE(Matches(".", "\n"));
  EXPECT_FALSE(Matches(".", "\xff"));
  EXPECT_FALSE(Matches(".", "\xed\xa0\x80"));  // a surrogate
  EXPECT_FALSE(Matches(".", "\xc0\x80"));      // overlong
  EXPECT_TRUE(Matches("\\s\\S\\d\\D\\w\\W", "\v!7x_-"));
  EXPECT_TRUE(Matches("^(?P<year>\\d{4})-(?<m>\\d\\d)$|^now$", "2024-05"));
  EXPECT_TRUE(Matches("^(?P<year>\\d{4})-(?<m>\\d\\d)$|^now$", "now"));
  EXPECT_TRUE(Matches("[]a-]+", "]-a"));
}

TEST_F(RegexConstraintTest, Utf8SplitOverTokens) {
  const auto compiled = Compile("日+\"");
  ASSERT_TRUE(compiled.ok());
  auto state = ConstraintState::Start(*compiled);
  std::vector<std::string> pieces = {"\xe6\x97", "\xa5", "\xe6", "\x97\xa5", "\""};
  for (const std::string& piece : pieces) {
    int32_t token = -1;
    for (int32_t t = 0; t < index_->vocabulary(); ++t) {
      if (index_->Bytes(t) == piece) token = t;
    }
    ASSERT_GE(token, 0);
    EXPECT_FALSE(state.MayEnd());
    ASSERT_TRUE(tests::Bit(state.Mask(), token));
    ASSERT_TRUE(state.Accept(token));
  }
  EXPECT_TRUE(state.MustEnd());
}

TEST_F(RegexConstraintTest, RefusesWithTheOffset) {
  const std::pair<const char*, const char*> cases[] = {
      {"a(?=b)", "offset 1: look-around"},
      {"a(?!b)", "offset 1: look-around"},
      {"(?<=a)b", "offset 0: look-around"},
      {"(?i)a", "offset 0: look-around"},
      {"(a)\\1", "offset 3: the escape `\\1`"},
      {"a\\bc", "offset 1: the escape `\\b`"},
      {"\\pL", "offset 0: the escape `\\p`"},
      {"ab(c", "offset 2: `(` is not closed"},
      {"ab)c", "offset 2: `)` closes nothing"},
      {"[ab", "offset 0: `[` is not closed"},
      {"*a", "offset 0: nothing to repeat"},
      {"a**", "offset 2: a quantifier after"},
      {"a++", "offset 2: a quantifier after"},
      {"a{3,2}", "offset 1: the second number"},
      {"a{2", "offset 1: `{` is not closed"},
      {"a{99999}", "offset 2: repetitions are at most"},
      {"a^b", "offset 1: anchors"},
      {"a$b", "offset 1: `$` is only"},
      {"(^a)", "offset 1: anchors"},
      {"[z-a]", "offset 1: the range ends"},
      {"[[:alpha:]]", "offset 1: POSIX"},
      {"a\\", "offset 1: a backslash"},
      {"\\x{d800}", "offset 0: not a code point"},
      {"a\xff", "offset 1: not UTF-8"},
  };
  for (const auto& [pattern, error] : cases) {
    EXPECT_THAT(ErrorOf(pattern), HasSubstr(error)) << pattern;
    EXPECT_EQ(Compile(pattern).status().code(), absl::StatusCode::kInvalidArgument) << pattern;
  }
  EXPECT_THAT(ErrorOf("[^\\s\\S]"), HasSubstr("no text meets"));
}

TEST_F(RegexConstraintTest, ExponentialPatternsMeetTheBudget) {
  for (const std::string& pattern :
       {std::string("(a|b)*a(a|b){40}"), std::string("((((a{9}){9}){9}){9}){9}){9}"),
        std::string("((a{60000}){60000}){60000}"), std::string("(((){65535}){65535}){65535}"),
        std::string("(x+x+)+y{1000,60000}z{60000}"), std::string("[^a]{60000}")}) {
    const auto compiled = Compile(pattern);
    ASSERT_FALSE(compiled.ok()) << pattern;
    if (absl::IsInvalidArgument(compiled.status())) continue;  // more brackets than it opens
    EXPECT_TRUE(absl::IsResourceExhausted(compiled.status())) << compiled.status();
    EXPECT_THAT(std::string(compiled.status().message()), HasSubstr("ask for less"));
  }
  int asked = 0;
  const auto cancel = [&] { return ++asked == 3; };
  const CompileLimits limits{.cancelled = cancel};
  EXPECT_TRUE(absl::IsCancelled(Compile("(a|b)*a(a|b){40}", limits).status()));
}

TEST_F(RegexConstraintTest, ChoicesAreExactlyTheirs) {
  const auto compile = [&](const std::vector<std::string>& choices) {
    return CompileConstraint({ConstraintSpec::Kind::kChoice, "", choices}, index_, {});
  };
  const auto compiled = compile({"ab", "abc", "", "日", "a.c"});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  for (const char* text : {"ab", "abc", "", "日", "a.c"}) {
    for (uint64_t seed = 1; seed < 8; ++seed) EXPECT_TRUE(Takes(*compiled, *index_, text, seed));
  }
  for (const char* text : {"a", "abcd", "aab", "\xe6", "abb"}) {
    EXPECT_FALSE(Takes(*compiled, *index_, text)) << text;
  }
  EXPECT_FALSE(compile({}).ok());
  EXPECT_FALSE(CompileConstraint({}, index_, {}).ok());
}

// A byte that no token can write is a way without an end.
TEST_F(RegexConstraintTest, WhatTheVocabularyCannotWriteIsCutOff) {
  const auto poor = tests::GrammarTokenizer("b\xa5");
  const auto index = *TokenIndex::Create(*poor);
  const auto compile = [&](const std::string& pattern) {
    return CompileConstraint({ConstraintSpec::Kind::kRegex, pattern, {}}, index, {});
  };
  EXPECT_THAT(std::string(compile("ab").status().message()), HasSubstr("vocabulary can write"));
  EXPECT_FALSE(compile("日").ok());  // e6 97 a5
  const auto compiled = compile("(a|ccb|c日d|e)(x|y)");
  ASSERT_TRUE(compiled.ok());
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto text = Wander(*compiled, *index, seed, 10, true);
    ASSERT_TRUE(text.has_value());
    EXPECT_TRUE(std::regex_match(*text, std::regex("[ae][xy]"))) << *text;
  }
}

TEST_F(RegexConstraintTest, EndTokensOnlyWhereTheTextMayEnd) {
  const auto compiled = Compile("a{2,3}");
  ASSERT_TRUE(compiled.ok());
  auto state = ConstraintState::Start(*compiled);
  const int32_t a = tokenizer_->FindToken("a");
  const int32_t end = tokenizer_->end_tokens()[0];
  EXPECT_FALSE(state.Accept(end));
  EXPECT_TRUE(state.Accept(a));
  EXPECT_FALSE(tests::Bit(state.Mask(), end));
  EXPECT_TRUE(state.Accept(a));
  EXPECT_TRUE(tests::Bit(state.Mask(), end));
  EXPECT_TRUE(state.MayEnd());
  EXPECT_FALSE(state.MustEnd());
  ConstraintState copy = state;
  EXPECT_TRUE(copy.Accept(end));
  EXPECT_TRUE(copy.ended());
  EXPECT_FALSE(copy.Accept(a));
  EXPECT_FALSE(state.ended());
  EXPECT_TRUE(state.Accept(a));
  EXPECT_TRUE(state.MustEnd());
  EXPECT_FALSE(state.Accept(a));
  EXPECT_FALSE(state.Accept(-1));
  EXPECT_FALSE(state.Accept(1'000'000));
  EXPECT_FALSE(state.Accept(2));  // a control token
}

}  // namespace
}  // namespace scoville::model
