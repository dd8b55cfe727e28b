#include "model/grammar/schema_keywords.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"

namespace scoville::model {

namespace {

constexpr absl::string_view kTypes[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
constexpr absl::string_view kAnnotations[] = {
    "title",      "description", "default",   "examples", "example", "$comment",
    "deprecated", "readOnly",    "writeOnly", "$schema",  "$defs",   "definitions"};
constexpr absl::string_view kGeneral[] = {"type",  "enum",  "const", "anyOf",
                                          "oneOf", "allOf", "$ref"};

struct TypeKeyword {
  absl::string_view keyword;
  absl::string_view type;
};
constexpr TypeKeyword kOfTypes[] = {
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
};

const TypeKeyword* FindOfTypes(absl::string_view keyword) {
  const auto* it = std::find_if(std::begin(kOfTypes), std::end(kOfTypes),
                                [&](const TypeKeyword& k) { return k.keyword == keyword; });
  return it == std::end(kOfTypes) ? nullptr : it;
}

template <size_t N>
bool Holds(const absl::string_view (&list)[N], absl::string_view what) {
  return std::find(std::begin(list), std::end(list), what) != std::end(list);
}

bool Speaks(const std::vector<std::string>& types, absl::string_view of) {
  return std::any_of(types.begin(), types.end(), [&](const std::string& t) {
    return t == of || (of == "number" && t == "integer");
  });
}

}  // namespace

SchemaPlace SchemaPlace::At(absl::string_view keyword) const {
  return {&schema->at(std::string(keyword)), absl::StrCat(pointer, "/", keyword)};
}

SchemaPlace SchemaPlace::At(absl::string_view keyword, absl::string_view name) const {
  const Json& outer = schema->at(std::string(keyword));
  return Within(
      keyword, name,
      outer.is_array() ? outer.at(std::stoul(std::string(name))) : outer.at(std::string(name)));
}

SchemaPlace SchemaPlace::Within(absl::string_view keyword, absl::string_view name,
                                const Json& inner) const {
  const std::string token = absl::StrReplaceAll(name, {{"~", "~0"}, {"/", "~1"}});
  return {&inner, absl::StrCat(pointer, "/", keyword, "/", token)};
}

absl::Status SchemaError(const SchemaPlace& place, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("schema, #", place.pointer, ": ", what));
}

bool IsAnnotation(const SchemaPlace& place, absl::string_view keyword) {
  return Holds(kAnnotations, keyword) || absl::StartsWith(keyword, "x-") ||
         (keyword == "$id" && place.pointer.empty());
}

absl::StatusOr<std::vector<std::string>> TypesOf(const SchemaPlace& place) {
  std::vector<std::string> named;
  const auto type = place.schema->find("type");
  if (type == place.schema->end()) {
    for (const auto& member : place.schema->items()) {
      const TypeKeyword* keyword = FindOfTypes(member.key());
      if (keyword != nullptr) named.emplace_back(keyword->type);
    }
  } else {
    const Json list = type->is_array() ? *type : Json::array({*type});
    if (list.empty()) return SchemaError(place, "`type` lists no type");
    for (const Json& one : list) {
      if (!one.is_string() || !Holds(kTypes, one.get_ref<const std::string&>())) {
        return SchemaError(place, absl::StrCat("`type` ", one.dump(),
                                               " is none: write null, boolean, integer, number, "
                                               "string, array or object"));
      }
      named.push_back(one.get<std::string>());
    }
  }
  std::vector<std::string> types;
  for (const absl::string_view t : kTypes) {
    if (std::find(named.begin(), named.end(), t) != named.end()) types.emplace_back(t);
  }
  return types;
}

absl::Status CheckKeywords(const SchemaPlace& place, const std::vector<std::string>& types,
                           absl::string_view alone) {
  for (const auto& member : place.schema->items()) {
    const std::string& keyword = member.key();
    if (IsAnnotation(place, keyword) || keyword == alone) continue;
    const TypeKeyword* of_type = FindOfTypes(keyword);
    if (of_type == nullptr && !Holds(kGeneral, keyword)) {
      return SchemaError(
          place, absl::StrCat("the keyword `", keyword, "` is not supported: leave it out"));
    }
    if (!alone.empty() && keyword != "type") {
      return SchemaError(place, absl::StrCat("`", keyword, "` beside `", alone,
                                             "` is not supported: move it into the schemas there"));
    }
    if (of_type != nullptr && !Speaks(types, of_type->type)) {
      return SchemaError(place, absl::StrCat("`", keyword, "` says nothing about values of type ",
                                             types.empty() ? "any" : types[0], ": leave it out"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CountOf(const SchemaPlace& place, absl::string_view keyword,
                                int64_t otherwise) {
  const auto it = place.schema->find(std::string(keyword));
  if (it == place.schema->end()) return otherwise;
  const bool whole = it->is_number_integer() ||
                     (it->is_number_float() && std::floor(it->get<double>()) == it->get<double>());
  const double value = it->is_number() ? it->get<double>() : -1;
  if (!whole || value < 0 || value > 1e9) {
    return SchemaError(place, absl::StrCat("`", keyword, "` is not a whole number from 0 to 1e9"));
  }
  return static_cast<int64_t>(value);
}

bool IsOfType(const Json& value, absl::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
  }
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  return value.is_object();
}

}  // namespace scoville::model
