// Objects and arrays of SchemaCompiler.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/schema_compiler.h"

namespace scoville::model {

namespace {

constexpr int kMaxAllOfDepth = 32;
// Names are walked recursively where others are told from them.
constexpr size_t kMaxNameBytes = 1024;

bool Has(const SchemaPlace& place, const char* keyword) {
  return place.schema->is_object() && place.schema->contains(keyword);
}

}  // namespace

absl::Status SchemaCompiler::Collect(const SchemaPlace& given, int depth, Members& members) {
  if (depth > kMaxAllOfDepth) return SchemaError(given, "allOf and $ref nest too deeply");
  graph_.Charge(1);
  SchemaPlace place = given;
  if (Has(place, "$ref")) {
    ASSIGN_OR_RETURN(place, Referenced(place));
    return Collect(place, depth + 1, members);
  }
  const bool parts = depth > 0 || Has(place, "allOf");
  const auto refuse = [&](absl::string_view what) {
    return SchemaError(place, absl::StrCat(what,
                                           " inside allOf is not supported: allOf joins objects "
                                           "of different `properties` only"));
  };
  if (!place.schema->is_object()) return refuse("true or false");
  for (const char* keyword : {"anyOf", "oneOf", "enum", "const"}) {
    if (Has(place, keyword)) return refuse(absl::StrCat("`", keyword, "`"));
  }
  if (Has(place, "type") && place.schema->at("type") != "object" && parts) {
    return refuse(absl::StrCat("`type` ", place.schema->at("type").dump()));
  }
  if (parts) {
    RETURN_IF_ERROR(CheckKeywords(place, {"object"}, ""));
  }
  if (Has(place, "allOf")) {
    const Json& list = place.schema->at("allOf");
    if (!list.is_array()) return SchemaError(place, "`allOf` is not a list of schemas");
    for (size_t i = 0; i < list.size(); ++i) {
      RETURN_IF_ERROR(Collect(place.At("allOf", absl::StrCat(i)), depth + 1, members));
    }
  }
  if (Has(place, "properties")) {
    const Json& properties = place.schema->at("properties");
    if (!properties.is_object()) return SchemaError(place, "`properties` is not an object");
    for (const auto& member : properties.items()) {
      graph_.Charge(1);
      if (member.key().size() > kMaxNameBytes) {
        return SchemaError(
            place, absl::StrCat("a name in `properties` is longer than ", kMaxNameBytes, " bytes"));
      }
      RETURN_IF_ERROR(graph_.status());
      members.properties.push_back(
          {member.key(), place.Within("properties", member.key(), member.value()), false});
    }
  }
  if (Has(place, "required")) {
    const Json& required = place.schema->at("required");
    if (!required.is_array()) return SchemaError(place, "`required` is not a list of names");
    for (const Json& name : required) {
      if (!name.is_string()) return SchemaError(place, "`required` is not a list of names");
      members.required.push_back(name.get<std::string>());
    }
  }
  if (Has(place, "additionalProperties")) {
    const SchemaPlace additional = place.At("additionalProperties");
    if (parts && *additional.schema != true) return refuse("`additionalProperties`");
    members.any_additional = *additional.schema == true;
    if (!additional.schema->is_boolean()) members.additional = additional;
  } else if (!parts && !Has(place, "properties")) {
    members.any_additional = true;
  }
  return absl::OkStatus();
}

// Marks what is required, adds what is required without a property of its own.
absl::Status SchemaCompiler::Settle(const SchemaPlace& place, Members& members) {
  std::set<std::string> required(members.required.begin(), members.required.end());
  std::set<std::string> names;
  for (Property& property : members.properties) {
    if (!names.insert(property.name).second) {
      return SchemaError(place, absl::StrCat("the property \"", property.name,
                                             "\" is in several schemas of allOf: join them"));
    }
    property.required = required.count(property.name) > 0;
  }
  const bool closed = Has(place, "additionalProperties") && !members.any_additional &&
                      members.additional.schema == nullptr;
  for (const std::string& name : members.required) {
    if (!names.insert(name).second) continue;
    if (closed) {
      return SchemaError(place, absl::StrCat("\"", name,
                                             "\" is required, but neither in `properties` nor "
                                             "allowed by `additionalProperties`"));
    }
    if (name.size() > kMaxNameBytes) return SchemaError(place, "a required name is too long");
    members.properties.push_back({name, members.additional, true});
  }
  return absl::OkStatus();
}

SchemaCompiler::Result SchemaCompiler::Member(int32_t from, const Property& property) {
  return Value(values_.Colon(values_.Literal(from, Json(property.name))), property.value);
}

// Two rows of nodes, before each property: no member yet, and some. Both lead into the same member.
SchemaCompiler::Result SchemaCompiler::Object(int32_t from, const Members& members) {
  int32_t none = graph_.Literal(from, "{");
  int32_t some = graph_.AddNode();
  std::vector<std::string> names;
  for (const Property& property : members.properties) {
    RETURN_IF_ERROR(graph_.status());
    names.push_back(property.name);
    const int32_t member = graph_.AddNode();
    graph_.AddEmpty(none, member);
    graph_.AddEmpty(values_.Comma(some), member);
    ASSIGN_OR_RETURN(const int32_t end, Member(member, property));
    const int32_t none_after = graph_.AddNode();
    const int32_t some_after = graph_.AddNode();
    graph_.AddEmpty(end, some_after);
    if (!property.required) {
      graph_.AddEmpty(none, none_after);
      graph_.AddEmpty(some, some_after);
    }
    none = none_after;
    some = some_after;
  }
  if (members.any_additional || members.additional.schema != nullptr) {
    const int32_t member = graph_.AddNode();
    const int32_t after = graph_.AddNode();
    graph_.AddEmpty(none, member);
    graph_.AddEmpty(some, after);
    graph_.AddEmpty(values_.Comma(after), member);
    const int32_t name = values_.StringExcept(member, names);
    ASSIGN_OR_RETURN(const int32_t end, Value(values_.Colon(name), members.additional));
    graph_.AddEmpty(end, after);
    some = after;
  }
  const int32_t to = graph_.AddNode();
  graph_.AddBytes(none, '}', '}', to);
  graph_.AddBytes(some, '}', '}', to);
  return to;
}

// A rule for values that are wanted in many places.
int32_t SchemaCompiler::ItemRule(const SchemaPlace& place) {
  SchemaPlace named = place;
  if (Has(place, "$ref")) {
    auto target = Referenced(place);
    if (target.ok()) named = *std::move(target);  // else its rule says what is wrong
  }
  return RuleOf(named);
}

SchemaCompiler::Result SchemaCompiler::Array(int32_t from, const SchemaPlace& place) {
  ASSIGN_OR_RETURN(const int64_t min, CountOf(place, "minItems", 0));
  ASSIGN_OR_RETURN(const int64_t max_given, CountOf(place, "maxItems", -1));
  if (Has(place, "uniqueItems") && place.schema->at("uniqueItems") != false) {
    return SchemaError(place, "the keyword `uniqueItems` is not supported: leave it out");
  }
  std::vector<SchemaPlace> prefix;
  if (Has(place, "prefixItems")) {
    const Json& list = place.schema->at("prefixItems");
    if (!list.is_array()) return SchemaError(place, "`prefixItems` is not a list of schemas");
    for (size_t i = 0; i < list.size(); ++i) {
      prefix.push_back(place.At("prefixItems", absl::StrCat(i)));
    }
  }
  SchemaPlace rest;  // without a schema: any
  if (Has(place, "items")) rest = place.At("items");
  const auto listed = static_cast<int64_t>(prefix.size());
  int64_t max = max_given;
  const bool rest_is_false = rest.schema != nullptr && *rest.schema == false;
  const bool rest_unwanted = rest.schema == nullptr && !prefix.empty() && min <= listed;
  if ((rest_is_false || rest_unwanted) && (max < 0 || max > listed)) max = listed;
  if (max >= 0 && max < min) return SchemaError(place, "fewer items are allowed than `minItems`");

  // Items that may come more than once in the graph are calls.
  const int64_t last =
      max < 0 ? std::max(min, listed + 1) : max;  // the last with a node of its own
  const auto item = [&](int32_t at, int64_t i) -> Result {
    if (i < listed) return Value(at, prefix[static_cast<size_t>(i)]);
    if (rest.schema == nullptr || last <= listed + 1) return Value(at, rest);
    const int32_t to = graph_.AddNode();
    graph_.AddCall(at, ItemRule(rest), to);
    return to;
  };
  const int32_t to = graph_.AddNode();
  int32_t at = graph_.Literal(from, "[");
  if (min == 0) graph_.AddBytes(at, ']', ']', to);
  for (int64_t i = 0; i < last; ++i) {
    RETURN_IF_ERROR(graph_.status());
    const int32_t begin = graph_.AddNode();
    graph_.AddEmpty(i == 0 ? at : values_.Comma(at), begin);
    ASSIGN_OR_RETURN(const int32_t end, item(begin, i));
    at = graph_.AddNode();
    graph_.AddEmpty(end, at);
    if (i + 1 >= min) graph_.AddBytes(at, ']', ']', to);
    if (max < 0 && i + 1 == last) graph_.AddEmpty(values_.Comma(at), begin);
  }
  return to;
}

}  // namespace scoville::model
