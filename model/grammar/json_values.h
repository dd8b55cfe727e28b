// The values that JSON schemas are made of: any value, strings, literals.
//
// A plain string and any value are rules of their own, so that all their places share the masks.
// Between `{}[]:,` and values stands at most one space, after `:` and `,`.
//
// Ownership: holds the graph's address. Threading: one thread. Errors: the graph's budget; a bad
// pattern is kInvalidArgument without its pointer.
#ifndef SCOVILLE_MODEL_GRAMMAR_JSON_VALUES_H_
#define SCOVILLE_MODEL_GRAMMAR_JSON_VALUES_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/grammar/rule_graph.h"

namespace scoville::model {

using Json = nlohmann::ordered_json;

class JsonValues {
 public:
  explicit JsonValues(RuleGraph& graph) : graph_(graph) {}

  // `,` or `:` and perhaps a space.
  int32_t Comma(int32_t from) { return Mark(from, ","); }
  int32_t Colon(int32_t from) { return Mark(from, ":"); }

  int32_t Any(int32_t from);
  int32_t AnyObject(int32_t from);
  int32_t AnyArray(int32_t from);
  int32_t PlainString(int32_t from);
  // max < 0: without end. In code points.
  int32_t BoundedString(int32_t from, int64_t min, int64_t max);
  absl::StatusOr<int32_t> PatternString(int32_t from, absl::string_view pattern);
  // Refused: kNotFound with the list of the known ones.
  absl::StatusOr<int32_t> FormatString(int32_t from, absl::string_view format);
  // A string that is none of those, for names beyond the listed ones.
  int32_t StringExcept(int32_t from, const std::vector<std::string>& names);
  // Exactly this value.
  int32_t Literal(int32_t from, const Json& value);

 private:
  struct Names;

  int32_t Mark(int32_t from, absl::string_view mark);
  int32_t AnyRule();
  int32_t StringRule();
  void Unlike(int32_t from, const Names& names, int32_t rest, int32_t to);

  RuleGraph& graph_;
  int32_t any_rule_ = -1;
  int32_t string_rule_ = -1;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_JSON_VALUES_H_
