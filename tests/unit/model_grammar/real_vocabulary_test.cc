// Constraints over the vocabulary of the default model.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "model/gguf/gguf_file.h"
#include "model/grammar/constraint.h"
#include "tests/reference/json_schema_oracle.h"
#include "tests/support/model_path.h"
#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::model {
namespace {

using tests::OrderedJson;

// What the tokenizer makes of a valid text is allowed token by token, and walks meet the schema.
TEST(RealVocabularyTest, TheTokenizersOwnTokensAreTaken) {
  SCOVILLE_REQUIRE_MODEL(tests::ModelPath());
  const auto file = GgufFile::Open(tests::ModelPath());
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto index = *TokenIndex::Create(**tokenizer);
  int ended = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const OrderedJson schema = tests::RandomSchema(seed, 3);
    CompileLimits limits;
    limits.mask_steps = 100'000;
    const auto compiled =
        CompileConstraint({ConstraintSpec::Kind::kJsonSchema, schema.dump(), {}}, index, limits);
    ASSERT_TRUE(compiled.ok()) << schema << compiled.status();
    for (uint64_t i = 1; i <= 4; ++i) {
      const std::string text = tests::RandomValue(schema, schema, 10 * seed + i).dump();
      const Encoding encoding = (*tokenizer)->Encode(text);
      if (encoding.dropped_bytes > 0) continue;
      auto state = ConstraintState::Start(*compiled);
      for (const int32_t token : encoding.tokens) {
        ASSERT_TRUE(tests::Bit(state.Mask(), token)) << "seed " << seed << schema << text;
        ASSERT_TRUE(state.Accept(token));
      }
      EXPECT_TRUE(state.MayEnd()) << schema << text;
    }
    const auto text = tests::Wander(*compiled, *index, seed, 60, false);
    if (!text.has_value()) continue;
    ++ended;
    const OrderedJson value = OrderedJson::parse(*text, nullptr, false);
    ASSERT_FALSE(value.is_discarded()) << *text;
    EXPECT_TRUE(tests::MeetsSchema(value, schema, schema)) << schema << *text;
  }
  EXPECT_GT(ended, 30);
}

}  // namespace
}  // namespace scoville::model
