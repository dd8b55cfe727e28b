// JSON Schema as rules.
//
// Keywords (2020-12 and, where they mean the same, older drafts): type (one or several), enum,
// const, anyOf, oneOf, allOf, $ref, $defs/definitions; properties, required, additionalProperties;
// items, prefixItems, minItems, maxItems; minLength, maxLength, pattern, format (date, time,
// date-time, uuid, email, each a subset); minimum, maximum, exclusiveMinimum, exclusiveMaximum. All
// others are refused by name, but for annotations (title, description, default, examples, $comment,
// deprecated, readOnly, writeOnly, $schema, $id at the root, x-...), which say nothing about
// values.
//
// What is written is a subset of what the schema allows, never more but for oneOf:
// - members in the schema's order; at most one space after `:` and `,`, none elsewhere;
// - members beyond `properties` only where additionalProperties asks for them, or where there are
// no
//   properties; items beyond prefixItems only where `items` does or minItems needs them;
// - without `type`, the types that the keywords speak of; without either, any value;
// - oneOf as anyOf: a value may meet several of its schemas (a note says where);
// - strings of a plain `type` may use every escape of JSON; elsewhere only those that must be;
// - numbers as in json_numbers.h.
//
// Threading: pure. Errors: kInvalidArgument with the JSON pointer; the graph's budget.
#ifndef SCOVILLE_MODEL_GRAMMAR_JSON_SCHEMA_H_
#define SCOVILLE_MODEL_GRAMMAR_JSON_SCHEMA_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/grammar/rule_graph.h"

namespace scoville::model {

// Rule 0 of an empty graph becomes the schema's values.
absl::Status AddJsonSchema(absl::string_view schema, RuleGraph& graph,
                           std::vector<std::string>* notes);
// Any JSON object.
absl::Status AddJsonObject(RuleGraph& graph);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_JSON_SCHEMA_H_
