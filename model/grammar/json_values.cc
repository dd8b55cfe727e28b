#include "model/grammar/json_values.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/json_numbers.h"
#include "model/grammar/regex.h"
#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// Days of February end at the 28th: whether there is a 29th depends on the year.
constexpr absl::string_view kDate =
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
    "02-(0[1-9]|1[0-9]|2[0-8]))";
// Without leap seconds.
constexpr absl::string_view kTime =
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
constexpr absl::string_view kUuid =
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
// Dot-atoms of ASCII and labels of a host name (RFC 5321), without their bounds of length.
constexpr absl::string_view kEmail =
    "[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
    "(\\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*)+";

// A string as JSON writes it, other than ASCII as itself.
std::string Quoted(const std::string& text) { return Json(text).dump(); }

int32_t AddPlain(int32_t from, absl::string_view pattern, RuleGraph& graph) {
  const auto regex = ParseRegex(pattern, RegexDialect::kRe2);
  CHECK(regex.ok());
  return AddRegex(*regex, RegexText::kPlain, RegexMatch::kWhole, from, graph);
}

}  // namespace

// The strings to be left out, as a tree of code points.
struct JsonValues::Names {
  bool ends_here = false;
  std::map<uint32_t, Names> next;
};

int32_t JsonValues::Mark(int32_t from, absl::string_view mark) {
  const int32_t marked = graph_.Literal(from, mark);
  const int32_t to = graph_.AddNode();
  graph_.AddEmpty(marked, to);
  graph_.AddBytes(marked, ' ', ' ', to);
  return to;
}

int32_t JsonValues::StringRule() {
  if (string_rule_ >= 0) return string_rule_;
  string_rule_ = graph_.AddRule();
  const RuleGraph::Rule rule = graph_.rule(string_rule_);
  const int32_t inside = graph_.Literal(rule.start, "\"");
  const int32_t character = graph_.AddNode();
  graph_.AddEmpty(inside, character);
  graph_.AddEmpty(graph_.CodePoints(
                      character, CodePointSet({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}).Complement()),
                  character);
  // Code units of a surrogate pair come together.
  graph_.AddEmpty(AddPlain(character,
                           "\\\\([\"\\\\/bfnrt]|u([0-9a-cefA-CEF][0-9a-fA-F]{3}|"
                           "[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD]"
                           "[c-fC-F][0-9a-fA-F]{2}))",
                           graph_),
                  character);
  graph_.AddBytes(character, '"', '"', rule.end);
  return string_rule_;
}

int32_t JsonValues::PlainString(int32_t from) {
  const int32_t to = graph_.AddNode();
  graph_.AddCall(from, StringRule(), to);
  return to;
}

int32_t JsonValues::BoundedString(int32_t from, int64_t min, int64_t max) {
  const CodePointSet all = CodePointSet::All();
  int32_t at = graph_.Literal(from, "\"");
  for (int64_t i = 0; i < min && graph_.ok(); ++i) at = graph_.JsonCodePoints(at, all);
  const int32_t last = graph_.AddNode();
  graph_.AddEmpty(at, last);
  if (max < 0) {
    graph_.AddEmpty(graph_.JsonCodePoints(last, all), last);
  }
  for (int64_t i = min; i < max && graph_.ok(); ++i) {
    at = graph_.JsonCodePoints(at, all);
    graph_.AddEmpty(at, last);
  }
  return graph_.Literal(last, "\"");
}

absl::StatusOr<int32_t> JsonValues::PatternString(int32_t from, absl::string_view pattern) {
  ASSIGN_OR_RETURN(const Regex regex, ParseRegex(pattern, RegexDialect::kEcma));
  const int32_t at = graph_.Literal(from, "\"");
  return graph_.Literal(AddRegex(regex, RegexText::kJsonString, RegexMatch::kSearch, at, graph_),
                        "\"");
}

absl::StatusOr<int32_t> JsonValues::FormatString(int32_t from, absl::string_view format) {
  const int32_t at = graph_.Literal(from, "\"");
  std::string pattern;
  if (format == "date") {
    pattern = std::string(kDate);
  } else if (format == "time") {
    pattern = std::string(kTime);
  } else if (format == "date-time") {
    pattern = absl::StrCat("(", kDate, ")T(", kTime, ")");
  } else if (format == "uuid") {
    pattern = std::string(kUuid);
  } else if (format == "email") {
    pattern = std::string(kEmail);
  } else {
    return absl::NotFoundError("known are date, time, date-time, uuid, email");
  }
  return graph_.Literal(AddPlain(at, pattern, graph_), "\"");
}

// From inside a string whose code points so far are the way to `names`. `rest`: after it, anything.
void JsonValues::Unlike(int32_t from, const Names& names, int32_t rest, int32_t to) {
  std::vector<CodePointRange> known;
  for (const auto& [code_point, next] : names.next) {
    if (!graph_.ok()) return;
    known.push_back({code_point, code_point});
    Unlike(graph_.JsonCodePoints(from, CodePointSet::Of(code_point)), next, rest, to);
  }
  // A dozen passes over the set.
  graph_.Charge(static_cast<int64_t>(known.size()));
  if (!graph_.ok()) return;
  const CodePointSet others = CodePointSet(known).Complement();
  graph_.AddEmpty(graph_.JsonCodePoints(from, others), rest);
  if (!names.ends_here) graph_.AddBytes(from, '"', '"', to);
}

int32_t JsonValues::StringExcept(int32_t from, const std::vector<std::string>& names) {
  if (names.empty()) return PlainString(from);
  Names root;
  for (const std::string& name : names) {
    Names* at = &root;
    absl::string_view left = name;
    while (!left.empty()) {
      graph_.Charge(1);
      if (!graph_.ok()) return from;
      const Utf8Step step = NextUtf8(left);
      left.remove_prefix(step.length);
      at = &at->next[step.code_point];
    }
    at->ends_here = true;
  }
  const int32_t rest = graph_.AddNode();
  graph_.AddEmpty(graph_.JsonCodePoints(rest, CodePointSet::All()), rest);
  const int32_t to = graph_.AddNode();
  graph_.AddBytes(rest, '"', '"', to);
  Unlike(graph_.Literal(from, "\""), root, rest, to);
  return to;
}

int32_t JsonValues::AnyRule() {
  if (any_rule_ >= 0) return any_rule_;
  any_rule_ = graph_.AddRule();
  const RuleGraph::Rule rule = graph_.rule(any_rule_);
  graph_.AddEmpty(PlainString(rule.start), rule.end);
  graph_.AddEmpty(AddAnyNumber(rule.start, graph_), rule.end);
  graph_.AddEmpty(AddPlain(rule.start, "true|false|null", graph_), rule.end);
  graph_.AddEmpty(AnyObject(rule.start), rule.end);
  graph_.AddEmpty(AnyArray(rule.start), rule.end);
  return any_rule_;
}

int32_t JsonValues::Any(int32_t from) {
  const int32_t to = graph_.AddNode();
  graph_.AddCall(from, AnyRule(), to);
  return to;
}

int32_t JsonValues::AnyObject(int32_t from) {
  const int32_t open = graph_.Literal(from, "{");
  const int32_t member = graph_.AddNode();
  graph_.AddEmpty(open, member);
  const int32_t after = Any(Colon(PlainString(member)));
  graph_.AddEmpty(Comma(after), member);
  const int32_t to = graph_.AddNode();
  graph_.AddBytes(open, '}', '}', to);
  graph_.AddBytes(after, '}', '}', to);
  return to;
}

int32_t JsonValues::AnyArray(int32_t from) {
  const int32_t open = graph_.Literal(from, "[");
  const int32_t item = graph_.AddNode();
  graph_.AddEmpty(open, item);
  const int32_t after = Any(item);
  graph_.AddEmpty(Comma(after), item);
  const int32_t to = graph_.AddNode();
  graph_.AddBytes(open, ']', ']', to);
  graph_.AddBytes(after, ']', ']', to);
  return to;
}

int32_t JsonValues::Literal(int32_t from, const Json& value) {
  if (!graph_.ok()) return from;
  if (!value.is_structured()) return graph_.Literal(from, value.dump());
  int32_t at = graph_.Literal(from, value.is_object() ? "{" : "[");
  bool first = true;
  for (const auto& member : value.items()) {
    if (!first) at = Comma(at);
    first = false;
    if (value.is_object()) at = Colon(graph_.Literal(at, Quoted(member.key())));
    at = Literal(at, member.value());
  }
  return graph_.Literal(at, value.is_object() ? "}" : "]");
}

}  // namespace scoville::model
