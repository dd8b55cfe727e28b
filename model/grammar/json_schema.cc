#include "model/grammar/json_schema.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/json_values.h"
#include "model/grammar/schema_compiler.h"

namespace scoville::model {

namespace {

// Of brackets; recursion over the document is no deeper.
constexpr int kMaxNesting = 512;

// A tree that keeps the order of names looks through those of an object for each of them. So many
// looks are a step.
constexpr int64_t kLooksOfAStep = 32;

// Bounds the depth, and charges what parsing it will cost.
absl::Status CheckShape(absl::string_view text, RuleGraph& graph) {
  int depth = 0;
  std::vector<int64_t> names(kMaxNesting + 1, 0);  // of the object open at that depth
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == ':' && depth > 0) ++names[static_cast<size_t>(depth)];
    if ((c == '}' || c == ']') && depth > 0) {
      int64_t& count = names[static_cast<size_t>(depth--)];
      graph.Charge(count * count / (2 * kLooksOfAStep));
      count = 0;
    }
    if ((c == '{' || c == '[') && ++depth > kMaxNesting) {
      return absl::InvalidArgumentError(
          absl::StrCat("schema, byte ", i, ": nested deeper than ", kMaxNesting));
    }
  }
  return graph.status();
}

absl::StatusOr<Json> Parse(absl::string_view text, RuleGraph& graph) {
  RETURN_IF_ERROR(CheckShape(text, graph));
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    const size_t byte = error.byte > 0 ? error.byte - 1 : 0;
    return absl::InvalidArgumentError(
        absl::StrCat("schema, byte ", byte, ": this is not JSON from here on"));
  } catch (const nlohmann::json::exception&) {
    return absl::InvalidArgumentError("schema: holds a number beyond all bounds");
  }
}

}  // namespace

absl::Status AddJsonSchema(absl::string_view schema, RuleGraph& graph,
                           std::vector<std::string>* notes) {
  graph.Charge(static_cast<int64_t>(schema.size()));
  RETURN_IF_ERROR(graph.status());
  ASSIGN_OR_RETURN(const Json document, Parse(schema, graph));
  return SchemaCompiler(document, graph, notes).Compile();
}

absl::Status AddJsonObject(RuleGraph& graph) {
  const RuleGraph::Rule rule = graph.rule(graph.AddRule());
  JsonValues values(graph);
  graph.AddEmpty(values.AnyObject(rule.start), rule.end);
  return graph.status();
}

}  // namespace scoville::model
