#include "model/grammar/json_schema.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/json_values.h"
#include "model/grammar/schema_compiler.h"

namespace scoville::model {

namespace {

// Of brackets; recursion over the document is no deeper.
constexpr int kMaxNesting = 512;

absl::Status CheckNesting(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxNesting) {
      return absl::InvalidArgumentError(
          absl::StrCat("schema, byte ", i, ": nested deeper than ", kMaxNesting));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> Parse(absl::string_view text) {
  RETURN_IF_ERROR(CheckNesting(text));
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
  ASSIGN_OR_RETURN(const Json document, Parse(schema));
  return SchemaCompiler(document, graph, notes).Compile();
}

absl::Status AddJsonObject(RuleGraph& graph) {
  const RuleGraph::Rule rule = graph.rule(graph.AddRule());
  JsonValues values(graph);
  graph.AddEmpty(values.AnyObject(rule.start), rule.end);
  return graph.status();
}

}  // namespace scoville::model
