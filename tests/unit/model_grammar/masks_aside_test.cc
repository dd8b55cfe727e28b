// Masks that other threads compute: while the states move on, and within a budget.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::model {
namespace {

constexpr char kSchema[] =
    R"({"type": "array", "items": {"type": "object", "properties": {"k1": {"type": "string",
    "maxLength": 20}, "k2": {"type": "array", "items": {"type": "integer"}}}}})";
constexpr char kText[] = R"([{"k1": "abcabca", "k2": [1, 22, 10, 123]}, {"k1": "", "k2": [0]}])";

std::shared_ptr<const CompiledConstraint> Fresh(const std::shared_ptr<const TokenIndex>& index,
                                                int64_t cache_bytes = 1 << 20) {
  CompileLimits limits;
  limits.mask_steps = 0;
  limits.cache_bytes = cache_bytes;
  return *CompileConstraint({ConstraintSpec::Kind::kJsonSchema, kSchema, {}}, index, limits);
}

TEST(MasksAside, ABudgetIsMetAtTheSameStepEachTime) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  const auto constraint = Fresh(index);
  ConstraintState state = ConstraintState::Start(constraint);
  for (const int32_t token : tests::Cut(*index, kText, 3)) {
    const TokenMask whole = state.ComputeMask();
    int64_t low = 0;  // too few
    int64_t high = 1 << 20;
    ASSERT_EQ(state.ComputeMask(high), whole);
    while (low + 1 < high) {
      const int64_t middle = low + (high - low) / 2;
      const std::optional<TokenMask> found = state.ComputeMask(middle);
      EXPECT_TRUE(!found || *found == whole);  // never a part of it
      (found ? high : low) = middle;
    }
    EXPECT_GT(low, 0);
    // What others have found meanwhile is no help to it.
    EXPECT_FALSE(state.Mask().empty());
    EXPECT_EQ(state.ComputeMask(low), std::nullopt);
    EXPECT_EQ(state.ComputeMask(high), whole);
    ASSERT_TRUE(state.Accept(token));
  }
}

TEST(MasksAside, EqualPlacesHaveEqualMasksWhicheverWayTheyWereReached) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  const auto constraint = Fresh(index);
  ConstraintState a = ConstraintState::Start(constraint);
  ConstraintState b = ConstraintState::Start(constraint);
  for (const int32_t token : tests::Cut(*index, R"([{"k1": "ab"}, )", 1))
    ASSERT_TRUE(a.Accept(token));
  for (const int32_t token : tests::Cut(*index, R"([{"k1": ""}, {}, )", 2)) {
    ASSERT_TRUE(b.Accept(token));
  }
  EXPECT_EQ(a.place(), b.place());
  EXPECT_EQ(a.ComputeMask(), b.ComputeMask());
  ASSERT_TRUE(b.Accept(tests::Cut(*index, "{", 1)[0]));
  EXPECT_NE(a.place(), b.place());
  EXPECT_NE(a.ComputeMask(), b.ComputeMask());
}

// For the thread sanitizer as well: two threads compute what the engine's asks for, while that goes
// on with the same constraint and a cache that is full all the time.
TEST(MasksAside, ThreadsComputeWhileStatesMoveOn) {
  const auto index = *TokenIndex::Create(*tests::GrammarTokenizer());
  for (const int64_t cache_bytes : {int64_t{2'000}, int64_t{1 << 20}}) {
    const auto constraint = Fresh(index, cache_bytes);
    std::vector<ConstraintState> states = {ConstraintState::Start(constraint)};
    const std::vector<int32_t> tokens = tests::Cut(*index, kText, 5);
    for (const int32_t token : tokens) {
      states.push_back(states.back());
      ASSERT_TRUE(states.back().Accept(token));
    }
    states.pop_back();
    std::vector<std::vector<TokenMask>> found(2);
    std::vector<std::thread> threads;
    for (std::vector<TokenMask>& own : found) {
      threads.emplace_back([copies = states, &own] {
        for (const ConstraintState& state : copies) own.push_back(state.ComputeMask());
      });
    }
    std::vector<TokenMask> here;
    ConstraintState state = ConstraintState::Start(constraint);
    for (const int32_t token : tokens) {
      TokenMask mask;
      state.FillMask(&mask);
      here.push_back(mask);
      state.KeepMask(mask);
      EXPECT_TRUE(state.HasMask());
      ASSERT_TRUE(state.Accept(token));
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(found[0], here);
    EXPECT_EQ(found[1], here);
    EXPECT_EQ(constraint->cache_resets() > 0, cache_bytes == 2'000);
  }
}

}  // namespace
}  // namespace scoville::model
