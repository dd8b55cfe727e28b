// Any text as a regular expression: it compiles or is refused within its budget, and a walk through
// the masks never comes to a place without a way on.
#include <string>

#include "model/grammar/constraint.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/walk_masks.h"

namespace scoville::tests {

void RunInput(absl::Span<const uint8_t> input) {
  const std::string pattern(reinterpret_cast<const char*>(input.data()), input.size());
  WalkMasks({model::ConstraintSpec::Kind::kRegex, pattern, {}});
}

std::vector<std::vector<uint8_t>> SeedInputs() {
  std::vector<std::vector<uint8_t>> seeds;
  for (const std::string text :
       {"^(?:[a-z0-9_.]{1,8}@[a-z]+(\\.[a-z]{2,3})+|none)$", "(a|b)*a(a|b){3}", "[^\\s\"]+?é{2,}",
        "(?P<y>\\d{4})-(?<m>[01]\\d)", "\\x{1F600}|\\u65e5[à-ü]?|\\W\\D\\S",
        "[]^-]|\\[x\\]|[a\\-z]", "((x+x+)+y|.){0,3}", ""}) {
    seeds.emplace_back(text.begin(), text.end());
  }
  return seeds;
}

}  // namespace scoville::tests
