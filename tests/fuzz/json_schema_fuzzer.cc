// Any text as a JSON schema: it compiles or is refused within its budget, and what a walk through
// the masks writes is JSON that each mask on the way told the truth about.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status_macros.h"
#include "model/grammar/constraint.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/walk_masks.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const std::string schema(reinterpret_cast<const char*>(input.data()), input.size());
  const auto text = WalkMasks({model::ConstraintSpec::Kind::kJsonSchema, schema, {}});
  if (text.has_value()) CHECK(nlohmann::json::accept(*text));
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string text :
       {R"({"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":120},)"
        R"("b":{"enum":["x",1,null]},"c":{"type":"array","items":{"type":"string"},"maxItems":3}},)"
        R"("required":["a"],"additionalProperties":{"type":"boolean"}})",
        R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"n":{"anyOf":[)"
        R"({"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["n"]}}})",
        R"({"oneOf":[{"type":"number","exclusiveMinimum":0},{"type":["boolean","string"]}]})",
        R"({"type":"string","pattern":"^[a-z]{2,5}(-[0-9]+)*$"})",
        R"({"type":"array","prefixItems":[{"type":"string","format":"date"},true],"minItems":1})",
        R"({"allOf":[{"properties":{"a":{"const":{"k":[1,2]}}}},{"required":["a"]}]})",
        R"({"type":"string","minLength":1,"maxLength":4,"title":"\u00e9"})"}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

}  // namespace scoville::tests
