// What a schema object says: its types, and that it says nothing we do not know.
//
// Threading: pure. Errors: kInvalidArgument with the pointer and the keyword.
#ifndef SCOVILLE_MODEL_GRAMMAR_SCHEMA_KEYWORDS_H_
#define SCOVILLE_MODEL_GRAMMAR_SCHEMA_KEYWORDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/grammar/json_values.h"

namespace scoville::model {

// A place of the document: the schema and the JSON pointer to it.
struct SchemaPlace {
  const Json* schema = nullptr;
  std::string pointer;  // "" is the whole

  SchemaPlace At(absl::string_view keyword) const;
  SchemaPlace At(absl::string_view keyword, absl::string_view name) const;
  // The same where `inner` is at hand: an object looks through its names one by one.
  SchemaPlace Within(absl::string_view keyword, absl::string_view name, const Json& inner) const;
};

absl::Status SchemaError(const SchemaPlace& place, absl::string_view what);

// The schema's types in the order of the specification. Without `type`, those that its keywords
// speak of; empty if they speak of none.
absl::StatusOr<std::vector<std::string>> TypesOf(const SchemaPlace& place);

// Refuses unknown keywords, those of other types than `types`, and, if `alone` is not empty, all
// but annotations beside it.
absl::Status CheckKeywords(const SchemaPlace& place, const std::vector<std::string>& types,
                           absl::string_view alone);
bool IsAnnotation(const SchemaPlace& place, absl::string_view keyword);

// A count of a keyword; `otherwise` if there is none.
absl::StatusOr<int64_t> CountOf(const SchemaPlace& place, absl::string_view keyword,
                                int64_t otherwise);

bool IsOfType(const Json& value, absl::string_view type);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GRAMMAR_SCHEMA_KEYWORDS_H_
