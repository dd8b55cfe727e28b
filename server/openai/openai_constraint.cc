#include "server/openai/openai_constraint.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace scoville::server {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// response_format.json_schema.schema as it was written. The parsed object has sorted its names.
std::string SchemaText(absl::string_view body) {
  ordered_json at = ordered_json::parse(body.begin(), body.end(), nullptr, false);
  for (const char* name : {"response_format", "json_schema", "schema"}) {
    if (!at.is_object() || !at.contains(name)) {
      return "";
    }
    ordered_json next = std::move(at[name]);
    at = std::move(next);
  }
  return at.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void ReadSchema(JsonFields& format, absl::string_view body, v1::Constraint* out) {
  const json* schema = format.Find("json_schema");
  if (schema == nullptr || !schema->is_object()) {
    format.Fail("json_schema", "must be an object with a schema");
    return;
  }
  JsonFields fields(schema, "response_format.json_schema.");
  bool strict = false;
  std::string text;
  fields.Read("strict", &strict);
  fields.Read("name", &text);
  fields.Read("description", &text);
  const json* value = fields.Find("schema");
  if (!fields.error() && (value == nullptr || !value->is_object())) {
    fields.Fail("schema", "must be an object");
  }
  if (fields.error()) {
    format.Fail(*fields.error());
    return;
  }
  out->set_json_schema(SchemaText(body));
}

void ReadFormat(const json& format, JsonFields& in, absl::string_view body, v1::Constraint* out) {
  if (!format.is_object()) {
    in.Fail("response_format", "must be an object");
    return;
  }
  JsonFields fields(&format, "response_format.");
  std::string type;
  if (!fields.Read("type", &type) && !fields.error()) {
    fields.Fail("type", "is missing");
  } else if (type == "json_object") {
    out->mutable_json_object();
  } else if (type == "json_schema") {
    ReadSchema(fields, body, out);
  } else if (type != "text" && !fields.error()) {
    fields.Fail("type", absl::StrCat("is '", type.substr(0, 32),
                                     "', must be text, json_object or json_schema"));
  }
  if (fields.error()) {
    in.Fail(*fields.error());
  }
}

void ReadChoice(const json& texts, JsonFields& in, v1::Constraint* out) {
  if (!texts.is_array()) {
    in.Fail("guided_choice", "must be a list of strings");
    return;
  }
  v1::ConstraintChoices* choices = out->mutable_choices();
  for (const json& text : texts) {
    if (!text.is_string()) {
      in.Fail("guided_choice", "must be a list of strings");
      return;
    }
    choices->add_texts(text.get<std::string>());
  }
}

}  // namespace

void ReadOpenAiConstraint(JsonFields& in, absl::string_view body, v1::Constraint* out) {
  for (const char* name : {"guided_json", "guided_grammar", "structured_outputs"}) {
    in.RefuseUnless(name, json(nullptr),
                    "is not served; use response_format, guided_regex or guided_choice");
  }
  const auto only_one = [&](const char* name) {
    if (out->kind_case() != v1::Constraint::KIND_NOT_SET) {
      in.Fail(name, "stands beside another constraint; only one can be kept");
    }
  };
  if (const json* format = in.Find("response_format")) {
    ReadFormat(*format, in, body, out);
  }
  std::string pattern;
  if (in.Read("guided_regex", &pattern)) {
    only_one("guided_regex");
    out->set_regex(pattern);
  }
  if (const json* choice = in.Find("guided_choice")) {
    only_one("guided_choice");
    ReadChoice(*choice, in, out);
  }
}

}  // namespace scoville::server
