#include "tests/reference/json_schema_oracle.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::tests {

namespace {

bool IsType(const OrderedJson& v, const std::string& type) {
  if (type == "null") return v.is_null();
  if (type == "boolean") return v.is_boolean();
  if (type == "integer") {
    return v.is_number_integer() ||
           (v.is_number_float() && std::trunc(v.get<double>()) == v.get<double>());
  }
  if (type == "number") return v.is_number();
  if (type == "string") return v.is_string();
  if (type == "array") return v.is_array();
  CHECK_EQ(type, std::string("object"));
  return v.is_object();
}

int64_t CodePoints(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
}

bool MeetsFormat(const std::string& text, const std::string& format) {
  const auto matches = [&](const char* pattern) {
    return std::regex_match(text, std::regex(pattern));
  };
  if (format == "uuid") {
    return matches("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");
  }
  if (format == "email") return matches("[^@ ]+@[^@ .]+(\\.[^@ .]+)+");
  const char* time = "(\\d\\d):(\\d\\d):(\\d\\d)(\\.\\d+)?([zZ]|[+-]\\d\\d:\\d\\d)";
  if (format == "time") return matches(time) && std::stoi(text) < 24;
  const size_t date_end = 10;
  if (format == "date-time") {
    return text.size() > 11 && text[date_end] == 'T' &&
           MeetsFormat(text.substr(0, date_end), "date") &&
           MeetsFormat(text.substr(date_end + 1), "time");
  }
  CHECK_EQ(format, std::string("date"));
  if (!matches("\\d{4}-\\d\\d-\\d\\d")) return false;
  const int year = std::stoi(text);
  const int month = std::stoi(text.substr(5));
  const int day = std::stoi(text.substr(8));
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int days[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

bool AnyMeets(const OrderedJson& v, const OrderedJson& list, const OrderedJson& root) {
  return std::any_of(list.begin(), list.end(),
                     [&](const OrderedJson& s) { return MeetsSchema(v, s, root); });
}

bool MembersMeet(const OrderedJson& v, const OrderedJson& schema, const OrderedJson& root) {
  for (const auto& member : v.items()) {
    const bool listed =
        schema.contains("properties") && schema["properties"].contains(member.key());
    if (listed && !MeetsSchema(member.value(), schema["properties"][member.key()], root)) {
      return false;
    }
    if (!listed && schema.contains("additionalProperties") &&
        !MeetsSchema(member.value(), schema["additionalProperties"], root)) {
      return false;
    }
  }
  return true;
}

bool ItemsMeet(const OrderedJson& v, const OrderedJson& schema, const OrderedJson& root) {
  const size_t listed = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
  for (size_t i = 0; i < v.size(); ++i) {
    if (i < listed && !MeetsSchema(v[i], schema["prefixItems"][i], root)) return false;
    if (i >= listed && schema.contains("items") && !MeetsSchema(v[i], schema["items"], root)) {
      return false;
    }
  }
  return true;
}

bool KeywordMeets(const OrderedJson& v, const OrderedJson& schema, const OrderedJson& root,
                  const std::string& keyword, const OrderedJson& k) {
  if (keyword == "type") {
    if (k.is_string()) return IsType(v, k);
    return std::any_of(k.begin(), k.end(), [&](const OrderedJson& t) { return IsType(v, t); });
  }
  if (keyword == "const") return v == k;
  if (keyword == "enum") return std::find(k.begin(), k.end(), v) != k.end();
  if (keyword == "anyOf" || keyword == "oneOf") return AnyMeets(v, k, root);
  if (keyword == "allOf") {
    return std::all_of(k.begin(), k.end(),
                       [&](const OrderedJson& s) { return MeetsSchema(v, s, root); });
  }
  if (keyword == "$ref") {
    return MeetsSchema(v, root.at(OrderedJson::json_pointer(k.get<std::string>().substr(1))), root);
  }
  if (keyword == "properties" || keyword == "additionalProperties") {
    return !v.is_object() || MembersMeet(v, schema, root);
  }
  if (keyword == "required") {
    return !v.is_object() || std::all_of(k.begin(), k.end(), [&](const OrderedJson& name) {
      return v.contains(name.get<std::string>());
    });
  }
  if (keyword == "items" || keyword == "prefixItems") {
    return !v.is_array() || ItemsMeet(v, schema, root);
  }
  const auto size = static_cast<int64_t>(v.size());
  if (keyword == "minItems") return !v.is_array() || size >= k.get<int64_t>();
  if (keyword == "maxItems") return !v.is_array() || size <= k.get<int64_t>();
  if (keyword == "minLength") return !v.is_string() || CodePoints(v) >= k.get<int64_t>();
  if (keyword == "maxLength") return !v.is_string() || CodePoints(v) <= k.get<int64_t>();
  if (keyword == "pattern") {
    return !v.is_string() ||
           std::regex_search(v.get<std::string>(), std::regex(k.get<std::string>()));
  }
  if (keyword == "format") return !v.is_string() || MeetsFormat(v, k);
  if (keyword == "minimum") return !v.is_number() || v.get<double>() >= k.get<double>();
  if (keyword == "maximum") return !v.is_number() || v.get<double>() <= k.get<double>();
  if (keyword == "exclusiveMinimum") return !v.is_number() || v.get<double>() > k.get<double>();
  if (keyword == "exclusiveMaximum") return !v.is_number() || v.get<double>() < k.get<double>();
  CHECK(keyword == "$defs" || keyword == "title" || keyword == "description");
  return true;
}

// Draws of one seed, in a row.
class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(
        RandomBelow(seed_, 0x6f7261636c65, next_++, static_cast<uint64_t>(n)));
  }
  bool Heads() { return Below(2) == 0; }
  uint64_t Seed() { return RandomBits(seed_, 0x6f7261636c66, next_++); }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

std::string RandomText(Dice& dice, int64_t length) {
  const std::vector<std::string> letters = {"a",  "b", "c", " ", "\"", "\\", "\n",  "é",
                                            "日", "😀", "{", "}", "0",  ",",  "\x01"};
  std::string text;
  for (int64_t i = 0; i < length; ++i) {
    text += letters[static_cast<size_t>(dice.Below(static_cast<int64_t>(letters.size())))];
  }
  return text;
}

OrderedJson RandomAny(Dice& dice, int depth) {
  switch (dice.Below(depth > 0 ? 6 : 4)) {
    case 0:
      return nullptr;
    case 1:
      return dice.Heads();
    case 2:
      return dice.Below(2001) - 1000;
    case 3:
      return RandomText(dice, dice.Below(4));
    case 4: {
      OrderedJson list = OrderedJson::array();
      for (int64_t i = dice.Below(3); i > 0; --i) list.push_back(RandomAny(dice, depth - 1));
      return list;
    }
    default: {
      OrderedJson object = OrderedJson::object();
      for (int64_t i = dice.Below(3); i > 0; --i) {
        object["k" + std::to_string(i)] = RandomAny(dice, depth - 1);
      }
      return object;
    }
  }
}

OrderedJson RandomArray(const OrderedJson& schema, const OrderedJson& root, Dice& dice) {
  const int64_t min = schema.value("minItems", int64_t{0});
  const int64_t listed = schema.contains("prefixItems")
                             ? static_cast<int64_t>(schema["prefixItems"].size())
                             : int64_t{0};
  int64_t max = schema.value("maxItems", min + 3);
  // What is written without `items` are the listed ones.
  if (listed > 0 && !schema.contains("items")) max = std::min(max, std::max(min, listed));
  OrderedJson list = OrderedJson::array();
  for (int64_t i = min + dice.Below(max - min + 1); i > 0; --i) {
    const auto at = static_cast<size_t>(list.size());
    if (static_cast<int64_t>(at) < listed) {
      list.push_back(RandomValue(schema["prefixItems"][at], root, dice.Seed()));
    } else {
      list.push_back(schema.contains("items") ? RandomValue(schema["items"], root, dice.Seed())
                                              : RandomAny(dice, 1));
    }
  }
  return list;
}

OrderedJson RandomObject(const OrderedJson& schema, const OrderedJson& root, Dice& dice) {
  OrderedJson object = OrderedJson::object();
  const OrderedJson required = schema.value("required", OrderedJson::array());
  const OrderedJson properties = schema.value("properties", OrderedJson::object());
  for (const auto& member : properties.items()) {
    const bool must = std::find(required.begin(), required.end(), member.key()) != required.end();
    if (must || dice.Heads()) object[member.key()] = RandomValue(member.value(), root, dice.Seed());
  }
  const bool more = schema.contains("additionalProperties")
                        ? schema["additionalProperties"] != false
                        : properties.empty();
  for (int64_t i = more ? dice.Below(3) : 0; i > 0; --i) {
    // One that begins like a listed one, and one that does not.
    const std::string name = i == 1 ? "ab" : "z" + RandomText(dice, 2);
    if (properties.contains(name)) continue;
    object[name] = schema.contains("additionalProperties")
                       ? RandomValue(schema["additionalProperties"], root, dice.Seed())
                       : RandomAny(dice, 1);
  }
  return object;
}

OrderedJson RandomNumberSchema(Dice& dice, const std::string& type) {
  OrderedJson schema = {{"type", type}};
  const int64_t low = dice.Below(400) - 200;
  if (dice.Heads()) schema[dice.Heads() ? "minimum" : "exclusiveMinimum"] = low;
  if (dice.Heads()) {
    schema[dice.Heads() ? "maximum" : "exclusiveMaximum"] = low + 2 + dice.Below(1500);
  }
  return schema;
}

OrderedJson RandomStringSchema(Dice& dice) {
  OrderedJson schema = {{"type", "string"}};
  switch (dice.Below(4)) {
    case 0:
      schema["minLength"] = dice.Below(3);
      if (dice.Heads()) schema["maxLength"] = 3 + dice.Below(4);
      break;
    case 1: {
      const char* formats[] = {"date", "time", "date-time", "uuid", "email"};
      schema["format"] = formats[dice.Below(5)];
      break;
    }
    case 2: {
      const char* patterns[] = {"^a+b?$", "^[a-c]{2,4}$", "b", "^\"x\"|\\\\$", "^(ab|c)*$"};
      schema["pattern"] = patterns[dice.Below(5)];
      break;
    }
    default:
      break;
  }
  return schema;
}

OrderedJson RandomObjectSchema(Dice& dice, int depth) {
  OrderedJson schema = {{"type", "object"}};
  const char* names[] = {"a", "ab", "b", "a b", "é"};
  OrderedJson required = OrderedJson::array();
  for (const char* name : names) {
    if (dice.Below(5) < 3) continue;
    schema["properties"][name] = RandomSchema(dice.Seed(), depth - 1);
    if (dice.Heads()) required.push_back(name);
  }
  if (!required.empty()) schema["required"] = required;
  switch (dice.Below(4)) {
    case 0:
      schema["additionalProperties"] = false;
      break;
    case 1:
      schema["additionalProperties"] = true;
      break;
    case 2:
      schema["additionalProperties"] = RandomSchema(dice.Seed(), 0);
      break;
    default:
      break;
  }
  return schema;
}

OrderedJson RandomArraySchema(Dice& dice, int depth) {
  OrderedJson schema = {{"type", "array"}};
  if (dice.Heads()) schema["items"] = RandomSchema(dice.Seed(), depth - 1);
  if (dice.Below(3) == 0) {
    schema["prefixItems"] = OrderedJson::array();
    for (int64_t i = 1 + dice.Below(2); i > 0; --i) {
      schema["prefixItems"].push_back(RandomSchema(dice.Seed(), 0));
    }
  }
  if (dice.Heads()) schema["minItems"] = dice.Below(3);
  if (dice.Heads()) schema["maxItems"] = 2 + dice.Below(3);
  return schema;
}

OrderedJson RandomPatternText(const std::string& pattern, Dice& dice) {
  for (int i = 0; i < 10'000; ++i) {
    std::string text;
    for (int64_t n = dice.Below(7); n > 0; --n) text += "abc\"x\\"[dice.Below(6)];
    if (std::regex_search(text, std::regex(pattern))) return text;
  }
  CHECK(false);
  return {};
}

OrderedJson RandomString(const OrderedJson& schema, Dice& dice) {
  if (schema.contains("pattern")) return RandomPatternText(schema["pattern"], dice);
  if (schema.contains("format")) {
    const std::string format = schema["format"];
    if (format == "date") return "2024-11-30";
    if (format == "time") return "23:59:01.5+02:30";
    if (format == "date-time") return "1999-02-28T00:00:59Z";
    if (format == "uuid") return "123e4567-e89b-12d3-A456-426614174000";
    return "first.last@mail-1.example.org";
  }
  const int64_t min = schema.value("minLength", int64_t{0});
  const int64_t max = schema.value("maxLength", min + 6);
  return RandomText(dice, min + dice.Below(max - min + 1));
}

OrderedJson RandomNumber(const OrderedJson& schema, Dice& dice) {
  double low = schema.value("minimum", schema.value("exclusiveMinimum", -1e4) - 0.0);
  double high = schema.value("maximum", schema.value("exclusiveMaximum", 1e4) - 0.0);
  if (!schema.contains("minimum") && !schema.contains("exclusiveMinimum")) low = high - 5000;
  if (!schema.contains("maximum") && !schema.contains("exclusiveMaximum")) high = low + 5000;
  if (schema.contains("exclusiveMinimum")) low += 1;
  if (schema.contains("exclusiveMaximum")) high -= 1;
  const auto span = static_cast<int64_t>(high - low);
  const int64_t whole = static_cast<int64_t>(low) + dice.Below(span + 1);
  if (schema["type"] == "integer" || static_cast<double>(whole) >= high || dice.Heads()) {
    return whole;
  }
  return static_cast<double>(whole) + static_cast<double>(dice.Below(1000)) / 1000.0;
}

}  // namespace

bool MeetsSchema(const OrderedJson& value, const OrderedJson& schema, const OrderedJson& root) {
  if (schema.is_boolean()) return schema.get<bool>();
  for (const auto& member : schema.items()) {
    if (!KeywordMeets(value, schema, root, member.key(), member.value())) return false;
  }
  return true;
}

OrderedJson RandomValue(const OrderedJson& schema, const OrderedJson& root, uint64_t seed) {
  Dice dice(seed);
  if (schema.is_boolean() || schema.empty()) return RandomAny(dice, 2);
  const auto one_of = [&](const OrderedJson& list) {
    return list[static_cast<size_t>(dice.Below(static_cast<int64_t>(list.size())))];
  };
  if (schema.contains("$ref")) {
    const std::string pointer = schema["$ref"].get<std::string>().substr(1);
    return RandomValue(root.at(OrderedJson::json_pointer(pointer)), root, dice.Seed());
  }
  if (schema.contains("const")) return schema["const"];
  if (schema.contains("enum")) return one_of(schema["enum"]);
  if (schema.contains("anyOf")) return RandomValue(one_of(schema["anyOf"]), root, dice.Seed());
  OrderedJson type = schema["type"];
  if (type.is_array()) type = one_of(type);
  if (type == "null") return nullptr;
  if (type == "boolean") return dice.Heads();
  if (type == "integer" || type == "number") return RandomNumber(schema, dice);
  if (type == "string") return RandomString(schema, dice);
  if (type == "array") return RandomArray(schema, root, dice);
  return RandomObject(schema, root, dice);
}

OrderedJson RandomSchema(uint64_t seed, int depth) {
  Dice dice(seed);
  switch (dice.Below(depth > 0 ? 12 : 7)) {
    case 0:
      return {{"type", "null"}};
    case 1:
      return {{"enum", {"red", "re", "\"q\"", nullptr, 5, OrderedJson::array({1, "x"})}}};
    case 2:
      return RandomNumberSchema(dice, "integer");
    case 3:
      return RandomNumberSchema(dice, "number");
    case 4:
    case 5:
      return RandomStringSchema(dice);
    case 6:
      return dice.Heads() ? OrderedJson(true) : OrderedJson({{"type", {"boolean", "null"}}});
    case 7:
    case 8:
      return RandomArraySchema(dice, depth);
    case 9:
      return {{"anyOf",
               {RandomSchema(dice.Seed(), depth - 1), RandomSchema(dice.Seed(), depth - 1),
                RandomSchema(dice.Seed(), 0)}}};
    default:
      return RandomObjectSchema(dice, depth);
  }
}

}  // namespace scoville::tests
