// A JSON object read field by field, with errors that say where: "file:line:column: field: what".
//
// Ownership: a CardDocument owns the tree; CardFields borrow it. Threading: one thread. Errors:
// InvalidArgument. Nothing here throws.
#ifndef SCOVILLE_MODEL_CARD_CARD_JSON_H_
#define SCOVILLE_MODEL_CARD_CARD_JSON_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville::model::internal {

class CardFields;

// Bounded: at most 1 MiB and 32 levels; a key that stands twice in one object is refused.
class CardDocument {
 public:
  // `file` names the text in errors.
  static absl::StatusOr<CardDocument> Parse(absl::string_view text, absl::string_view file);

  CardFields Root() const;

 private:
  friend class CardFields;
  absl::Status Error(const std::string& path, absl::string_view what) const;

  std::string file_;
  nlohmann::json root_;
  std::map<std::string, std::string> places_;  // "line:column" of each key, by path: "a.b"
};

// One object of the document. Fields that nobody asks for are allowed: a config.json holds much
// that is of no concern here. A null field counts as absent.
class CardFields {
 public:
  CardFields(const CardDocument* document, const nlohmann::json* object, std::string path)
      : document_(document), object_(object), path_(std::move(path)) {}

  bool Has(const char* name) const { return Find(name) != nullptr; }
  // Whole numbers within [low, high]; the first of `names` that is there.
  absl::StatusOr<int64_t> Int(std::initializer_list<const char*> names, int64_t low,
                              int64_t high) const;
  absl::StatusOr<int64_t> IntOr(std::initializer_list<const char*> names, int64_t absent,
                                int64_t low, int64_t high) const;
  absl::StatusOr<bool> BoolOr(const char* name, bool absent) const;
  absl::StatusOr<std::string> TextOr(const char* name, absl::string_view absent) const;
  // Empty if absent.
  absl::StatusOr<std::vector<std::string>> Texts(const char* name) const;
  absl::StatusOr<std::vector<int64_t>> Ints(const char* name, int64_t low, int64_t high) const;
  // The object of that name; one without fields if absent.
  absl::StatusOr<CardFields> Object(const char* name) const;
  // Refuses fields other than these, with the nearest one.
  absl::Status OnlyThese(absl::Span<const std::string> known) const;
  std::vector<std::string> Names() const;

  absl::Status Error(absl::string_view field, absl::string_view what) const;

 private:
  const nlohmann::json* Find(const char* name) const;
  absl::Status WrongKind(const char* name, absl::string_view wanted) const;

  const CardDocument* document_;
  const nlohmann::json* object_;
  std::string path_;
};

}  // namespace scoville::model::internal

#endif  // SCOVILLE_MODEL_CARD_CARD_JSON_H_
