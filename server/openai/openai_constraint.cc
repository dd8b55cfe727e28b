#include "server/openai/openai_constraint.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace scoville::server {

namespace {

using nlohmann::json;

// Walks through JSON that has been parsed before, so that it is known to be well formed.
class JsonWalk {
 public:
  explicit JsonWalk(absl::string_view text) : text_(text) {}

  bool Done() const { return at_ >= text_.size(); }
  char Peek() const { return Done() ? '\0' : text_[at_]; }
  void Skip() { ++at_; }
  void SkipBlanks() {
    while (!Done() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
    }
  }

  // A string with its quotes.
  absl::string_view String() {
    const size_t begin = at_++;
    while (!Done() && text_[at_] != '"') {
      at_ += text_[at_] == '\\' ? 2 : 1;
    }
    ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // Any value, up to the comma or bracket behind it.
  absl::string_view Value() {
    const size_t begin = at_;
    int depth = 0;
    while (!Done()) {
      const char c = Peek();
      if (c == '"') {
        String();
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
        break;
      }
      depth += c == '{' || c == '[' ? 1 : 0;
      depth -= c == '}' || c == ']' ? 1 : 0;
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  const absl::string_view text_;
  size_t at_ = 0;
};

bool Names(absl::string_view quoted, absl::string_view name) {
  if (!absl::StrContains(quoted, '\\')) {
    return quoted.size() == name.size() + 2 && quoted.substr(1, name.size()) == name;
  }
  const json text = json::parse(quoted.begin(), quoted.end(), nullptr, false);
  return text.is_string() && text.get_ref<const std::string&>() == name;
}

// The text of that member of an object; of several the last, as the parser takes it.
absl::string_view MemberText(absl::string_view object, absl::string_view name) {
  JsonWalk walk(object);
  absl::string_view found;
  walk.SkipBlanks();
  if (walk.Peek() != '{') {
    return found;
  }
  walk.Skip();
  for (walk.SkipBlanks(); walk.Peek() == '"'; walk.SkipBlanks()) {
    const absl::string_view key = walk.String();
    walk.SkipBlanks();
    walk.Skip();  // the colon
    const absl::string_view value = walk.Value();
    walk.Skip();  // the comma, or the end
    if (Names(key, name)) {
      found = value;
    }
  }
  return found;
}

// response_format.json_schema.schema as it was written, without blanks; the parsed object has
// sorted its names. Found in the text: a tree that keeps the order looks through all names of an
// object for each, and the body may have a million.
std::string SchemaText(absl::string_view body) {
  absl::ConsumePrefix(&body, "\xef\xbb\xbf");
  for (const char* name : {"response_format", "json_schema", "schema"}) {
    body = MemberText(body, name);
  }
  std::string text;
  JsonWalk walk(body);
  for (walk.SkipBlanks(); !walk.Done(); walk.SkipBlanks()) {
    if (walk.Peek() == '"') {
      absl::StrAppend(&text, walk.String());
    } else {
      text.push_back(walk.Peek());
      walk.Skip();
    }
  }
  return text;
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
