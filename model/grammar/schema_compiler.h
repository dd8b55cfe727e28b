// Walks a JSON schema and adds its values to a rule graph.
//
// A value with anyOf, oneOf or $ref is a rule of its own, named by its pointer, so recursion ends;
// the alternatives inside a rule are written out side by side (references among them followed), so
// that the subset construction reads their common beginnings once.
//
// Ownership: holds the addresses of the document and the graph. Threading: one thread. Errors: as
// in json_schema.h.
#ifndef SCOVILLE_MODEL_GRAMMAR_SCHEMA_COMPILER_H_
#define SCOVILLE_MODEL_GRAMMAR_SCHEMA_COMPILER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/grammar/json_values.h"
#include "model/grammar/rule_graph.h"
#include "model/grammar/schema_keywords.h"

namespace scoville::model {

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& document, RuleGraph& graph, std::vector<std::string>* notes)
      : document_(document), graph_(graph), values_(graph), notes_(*notes) {}

  absl::Status Compile();

 private:
  struct Property {
    std::string name;
    SchemaPlace value;  // without a schema: any value
    bool required = false;
  };
  struct Members {
    std::vector<Property> properties;
    std::vector<std::string> required;
    SchemaPlace additional;  // without a schema: none is written
    bool any_additional = false;
  };
  struct Bounds {
    double low = 0.0, high = 0.0;
    bool has_low = false, has_high = false;
    bool without_low = false, without_high = false;
  };
  using Result = absl::StatusOr<int32_t>;

  // A value where one is wanted: written here, or a call of its rule.
  Result Value(int32_t from, const SchemaPlace& place);
  // Written here, alternatives and references too. `inside` are the pointers on the way since the
  // last byte.
  Result Inline(int32_t from, const SchemaPlace& place, std::set<std::string>& inside);
  Result Alternatives(int32_t from, const SchemaPlace& place, const std::string& keyword,
                      std::set<std::string>& inside);
  Result AllOf(int32_t from, const SchemaPlace& place, std::set<std::string>& inside);
  Result Enumerated(int32_t from, const SchemaPlace& place);
  Result OfType(int32_t from, const SchemaPlace& place, const std::string& type);
  Result String(int32_t from, const SchemaPlace& place);
  Result Integer(int32_t from, const SchemaPlace& place);
  Result Number(int32_t from, const SchemaPlace& place);
  Result Array(int32_t from, const SchemaPlace& place);
  Result Object(int32_t from, const Members& members);
  Result Member(int32_t from, const Property& property);

  absl::StatusOr<Bounds> BoundsOf(const SchemaPlace& place) const;
  absl::StatusOr<SchemaPlace> Referenced(const SchemaPlace& place) const;
  // Adds what the object schema says to `members`.
  absl::Status Collect(const SchemaPlace& place, int depth, Members& members);
  absl::Status Settle(const SchemaPlace& place, Members& members);
  int32_t RuleOf(const SchemaPlace& place);
  int32_t ItemRule(const SchemaPlace& place);

  const Json& document_;
  RuleGraph& graph_;
  JsonValues values_;
  std::vector<std::string>& notes_;
  std::map<std::string, int32_t> rules_;  // by pointer
  std::vector<std::pair<int32_t, SchemaPlace>> pending_;
  int depth_ = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_SCHEMA_COMPILER_H_
