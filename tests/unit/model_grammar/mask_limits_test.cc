// What masks may cost: those made when compiling, those made aside, and the cache that holds them.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/text/utf8.h"
#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::model {
namespace {

// After `["` it may be any of 62 arrays, each in a rule and on a stack of its own.
std::string ManyReadings() {
  std::string arrays, strings;
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  for (size_t i = 0; i < letters.size(); ++i) {
    const char* comma = i == 0 ? "" : ",";
    absl::StrAppend(&arrays, comma, R"({"type":"array","items":{"$ref":"#/$defs/x)", i, "\"}}");
    absl::StrAppend(&strings, comma, "\"x", i, R"(":{"type":"string","pattern":")",
                    letters.substr(i, 1), "\"}");
  }
  return absl::StrCat("{\"anyOf\":[", arrays, "],\"$defs\":{", strings, "}}");
}

std::shared_ptr<const CompiledConstraint> Compiled(const std::shared_ptr<const TokenIndex>& index,
                                                   const CompileLimits& limits) {
  return *CompileConstraint({ConstraintSpec::Kind::kJsonSchema, ManyReadings(), {}}, index, limits);
}

TEST(MaskLimits, OneMaskAtCompileTimeIsHeldToTheWorkSetAside) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  CompileLimits none;
  none.mask_steps = 0;
  const int64_t rules = Compiled(index, none)->compile_steps();
  for (const int64_t steps : {1'000, 10'000, 50'000}) {
    CompileLimits limits;
    limits.mask_steps = steps;
    // Beyond it goes what one byte leads to.
    EXPECT_LE(Compiled(index, limits)->compile_steps(), rules + steps + 1'000) << steps;
  }
}

TEST(MaskLimits, WhatIsKeptFromCompilingIsAQuarterOfTheCache) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  CompileLimits whole;
  const auto wide = Compiled(index, whole);
  for (const int64_t bytes : {10'000, 100'000, 400'000}) {
    CompileLimits limits;
    limits.cache_bytes = bytes;
    const auto narrow = Compiled(index, limits);
    EXPECT_LE(narrow->cache_bytes(), bytes / 4);
    auto a = ConstraintState::Start(narrow);
    auto b = ConstraintState::Start(wide);
    const std::vector<int32_t> text = tests::Cut(*index, R"(["abcaabcaabcaabcaabca", "a")", 1);
    ASSERT_FALSE(text.empty());
    for (const int32_t token : text) {
      EXPECT_EQ(a.ComputeMask(), b.ComputeMask());
      ASSERT_TRUE(a.Accept(token));
      ASSERT_TRUE(b.Accept(token));
    }
    // It starts anew when it is full of what came since, not at every token.
    EXPECT_LE(narrow->cache_resets(), static_cast<int64_t>(text.size()) / 2) << bytes;
  }
}

TEST(MaskLimits, AMaskMadeAsideIsHeldToBytesAsWell) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  CompileLimits limits;
  limits.mask_steps = 0;
  limits.cache_bytes = 20'000;
  const auto narrow = Compiled(index, limits);
  limits.cache_bytes = 10 << 20;
  const auto wide = Compiled(index, limits);
  auto a = ConstraintState::Start(narrow);
  auto b = ConstraintState::Start(wide);
  for (const int32_t token : tests::Cut(*index, "[\"", 1)) {
    ASSERT_TRUE(a.Accept(token));
    ASSERT_TRUE(b.Accept(token));
  }
  EXPECT_EQ(a.ComputeMask(int64_t{1} << 40), std::nullopt);
  ASSERT_NE(b.ComputeMask(int64_t{1} << 40), std::nullopt);
  EXPECT_EQ(*b.ComputeMask(int64_t{1} << 40), a.ComputeMask());
}

// 256 KB of names of one letter, which the name of another member must not be.
TEST(MaskLimits, ManyNamesTakeTimeInProportion) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  const auto seconds = [&](uint32_t names) {
    std::string schema = R"({"type":"object","additionalProperties":true,"properties":{)";
    for (uint32_t i = 0; i < names; ++i) {
      schema += i == 0 ? "\"" : ",\"";
      AppendUtf8(0x10000 + 2 * i, schema);
      schema += "\":{}";
    }
    schema += "}}";
    CompileLimits limits;
    limits.mask_steps = 0;
    const auto begin = std::chrono::steady_clock::now();
    const auto compiled =
        CompileConstraint({ConstraintSpec::Kind::kJsonSchema, schema, {}}, index, limits);
    EXPECT_TRUE(compiled.ok() || absl::IsResourceExhausted(compiled.status())) << compiled.status();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const double few = seconds(3'000);
  const double many = seconds(25'000);
  RecordProperty("few", absl::StrCat(few));
  RecordProperty("many", absl::StrCat(many));
  std::printf("3,000 names: %.3f s, 25,000 names: %.3f s\n", few, many);
  EXPECT_LT(many, 10 * few);
}

}  // namespace
}  // namespace scoville::model
