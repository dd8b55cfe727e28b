#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/grammar/constraint.h"
#include "tests/reference/json_schema_oracle.h"
#include "tests/unit/model_grammar/grammar_fixture.h"

namespace scoville::model {
namespace {

using testing::HasSubstr;
using tests::MeetsSchema;
using tests::OrderedJson;
using tests::RandomSchema;
using tests::RandomValue;
using tests::Takes;
using tests::Wander;

class SchemaConstraintTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const CompiledConstraint>> Compile(
      const std::string& schema, const CompileLimits& limits = {}) {
    return CompileConstraint({ConstraintSpec::Kind::kJsonSchema, schema, {}}, index_, limits);
  }
  bool Writes(const std::string& schema, const std::string& text) {
    const auto compiled = Compile(schema);
    EXPECT_TRUE(compiled.ok()) << schema << ": " << compiled.status();
    return compiled.ok() && Takes(*compiled, *index_, text);
  }
  std::string ErrorOf(const std::string& schema) {
    const auto compiled = Compile(schema);
    EXPECT_TRUE(absl::IsInvalidArgument(compiled.status())) << schema << compiled.status();
    return std::string(compiled.status().message());
  }

  std::unique_ptr<Tokenizer> tokenizer_ = tests::GrammarTokenizer();
  std::shared_ptr<const TokenIndex> index_ = *TokenIndex::Create(*tokenizer_);
};

// As json.dumps of Python writes it.
std::string Spaced(const OrderedJson& value) {
  if (!value.is_structured()) return value.dump();
  std::string text = value.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& member : value.items()) {
    if (!first) text += ", ";
    first = false;
    if (value.is_object()) text += OrderedJson(member.key()).dump() + ": ";
    text += Spaced(member.value());
  }
  return text + (value.is_object() ? "}" : "]");
}

TEST_F(SchemaConstraintTest, WalksThroughMasksMeetTheSchema) {
  int ended = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const OrderedJson schema = RandomSchema(seed, 3);
    const auto compiled = Compile(schema.dump());
    ASSERT_TRUE(compiled.ok()) << "seed " << seed << " " << schema << compiled.status();
    for (uint64_t walk = 1; walk <= 3; ++walk) {
      const auto text = Wander(*compiled, *index_, 10 * seed + walk, 120, seed % 20 == 0);
      if (!text.has_value()) continue;
      ++ended;
      const OrderedJson value = OrderedJson::parse(*text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << "seed " << seed << " " << *text;
      ASSERT_TRUE(MeetsSchema(value, schema, schema))
          << "seed " << seed << " walk " << walk << " " << schema << " wrote " << *text;
    }
  }
  EXPECT_GT(ended, 300);
}

TEST_F(SchemaConstraintTest, EveryValueOfTheSchemaIsTaken) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const OrderedJson schema = RandomSchema(seed, 3);
    const auto compiled = Compile(schema.dump());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    for (uint64_t i = 1; i <= 5; ++i) {
      const OrderedJson value = RandomValue(schema, schema, 100 * seed + i);
      ASSERT_TRUE(MeetsSchema(value, schema, schema)) << schema << value;
      for (const std::string& text : {value.dump(), Spaced(value)}) {
        ASSERT_TRUE(Takes(*compiled, *index_, text, i))
            << "seed " << seed << " " << schema << " refuses " << text;
      }
    }
  }
}

TEST_F(SchemaConstraintTest, NoValueOfAnotherSchemaIsTakenUnlessItMeetsThisOne) {
  int refused = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const OrderedJson schema = RandomSchema(seed, 2);
    const OrderedJson other = RandomSchema(seed / 3 + 1000, 2);
    const auto compiled = Compile(schema.dump());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    for (uint64_t i = 1; i <= 5; ++i) {
      const OrderedJson value = RandomValue(other, other, 100 * seed + i);
      if (MeetsSchema(value, schema, schema)) continue;
      ++refused;
      ASSERT_FALSE(Takes(*compiled, *index_, value.dump(), i))
          << "seed " << seed << " " << schema << " takes " << value;
    }
  }
  EXPECT_GT(refused, 250);
}

TEST_F(SchemaConstraintTest, IntegersAreExactAtTheirBounds) {
  for (const auto& [low, high] : std::vector<std::pair<int, int>>{
           {0, 0}, {-3, 12}, {7, 1205}, {-120, -7}, {99, 101}, {-1, 1}, {1000, 1000}}) {
    const OrderedJson schema = {{"type", "integer"}, {"minimum", low}, {"maximum", high}};
    const auto compiled = Compile(schema.dump());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    for (int i = -1300; i <= 1300; ++i) {
      ASSERT_EQ(Takes(*compiled, *index_, std::to_string(i)), low <= i && i <= high)
          << schema << " " << i;
    }
    EXPECT_FALSE(Takes(*compiled, *index_, "007"));
    EXPECT_FALSE(Takes(*compiled, *index_, "-0"));
    EXPECT_FALSE(Takes(*compiled, *index_, "7.0"));
  }
}

TEST_F(SchemaConstraintTest, ObjectsHaveTheirMembersInOrder) {
  const std::string schema =
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"},)"
      R"("c":{"type":"boolean"}},"required":["b"],"additionalProperties":false})";
  for (const char* text : {R"({"b":null})", R"({"a": 1, "b": null})",
                           R"({"a":1,"b":null,"c":true})", R"({"b":null, "c":false})"}) {
    EXPECT_TRUE(Writes(schema, text)) << text;
  }
  for (const char* text : {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,})",
                           R"({,"b":null})", R"({"b":null,"d":1})", R"({ "b":null})",
                           R"({"b":  null})", R"({"b":null} )", R"( {"b":null})"}) {
    EXPECT_FALSE(Writes(schema, text)) << text;
  }
  EXPECT_TRUE(Writes(R"({"type":"object","properties":{"a":{}},"required":["q"]})",
                     R"({"a":[1,{}],"q":"x"})"));
}

TEST_F(SchemaConstraintTest, RecursionIsFollowedAndEnds) {
  const std::string tree =
      R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{)"
      R"("v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]},)"
      R"("kids":{"type":"array","items":{"$ref":"#/$defs/node"},"maxItems":3}},)"
      R"("required":["v"],"additionalProperties":false}}})";
  const OrderedJson schema = OrderedJson::parse(tree);
  const auto compiled = Compile(tree);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += R"({"v":1,"next":)";
  deep += "null";
  for (int i = 0; i < 300; ++i) deep += "}";
  EXPECT_TRUE(Takes(*compiled, *index_, deep));
  EXPECT_FALSE(Takes(*compiled, *index_, deep + "}"));
  EXPECT_FALSE(Takes(*compiled, *index_, deep.substr(0, deep.size() - 1)));
  int ended = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto text = Wander(*compiled, *index_, seed, 150, seed % 10 == 0);
    if (!text.has_value()) continue;
    ++ended;
    EXPECT_TRUE(MeetsSchema(OrderedJson::parse(*text), schema, schema)) << *text;
  }
  EXPECT_GT(ended, 20);
  EXPECT_THAT(ErrorOf(R"({"$ref":"#"})"), HasSubstr("refers to itself with nothing in between"));
  EXPECT_THAT(ErrorOf(R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"type":"null"},)"
                      R"({"$ref":"#/$defs/a"}]}}})"),
              HasSubstr("#/$defs/a: refers to itself"));
  EXPECT_THAT(ErrorOf(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
              HasSubstr("recursion without an end"));
}

TEST_F(SchemaConstraintTest, AnyObjectNestsAsDeepAsItLikes) {
  const auto compiled = CompileConstraint({ConstraintSpec::Kind::kJsonObject, "", {}}, index_, {});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += i % 2 == 0 ? R"({"a": )" : "[1, ";
  deep += "\"日\\n\\ud83d\\ude00\"";
  for (int i = 999; i >= 0; --i) deep += i % 2 == 0 ? "}" : "]";
  EXPECT_TRUE(Takes(*compiled, *index_, deep));
  for (const char* text : {"[]", "1", R"({"a":"\ud83d"})", R"({"a":01})", "{\"a\":\"\n\"}",
                           R"({"a":1]})", R"({a:1})"}) {
    EXPECT_FALSE(Takes(*compiled, *index_, text)) << text;
  }
  int ended = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const auto text = Wander(*compiled, *index_, seed, 80, seed % 10 == 0);
    if (!text.has_value()) continue;
    ++ended;
    const OrderedJson value = OrderedJson::parse(*text, nullptr, false);
    EXPECT_TRUE(value.is_object()) << *text;
  }
  EXPECT_GT(ended, 50);
}

TEST_F(SchemaConstraintTest, AllOfJoinsObjects) {
  const std::string schema =
      R"({"allOf":[{"$ref":"#/$defs/named"},{"type":"object","properties":{"b":{"type":"null"}},)"
      R"("required":["b"]}],"$defs":{"named":{"type":"object","properties":{"a":{"const":1}},)"
      R"("required":["a"]}}})";
  EXPECT_TRUE(Writes(schema, R"({"a": 1, "b": null})"));
  EXPECT_FALSE(Writes(schema, R"({"a": 1})"));
  EXPECT_TRUE(Writes(R"({"allOf":[{"type":"integer"}],"title":"n"})", "5"));
  EXPECT_THAT(ErrorOf(R"({"allOf":[{"type":"integer"},{"minimum":1}]})"),
              HasSubstr("#/allOf/0: `type` \"integer\" inside allOf"));
  EXPECT_THAT(ErrorOf(R"({"allOf":[{"properties":{"a":{}}},{"properties":{"a":{}}}]})"),
              HasSubstr("in several schemas of allOf"));
}

TEST_F(SchemaConstraintTest, OneOfSaysThatItIsReadAsAnyOf) {
  const auto compiled =
      Compile(R"({"type":"array","items":{"oneOf":[{"type":"null"},{"const":1}]}})");
  ASSERT_TRUE(compiled.ok());
  ASSERT_EQ((*compiled)->notes().size(), 1u);
  EXPECT_THAT((*compiled)->notes()[0], HasSubstr("#/items: oneOf is read as anyOf"));
  EXPECT_TRUE(Takes(*compiled, *index_, "[null,1]"));
}

TEST_F(SchemaConstraintTest, RefusesByNameAndPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "byte 1: this is not JSON"},
      {"[1]", "#: a schema is an object"},
      {R"({"type":"text"})", "#: `type` \"text\" is none"},
      {R"({"type":"object","properties":{"a/b":{"not":{}}}})",
       "#/properties/a~1b: the keyword `not` is not supported"},
      {R"({"type":"object","patternProperties":{}})", "the keyword `patternProperties`"},
      {R"({"type":"object","minProperties":1})", "the keyword `minProperties`"},
      {R"({"type":"array","uniqueItems":true})", "the keyword `uniqueItems`"},
      {R"({"type":"array","contains":{}})", "the keyword `contains`"},
      {R"({"type":"number","multipleOf":2})", "the keyword `multipleOf`"},
      {R"({"if":{},"then":{}})", "the keyword `if`"},
      {R"({"type":"string","minimum":2})", "`minimum` says nothing about values of type string"},
      {R"({"type":"string","format":"ipv4"})", "`format` \"ipv4\": known are date"},
      {R"x({"type":"string","pattern":"a(?=b)"})x", "#: `pattern` \"a(?=b)\": regex, offset 1"},
      {R"({"type":"string","pattern":"a","maxLength":2})", "together are not supported"},
      {R"({"type":"string","minLength":3,"maxLength":2})", "`maxLength` is below"},
      {R"({"type":"string","maxLength":-2})", "`maxLength` is not a whole number"},
      {R"({"type":"integer","minimum":3,"maximum":2})", "no whole number"},
      {R"({"type":"number","minimum":0.5})", "only supported as whole numbers"},
      {R"({"type":"array","minItems":3,"maxItems":2})", "fewer items"},
      {R"({"anyOf":[{"type":"null"}],"minimum":2})", "`minimum` beside `anyOf`"},
      {R"({"anyOf":[]})", "`anyOf` is not a list"},
      {R"({"enum":["a"],"minLength":2})", "`minLength` beside `enum`"},
      {R"({"type":"integer","enum":["a"]})", "no value of `enum`"},
      {R"({"$ref":"#/$defs/x"})", "`$ref` #/$defs/x leads nowhere"},
      {R"({"$ref":"other.json"})", "`$ref` other.json leads nowhere"},
      {R"({"type":"object","properties":{},"required":["a"],"additionalProperties":false})",
       "\"a\" is required, but neither"},
      {"false", "no text meets the constraint"},
  };
  for (const auto& [schema, error] : cases) {
    EXPECT_THAT(ErrorOf(schema), HasSubstr(error)) << schema;
  }
  EXPECT_TRUE(
      Compile(R"({"title":"t","description":"d","x-ui":1,"default":3,"type":"null"})").ok());
}

TEST_F(SchemaConstraintTest, HugeSchemasMeetTheBudget) {
  OrderedJson wide = {{"type", "object"}};
  for (int i = 0; i < 20'000; ++i) {
    wide["properties"]["property_" + std::to_string(i)] = {{"type", "string"}, {"maxLength", 50}};
  }
  // Each level twice the one below.
  OrderedJson doubled = {{"type", "object"}};
  for (int i = 0; i < 40; ++i) {
    const std::string next = "#/$defs/d" + std::to_string(i + 1);
    doubled["$defs"]["d" + std::to_string(i)] = {
        {"anyOf", {{{"$ref", next}}, {{"$ref", next}}, {{"type", "null"}}}}};
  }
  doubled["$defs"]["d40"] = {{"type", "null"}};
  doubled["properties"]["a"] = {{"$ref", "#/$defs/d0"}};
  for (const std::string& schema :
       {wide.dump(), doubled.dump(), std::string(R"({"type":"string","maxLength":1000000000})"),
        std::string(R"({"type":"array","items":{"type":"null"},"maxItems":1000000000})"),
        std::string(R"({"type":"array","minItems":900000000})"),
        "{\"title\":\"" + std::string(30'000'000, 'x') + "\"}"}) {
    const auto compiled = Compile(schema);
    EXPECT_TRUE(absl::IsResourceExhausted(compiled.status())) << compiled.status();
    EXPECT_THAT(std::string(compiled.status().message()), HasSubstr("takes more than"));
  }
  EXPECT_THAT(ErrorOf(std::string(100'000, '[')), HasSubstr("nested deeper than"));
}

// The same answers whatever the cache holds.
TEST_F(SchemaConstraintTest, AFullCacheStartsAnewAndForgetsNothing) {
  CompileLimits small;
  small.cache_bytes = 20'000;
  small.mask_steps = 0;
  const ConstraintSpec spec{ConstraintSpec::Kind::kJsonObject, "", {}};
  const auto little = *CompileConstraint(spec, index_, small);
  const auto large = *CompileConstraint(spec, index_, {});
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    EXPECT_EQ(Wander(little, *index_, seed, 60, seed % 10 == 0),
              Wander(large, *index_, seed, 60, false));
  }
  EXPECT_GT(little->cache_resets(), 10);
  EXPECT_EQ(large->cache_resets(), 0);
  EXPECT_LT(little->cache_bytes(), 400'000);
}

// Two states of one constraint do not see each other; a mask made elsewhere is kept.
TEST_F(SchemaConstraintTest, MasksMadeElsewhereAreKept) {
  CompileLimits limits;
  limits.mask_steps = 0;
  const auto compiled = *Compile(R"({"type":"array","items":{"type":"string"}})", limits);
  auto state = ConstraintState::Start(compiled);
  auto other = state;
  ASSERT_TRUE(other.Accept(tokenizer_->FindToken("[")));
  EXPECT_FALSE(other.HasMask());
  const TokenMask mask = other.ComputeMask();
  EXPECT_FALSE(other.HasMask());
  other.KeepMask(mask);
  EXPECT_TRUE(other.HasMask());
  EXPECT_FALSE(state.HasMask());
  TokenMask filled;
  other.FillMask(&filled);
  EXPECT_EQ(filled, mask);
}

}  // namespace
}  // namespace scoville::model
