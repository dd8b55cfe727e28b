#include "server/constraint/constraint_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/loaded_model.h"
#include "tests/support/tiny_model.h"

namespace scoville::server {
namespace {

using model::ConstraintSpec;
using ::testing::HasSubstr;
using Kind = ConstraintSpec::Kind;

bool Wanted() { return false; }

ConstraintSpec Regex(const std::string& pattern) { return {Kind::kRegex, pattern, {}}; }

class ConstraintCacheTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded =
        model::LoadModel(tests::WriteTinyModel(tests::MakeTempDir(), 1), model::LoadWeights::kNo);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    model_ = loaded->release();
  }
  static ConstraintCache Make(const ConstraintOptions& options = {}) {
    // A microsecond goes by each time it is looked at.
    return ConstraintCache(model_->tokenizer.get(), options,
                           [at = std::make_shared<std::atomic<int64_t>>(0)] {
                             return TimePoint(at->fetch_add(1000));
                           });
  }
  static model::LoadedModel* model_;
};

model::LoadedModel* ConstraintCacheTest::model_ = nullptr;

TEST_F(ConstraintCacheTest, WhatWasCompiledIsFoundAgain) {
  ConstraintCache cache = Make();
  EXPECT_FALSE(cache.Find(Regex("a+")).has_value());
  const auto made = cache.Compile(Regex("a+"), Wanted);
  ASSERT_NE(made.constraint, nullptr) << made.error->message;
  EXPECT_FALSE(made.error.has_value());
  const auto found = cache.Find(Regex("a+"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->constraint, made.constraint);
  EXPECT_EQ(cache.Compile(Regex("a+"), Wanted).constraint, made.constraint);
  // Another kind with the same text is another constraint.
  EXPECT_FALSE(cache.Find({Kind::kJsonSchema, "a+", {}}).has_value());
  EXPECT_FALSE(cache.Find({Kind::kChoice, "", {"a+"}}).has_value());
}

TEST_F(ConstraintCacheTest, TheOneThatWasUsedLongestAgoGoes) {
  ConstraintOptions options;
  options.kept = 2;
  ConstraintCache cache = Make(options);
  cache.Compile(Regex("a"), Wanted);
  cache.Compile(Regex("b"), Wanted);
  EXPECT_TRUE(cache.Find(Regex("a")).has_value());
  cache.Compile(Regex("c"), Wanted);
  EXPECT_TRUE(cache.Find(Regex("a")).has_value());
  EXPECT_FALSE(cache.Find(Regex("b")).has_value());
  EXPECT_TRUE(cache.Find(Regex("c")).has_value());
}

TEST_F(ConstraintCacheTest, ErrorsNameFieldAndPlaceAndAreKept) {
  ConstraintCache cache = Make();
  const auto regex = cache.Compile(Regex("ab(c"), Wanted);
  ASSERT_TRUE(regex.error.has_value());
  EXPECT_EQ(regex.constraint, nullptr);
  EXPECT_EQ(regex.error->reason, ErrorReason::kInvalidField);
  EXPECT_EQ(regex.error->violations[0].field, "constraint.regex");
  EXPECT_THAT(regex.error->message, HasSubstr("offset"));
  EXPECT_TRUE(cache.Find(Regex("ab(c")).has_value());

  const auto schema =
      cache.Compile({Kind::kJsonSchema, R"({"properties": {"a": {"type": "strin"}}})", {}}, Wanted);
  ASSERT_TRUE(schema.error.has_value());
  EXPECT_EQ(schema.error->violations[0].field, "constraint.json_schema");
  EXPECT_THAT(schema.error->message, HasSubstr("#/properties/a"));
}

TEST_F(ConstraintCacheTest, TheBudgetIsAClearRefusal) {
  ConstraintOptions options;
  options.max_states = 64;
  ConstraintCache cache = Make(options);
  const auto made = cache.Compile(Regex("[ab]{500}"), Wanted);
  ASSERT_TRUE(made.error.has_value());
  EXPECT_EQ(made.error->reason, ErrorReason::kInvalidField);
  EXPECT_THAT(made.error->message, HasSubstr("more than 64 states: ask for less"));
}

TEST_F(ConstraintCacheTest, WhatNobodyWantsIsGivenUpAndNotKept) {
  ConstraintCache cache = Make();
  const ConstraintSpec large = Regex("([a-z]{1,40} ){1,40}");
  cache.Compile(large, [] { return true; });
  EXPECT_FALSE(cache.Find(large).has_value());
}

TEST_F(ConstraintCacheTest, ATimeoutIsSaidAndTriedAgain) {
  ConstraintOptions options;
  options.timeout = Nanoseconds(1);
  ConstraintCache cache = Make(options);
  const ConstraintSpec large = Regex("([a-z]{1,40} ){1,40}");
  const auto made = cache.Compile(large, Wanted);
  ASSERT_TRUE(made.error.has_value());
  EXPECT_THAT(made.error->message, HasSubstr("takes longer than"));
  EXPECT_FALSE(cache.Find(large).has_value());
}

TEST_F(ConstraintCacheTest, OnlySoManyMayBeInUse) {
  ConstraintOptions options;
  options.in_use = 2;
  options.kept = 8;
  ConstraintCache cache = Make(options);
  const auto a = cache.Compile(Regex("a"), Wanted);
  auto b = cache.Compile(Regex("b"), Wanted);
  const auto c = cache.Compile(Regex("c"), Wanted);
  ASSERT_TRUE(c.error.has_value());
  EXPECT_EQ(c.error->reason, ErrorReason::kQueueFull);
  EXPECT_GT(c.error->retry_after, Duration());
  // What only the cache holds makes room.
  b = {};
  EXPECT_NE(cache.Compile(Regex("c"), Wanted).constraint, nullptr);
}

TEST_F(ConstraintCacheTest, ManyThreadsGetTheSameConstraints) {
  ConstraintOptions options;
  options.kept = 4;
  ConstraintCache cache = Make(options);
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const ConstraintSpec spec = Regex(absl::StrCat("x{", (i * 7 + t) % 6 + 1, "}"));
        auto known = cache.Find(spec);
        const auto result = known ? *known : cache.Compile(spec, Wanted);
        failures += result.constraint == nullptr ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace scoville::server
