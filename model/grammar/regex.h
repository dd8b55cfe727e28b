// Regular expressions: parsing, and adding them to a rule.
//
// A subset of RE2's syntax over Unicode text: literals, `.`, classes, \d \w \s \D \W \S, escapes
// (\n \t \r \f \v \0 \xHH \x{H} \uHHHH and punctuation), groups ((...), (?:...), (?P<name>...),
// (?<name>...)), alternation, * + ? {m} {m,} {m,n} (lazy ones mean the same), and ^ $ at the ends
// of the whole or of its outermost alternatives. Everything else is refused with its offset:
// look-around, back references, \b, \p, flags, possessive quantifiers. \d and \w are ASCII, \s is
// [\t\n\v\f\r ]; `.` is all but \n. In the dialect of JSON Schema's `pattern` (ECMA-262) \s has the
// Unicode spaces too and `.` leaves out \r, U+2028 and U+2029.
//
// Ownership: values. Threading: pure. Errors: kInvalidArgument with the byte of the pattern.
#ifndef SCOVILLE_MODEL_GRAMMAR_REGEX_H_
#define SCOVILLE_MODEL_GRAMMAR_REGEX_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/grammar/code_points.h"
#include "model/grammar/rule_graph.h"

namespace scoville::model {

enum class RegexDialect { kRe2, kEcma };

struct RegexNode {
  enum class Kind { kEmpty, kSet, kConcat, kAlternate, kRepeat };
  Kind kind = Kind::kEmpty;
  CodePointSet set;               // of kSet
  std::vector<int32_t> children;  // nodes; one of kRepeat
  int32_t min = 0;
  int32_t max = -1;  // -1: without end
};

struct Regex {
  struct Branch {
    int32_t node = 0;
    bool at_begin = false;  // began with ^
    bool at_end = false;    // ended with $
  };
  std::vector<RegexNode> nodes;
  std::vector<Branch> branches;  // the outermost alternatives
};

absl::StatusOr<Regex> ParseRegex(absl::string_view pattern, RegexDialect dialect);

enum class RegexText {
  kPlain,       // as it is
  kJsonString,  // the inside of a JSON string
};
enum class RegexMatch {
  kWhole,   // the text is a match
  kSearch,  // the text contains one, at its ends where the branch is anchored
};

// Adds the texts that match, from `from`; returns where they end.
int32_t AddRegex(const Regex& regex, RegexText text, RegexMatch match, int32_t from,
                 RuleGraph& graph);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_REGEX_H_
