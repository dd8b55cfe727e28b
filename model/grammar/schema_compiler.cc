#include "model/grammar/schema_compiler.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "model/grammar/json_numbers.h"

namespace scoville::model {

namespace {

// Of schemas in schemas; the stack of calls grows with it.
constexpr int kMaxDepth = 200;

bool Has(const SchemaPlace& place, const char* keyword) {
  return place.schema->is_object() && place.schema->contains(keyword);
}

}  // namespace

absl::Status SchemaCompiler::Compile() {
  const int32_t root = RuleOf({&document_, ""});
  CHECK_EQ(root, 0);
  while (!pending_.empty()) {
    const auto [rule, place] = std::move(pending_.back());
    pending_.pop_back();
    std::set<std::string> inside;
    ASSIGN_OR_RETURN(const int32_t end, Inline(graph_.rule(rule).start, place, inside));
    graph_.AddEmpty(end, graph_.rule(rule).end);
    RETURN_IF_ERROR(graph_.status());
  }
  return absl::OkStatus();
}

int32_t SchemaCompiler::RuleOf(const SchemaPlace& place) {
  const auto [it, fresh] = rules_.try_emplace(place.pointer, -1);
  if (fresh) {
    it->second = graph_.AddRule();
    pending_.emplace_back(it->second, place);
  }
  return it->second;
}

absl::StatusOr<SchemaPlace> SchemaCompiler::Referenced(const SchemaPlace& place) const {
  RETURN_IF_ERROR(CheckKeywords(place, {}, "$ref"));
  const Json& ref = place.schema->at("$ref");
  const std::string text = ref.is_string() ? ref.get<std::string>() : ref.dump();
  const auto unknown = [&] {
    return SchemaError(place, absl::StrCat("`$ref` ", text,
                                           " leads nowhere: only `#` and `#/...` into this schema "
                                           "are followed"));
  };
  if (text == "#") return SchemaPlace{&document_, ""};
  if (!ref.is_string() || !absl::StartsWith(text, "#/") || absl::StrContains(text, '%')) {
    return unknown();
  }
  SchemaPlace at{&document_, text.substr(1)};
  for (const std::string& escaped :
       std::vector<std::string>(absl::StrSplit(at.pointer.substr(1), '/'))) {
    const std::string token = absl::StrReplaceAll(escaped, {{"~1", "/"}, {"~0", "~"}});
    if (at.schema->is_object() && at.schema->contains(token)) {
      at.schema = &at.schema->at(token);
    } else if (at.schema->is_array() && !token.empty() && token.size() < 10 &&
               token.find_first_not_of("0123456789") == std::string::npos &&
               std::stoul(token) < at.schema->size()) {
      at.schema = &at.schema->at(std::stoul(token));
    } else {
      return unknown();
    }
  }
  return at;
}

SchemaCompiler::Result SchemaCompiler::Value(int32_t from, const SchemaPlace& place) {
  if (place.schema == nullptr) return values_.Any(from);
  const bool apart = Has(place, "anyOf") || Has(place, "oneOf") || Has(place, "$ref");
  if (!apart) {
    std::set<std::string> inside;
    return Inline(from, place, inside);
  }
  SchemaPlace named = place;
  if (Has(place, "$ref")) {
    ASSIGN_OR_RETURN(named, Referenced(place));
  }
  const int32_t to = graph_.AddNode();
  graph_.AddCall(from, RuleOf(named), to);
  return to;
}

SchemaCompiler::Result SchemaCompiler::Inline(int32_t from, const SchemaPlace& place,
                                              std::set<std::string>& inside) {
  RETURN_IF_ERROR(graph_.status());
  graph_.Charge(1 + static_cast<int64_t>(place.pointer.size()));
  const Json& schema = *place.schema;
  if (schema.is_boolean()) {
    // No edge leads to the node of `false`.
    return schema.get<bool>() ? values_.Any(from) : graph_.AddNode();
  }
  if (!schema.is_object()) return SchemaError(place, "a schema is an object, true or false");
  if (depth_ >= kMaxDepth) {
    return SchemaError(place, absl::StrCat("schemas deeper than ", kMaxDepth, ": use $ref"));
  }
  if (!inside.insert(place.pointer).second) {
    return SchemaError(place, "refers to itself with nothing in between");
  }
  ++depth_;
  Result written = [&]() -> Result {
    if (Has(place, "$ref")) {
      ASSIGN_OR_RETURN(const SchemaPlace target, Referenced(place));
      return Inline(from, target, inside);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (Has(place, keyword)) return Alternatives(from, place, keyword, inside);
    }
    if (Has(place, "allOf")) return AllOf(from, place, inside);
    if (Has(place, "enum") || Has(place, "const")) return Enumerated(from, place);
    ASSIGN_OR_RETURN(const std::vector<std::string> types, TypesOf(place));
    RETURN_IF_ERROR(CheckKeywords(place, types, ""));
    if (types.empty()) return values_.Any(from);
    const int32_t to = graph_.AddNode();
    for (const std::string& type : types) {
      ASSIGN_OR_RETURN(const int32_t end, OfType(from, place, type));
      graph_.AddEmpty(end, to);
    }
    return to;
  }();
  --depth_;
  inside.erase(place.pointer);
  return written;
}

SchemaCompiler::Result SchemaCompiler::Alternatives(int32_t from, const SchemaPlace& place,
                                                    const std::string& keyword,
                                                    std::set<std::string>& inside) {
  RETURN_IF_ERROR(CheckKeywords(place, {}, keyword));
  if (place.schema->contains("type")) {
    return SchemaError(place, absl::StrCat("`type` beside `", keyword,
                                           "` is not supported: move it into the schemas there"));
  }
  const Json& list = place.schema->at(keyword);
  if (!list.is_array() || list.empty()) {
    return SchemaError(place, absl::StrCat("`", keyword, "` is not a list of schemas"));
  }
  if (keyword == "oneOf" && list.size() > 1) {
    const std::string note =
        absl::StrCat("schema, #", place.pointer,
                     ": oneOf is read as anyOf; a value may meet several of its schemas");
    if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) notes_.push_back(note);
  }
  const int32_t to = graph_.AddNode();
  for (size_t i = 0; i < list.size(); ++i) {
    ASSIGN_OR_RETURN(const int32_t end, Inline(from, place.At(keyword, absl::StrCat(i)), inside));
    graph_.AddEmpty(end, to);
  }
  return to;
}

SchemaCompiler::Result SchemaCompiler::AllOf(int32_t from, const SchemaPlace& place,
                                             std::set<std::string>& inside) {
  const Json& list = place.schema->at("allOf");
  if (!list.is_array() || list.empty()) {
    return SchemaError(place, "`allOf` is not a list of schemas");
  }
  const bool only = std::all_of(
      place.schema->items().begin(), place.schema->items().end(),
      [&](const auto& m) { return m.key() == "allOf" || IsAnnotation(place, m.key()); });
  if (only && list.size() == 1) return Inline(from, place.At("allOf", "0"), inside);
  Members members;
  RETURN_IF_ERROR(Collect(place, 0, members));
  RETURN_IF_ERROR(Settle(place, members));
  return Object(from, members);
}

SchemaCompiler::Result SchemaCompiler::Enumerated(int32_t from, const SchemaPlace& place) {
  const bool is_enum = Has(place, "enum");
  RETURN_IF_ERROR(CheckKeywords(place, {}, is_enum ? "enum" : "const"));
  std::vector<std::string> types;
  if (Has(place, "type")) {
    ASSIGN_OR_RETURN(types, TypesOf(place));
  }
  const Json list = is_enum ? place.schema->at("enum") : Json::array({place.schema->at("const")});
  if (!list.is_array() || list.empty()) return SchemaError(place, "`enum` is not a list of values");
  const int32_t to = graph_.AddNode();
  int64_t written = 0;
  for (const Json& value : list) {
    const bool fits = types.empty() || std::any_of(types.begin(), types.end(), [&](const auto& t) {
                        return IsOfType(value, t);
                      });
    if (!fits) continue;
    ++written;
    graph_.AddEmpty(values_.Literal(from, value), to);
  }
  if (written == 0) return SchemaError(place, "no value of `enum` or `const` has the `type`");
  return to;
}

SchemaCompiler::Result SchemaCompiler::OfType(int32_t from, const SchemaPlace& place,
                                              const std::string& type) {
  if (type == "null") return graph_.Literal(from, "null");
  if (type == "boolean") {
    const int32_t to = graph_.AddNode();
    graph_.AddEmpty(graph_.Literal(from, "true"), to);
    graph_.AddEmpty(graph_.Literal(from, "false"), to);
    return to;
  }
  if (type == "integer") return Integer(from, place);
  if (type == "number") return Number(from, place);
  if (type == "string") return String(from, place);
  if (type == "array") return Array(from, place);
  Members members;
  RETURN_IF_ERROR(Collect(place, 0, members));
  RETURN_IF_ERROR(Settle(place, members));
  return Object(from, members);
}

SchemaCompiler::Result SchemaCompiler::String(int32_t from, const SchemaPlace& place) {
  const int kinds = (Has(place, "pattern") ? 1 : 0) + (Has(place, "format") ? 1 : 0) +
                    (Has(place, "minLength") || Has(place, "maxLength") ? 1 : 0);
  if (kinds == 0) return values_.PlainString(from);
  if (kinds > 1) {
    return SchemaError(place,
                       "`pattern`, `format` and lengths together are not supported: keep one, and "
                       "write lengths into the pattern as ^...{m,n}$");
  }
  for (const char* keyword : {"pattern", "format"}) {
    if (!Has(place, keyword)) continue;
    const Json& text = place.schema->at(keyword);
    if (!text.is_string()) {
      return SchemaError(place, absl::StrCat("`", keyword, "` is not a string"));
    }
    const auto& value = text.get_ref<const std::string&>();
    const bool pattern = absl::string_view(keyword) == "pattern";
    Result end = pattern ? values_.PatternString(from, value) : values_.FormatString(from, value);
    if (!end.ok()) {
      return SchemaError(
          place, absl::StrCat("`", keyword, "` ", text.dump(), ": ", end.status().message()));
    }
    return end;
  }
  ASSIGN_OR_RETURN(const int64_t min, CountOf(place, "minLength", 0));
  ASSIGN_OR_RETURN(const int64_t max, CountOf(place, "maxLength", -1));
  if (max >= 0 && max < min) return SchemaError(place, "`maxLength` is below `minLength`");
  return values_.BoundedString(from, min, max);
}

absl::StatusOr<SchemaCompiler::Bounds> SchemaCompiler::BoundsOf(const SchemaPlace& place) const {
  Bounds bounds;
  for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (!Has(place, keyword)) continue;
    const Json& value = place.schema->at(keyword);
    if (!value.is_number()) {
      return SchemaError(place, absl::StrCat("`", keyword, "` is not a number"));
    }
    const double number = value.get<double>();
    // Whole numbers beyond 2^53 are not told apart by a double.
    if (!(std::fabs(number) <= 9007199254740992.0)) {
      return SchemaError(place, absl::StrCat("`", keyword, "` is beyond 2^53"));
    }
    const bool exclusive = absl::StartsWith(keyword, "exclusive");
    if (absl::StrContains(keyword, "inimum")) {
      if (!bounds.has_low || number > bounds.low || (number == bounds.low && exclusive)) {
        bounds.low = number;
        bounds.without_low = exclusive;
      }
      bounds.has_low = true;
    } else {
      if (!bounds.has_high || number < bounds.high || (number == bounds.high && exclusive)) {
        bounds.high = number;
        bounds.without_high = exclusive;
      }
      bounds.has_high = true;
    }
  }
  return bounds;
}

SchemaCompiler::Result SchemaCompiler::Integer(int32_t from, const SchemaPlace& place) {
  ASSIGN_OR_RETURN(const Bounds b, BoundsOf(place));
  int64_t low = -kLargestInteger;
  int64_t high = kLargestInteger;
  if (b.has_low) {
    low = static_cast<int64_t>(std::ceil(b.low));
    if (b.without_low && static_cast<double>(low) == b.low) ++low;
  }
  if (b.has_high) {
    high = static_cast<int64_t>(std::floor(b.high));
    if (b.without_high && static_cast<double>(high) == b.high) --high;
  }
  if (low > high) return SchemaError(place, "no whole number is within the bounds");
  return AddIntegers(from, low, high, graph_);
}

SchemaCompiler::Result SchemaCompiler::Number(int32_t from, const SchemaPlace& place) {
  ASSIGN_OR_RETURN(const Bounds b, BoundsOf(place));
  if (!b.has_low && !b.has_high) return AddAnyNumber(from, graph_);
  NumberBounds bounds;
  if ((b.has_low && std::floor(b.low) != b.low) || (b.has_high && std::floor(b.high) != b.high)) {
    return SchemaError(place, "bounds of `number` are only supported as whole numbers");
  }
  if (b.has_low) bounds.low = static_cast<int64_t>(b.low);
  if (b.has_high) bounds.high = static_cast<int64_t>(b.high);
  bounds.without_low = b.without_low;
  bounds.without_high = b.without_high;
  if (bounds.low > bounds.high ||
      (bounds.low == bounds.high && (b.without_low || b.without_high))) {
    return SchemaError(place, "no number is within the bounds");
  }
  return AddNumbers(from, bounds, graph_);
}

}  // namespace scoville::model
