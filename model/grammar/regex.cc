#include "model/grammar/regex.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/utf8.h"

namespace scoville::model {

namespace {

constexpr int kMaxDepth = 100;
constexpr int32_t kMaxCount = 65'535;

class Parser {
 public:
  Parser(absl::string_view pattern, RegexDialect dialect) : text_(pattern), dialect_(dialect) {}

  absl::StatusOr<Regex> Parse() {
    do {
      Regex::Branch branch;
      branch.at_begin = Take("^");
      ASSIGN_OR_RETURN(branch.node, Sequence(0));
      branch.at_end = Take("$");
      if (branch.at_end && at_ < text_.size() && text_[at_] != '|') {
        --at_;
        return Wrong("`$` is only supported at the end of the pattern or of an outermost branch");
      }
      regex_.branches.push_back(branch);
    } while (Take("|"));
    if (at_ < text_.size()) return Wrong("`)` closes nothing: write `\\)` for the character");
    return std::move(regex_);
  }

 private:
  absl::Status Wrong(absl::string_view what) const { return WrongAt(at_, what); }
  absl::Status WrongAt(size_t at, absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("regex, offset ", at, ": ", what));
  }
  bool Take(absl::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }
  bool AtEnd() const { return at_ >= text_.size(); }
  int32_t Add(RegexNode node) {
    regex_.nodes.push_back(std::move(node));
    return static_cast<int32_t>(regex_.nodes.size()) - 1;
  }
  int32_t AddSet(CodePointSet set) {
    RegexNode node;
    node.kind = RegexNode::Kind::kSet;
    node.set = std::move(set);
    return Add(std::move(node));
  }

  absl::StatusOr<int32_t> Alternatives(int depth) {
    RegexNode node;
    node.kind = RegexNode::Kind::kAlternate;
    do {
      ASSIGN_OR_RETURN(const int32_t branch, Sequence(depth));
      node.children.push_back(branch);
    } while (Take("|"));
    return node.children.size() == 1 ? node.children[0] : Add(std::move(node));
  }

  // Up to `|`, `)`, the end, or an outermost `$`.
  absl::StatusOr<int32_t> Sequence(int depth) {
    RegexNode node;
    node.kind = RegexNode::Kind::kConcat;
    while (!AtEnd() && text_[at_] != '|' && text_[at_] != ')') {
      if (text_[at_] == '$' && depth == 0) break;
      ASSIGN_OR_RETURN(const int32_t atom, Atom(depth));
      ASSIGN_OR_RETURN(const int32_t item, Quantified(atom));
      node.children.push_back(item);
    }
    return Add(std::move(node));
  }

  absl::StatusOr<int32_t> Atom(int depth) {
    switch (text_[at_]) {
      case '(':
        return Group(depth);
      case '[':
        return Class();
      case '.':
        ++at_;
        return AddSet(
            dialect_ == RegexDialect::kRe2
                ? CodePointSet::Of('\n').Complement()
                : CodePointSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}).Complement());
      case '*':
      case '+':
      case '?':
        return Wrong("nothing to repeat: write a backslash before it for the character");
      case '^':
      case '$':
        return Wrong(
            "anchors are only supported at the ends of the pattern or of an outermost branch");
      case '\\': {
        ASSIGN_OR_RETURN(CodePointSet set, Escape(false));
        return AddSet(std::move(set));
      }
      default: {
        ASSIGN_OR_RETURN(const uint32_t c, Literal());
        return AddSet(CodePointSet::Of(c));
      }
    }
  }

  absl::StatusOr<int32_t> Group(int depth) {
    const size_t begin = at_++;
    if (depth >= kMaxDepth) return Wrong(absl::StrCat("groups deeper than ", kMaxDepth));
    if (Take("?")) {
      const bool named =
          Take("P<") || (text_.substr(at_, 1) == "<" && text_.substr(at_, 2) != "<=" &&
                         text_.substr(at_, 2) != "<!" && Take("<"));
      if (named) {
        const size_t close = text_.find('>', at_);
        if (close == absl::string_view::npos) return Wrong("the group's name has no `>`");
        at_ = close + 1;
      } else if (!Take(":")) {
        return WrongAt(begin, "look-around, flags and other `(?` are not supported: leave it out");
      }
    }
    ASSIGN_OR_RETURN(const int32_t inner, Alternatives(depth + 1));
    if (!Take(")")) return WrongAt(begin, "`(` is not closed");
    return inner;
  }

  absl::StatusOr<int32_t> Number() {
    const size_t begin = at_;
    int32_t value = 0;
    while (!AtEnd() && text_[at_] >= '0' && text_[at_] <= '9') {
      value = 10 * value + (text_[at_++] - '0');
      if (value > kMaxCount) {
        return WrongAt(begin, absl::StrCat("repetitions are at most ", kMaxCount));
      }
    }
    if (begin == at_) return Wrong("a number is missing here (`\\{` is the character)");
    return value;
  }

  absl::StatusOr<int32_t> Quantified(int32_t atom) {
    if (AtEnd()) return atom;
    RegexNode node;
    node.kind = RegexNode::Kind::kRepeat;
    node.children = {atom};
    const size_t begin = at_;
    if (Take("*")) {
      node.min = 0;
    } else if (Take("+")) {
      node.min = 1;
    } else if (Take("?")) {
      node.max = 1;
    } else if (Take("{")) {
      ASSIGN_OR_RETURN(node.min, Number());
      node.max = node.min;
      if (Take(",")) {
        node.max = -1;
        if (!AtEnd() && text_[at_] != '}') {
          ASSIGN_OR_RETURN(node.max, Number());
        }
      }
      if (!Take("}")) return WrongAt(begin, "`{` is not closed: write `\\{` for the character");
      if (node.max >= 0 && node.max < node.min) {
        return WrongAt(begin, "the second number is below the first");
      }
    } else {
      return atom;
    }
    if (!AtEnd() && text_[at_] == '?') ++at_;  // lazy: the same texts
    if (!AtEnd() &&
        (text_[at_] == '+' || text_[at_] == '*' || text_[at_] == '?' || text_[at_] == '{')) {
      return Wrong("a quantifier after a quantifier: put the first into a group");
    }
    return Add(std::move(node));
  }

  absl::StatusOr<uint32_t> Literal() {
    const Utf8Step step = NextUtf8(text_.substr(at_));
    if (step.kind != Utf8Kind::kCodePoint) return Wrong("not UTF-8");
    at_ += step.length;
    return step.code_point;
  }

  CodePointSet Spaces() const {
    CodePointSet ascii({{'\t', '\r'}, {' ', ' '}});
    if (dialect_ == RegexDialect::kRe2) return ascii;
    return ascii.Union(CodePointSet({{0xa0, 0xa0},
                                     {0x1680, 0x1680},
                                     {0x2000, 0x200a},
                                     {0x2028, 0x2029},
                                     {0x202f, 0x202f},
                                     {0x205f, 0x205f},
                                     {0x3000, 0x3000},
                                     {0xfeff, 0xfeff}}));
  }

  absl::StatusOr<uint32_t> Hex(size_t begin, size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = AtEnd() ? '\0' : text_[at_];
      const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!letter && (c < '0' || c > '9')) {
        return WrongAt(begin, "not enough hexadecimal digits");
      }
      value = 16 * value + static_cast<uint32_t>(letter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    return value;
  }

  absl::StatusOr<CodePointSet> HexEscape(size_t begin, size_t digits) {
    uint32_t value = 0;
    if (digits == 2 && Take("{")) {
      const size_t close = text_.find('}', at_);
      if (close == absl::string_view::npos || close == at_ || close - at_ > 6) {
        return WrongAt(begin, "`\\x{` takes 1 to 6 hexadecimal digits and `}`");
      }
      ASSIGN_OR_RETURN(value, Hex(begin, close - at_));
      ++at_;
    } else {
      ASSIGN_OR_RETURN(value, Hex(begin, digits));
    }
    CodePointSet set = CodePointSet::Of(value);
    if (set.empty()) return WrongAt(begin, "not a code point (surrogates are none)");
    return set;
  }

  // At a backslash. `in_class`: `\b` is the backspace and `\-` the hyphen.
  absl::StatusOr<CodePointSet> Escape(bool in_class) {
    const size_t begin = at_++;
    if (AtEnd()) return WrongAt(begin, "a backslash at the end");
    const char c = text_[at_++];
    const CodePointSet digits({{'0', '9'}});
    const CodePointSet word({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
    switch (c) {
      case 'd':
        return digits;
      case 'D':
        return digits.Complement();
      case 'w':
        return word;
      case 'W':
        return word.Complement();
      case 's':
        return Spaces();
      case 'S':
        return Spaces().Complement();
      case 'n':
        return CodePointSet::Of('\n');
      case 't':
        return CodePointSet::Of('\t');
      case 'r':
        return CodePointSet::Of('\r');
      case 'f':
        return CodePointSet::Of('\f');
      case 'v':
        return CodePointSet::Of('\v');
      case 'x':
        return HexEscape(begin, 2);
      case 'u':
        return HexEscape(begin, 4);
      default:
        break;
    }
    if (c == 'b' && in_class) return CodePointSet::Of('\b');
    if (c == '0' && (AtEnd() || text_[at_] < '0' || text_[at_] > '9')) return CodePointSet::Of(0);
    const auto byte = static_cast<uint8_t>(c);
    const bool alphanumeric = word.Contains(byte) && c != '_';
    if (byte >= 0x80 || alphanumeric) {
      return WrongAt(begin,
                     absl::StrCat("the escape `\\", text_.substr(begin + 1, 1),
                                  "` is not supported (\\b, \\p and back references are not)"));
    }
    return CodePointSet::Of(byte);
  }

  absl::StatusOr<CodePointSet> ClassItem() {
    if (text_[at_] == '\\') return Escape(true);
    if (text_.substr(at_, 2) == "[:")
      return Wrong("POSIX classes are not supported: use \\d \\w \\s");
    ASSIGN_OR_RETURN(const uint32_t c, Literal());
    return CodePointSet::Of(c);
  }

  static bool IsOne(const CodePointSet& set) {
    return set.ranges().size() == 1 && set.ranges()[0].low == set.ranges()[0].high;
  }

  absl::StatusOr<int32_t> Class() {
    const size_t begin = at_++;
    const bool negated = Take("^");
    std::vector<CodePointRange> ranges;
    bool first = true;
    while (true) {
      if (AtEnd()) return WrongAt(begin, "`[` is not closed");
      if (text_[at_] == ']' && !(first && dialect_ == RegexDialect::kRe2)) break;
      first = false;
      const size_t item = at_;
      ASSIGN_OR_RETURN(const CodePointSet set, ClassItem());
      const bool range = text_.substr(at_, 1) == "-" && text_.substr(at_, 2) != "-]";
      if (!range || at_ + 1 >= text_.size()) {
        ranges.insert(ranges.end(), set.ranges().begin(), set.ranges().end());
        continue;
      }
      ++at_;
      ASSIGN_OR_RETURN(const CodePointSet last, ClassItem());
      if (!IsOne(set) || !IsOne(last)) {
        return WrongAt(item, "a range needs a character at both ends: write `\\-` for the hyphen");
      }
      if (last.ranges()[0].low < set.ranges()[0].low) {
        return WrongAt(item, "the range ends before it begins");
      }
      ranges.push_back({set.ranges()[0].low, last.ranges()[0].high});
    }
    ++at_;
    CodePointSet set(std::move(ranges));
    return AddSet(negated ? set.Complement() : set);
  }

  absl::string_view text_;
  RegexDialect dialect_;
  size_t at_ = 0;
  Regex regex_;
};

class Emitter {
 public:
  Emitter(const Regex& regex, RegexText text, RuleGraph& graph)
      : regex_(regex), json_(text == RegexText::kJsonString), graph_(graph) {}

  int32_t Set(int32_t from, const CodePointSet& set) {
    return json_ ? graph_.JsonCodePoints(from, set) : graph_.CodePoints(from, set);
  }

  int32_t Anything(int32_t from) {
    const int32_t loop = graph_.AddNode();
    graph_.AddEmpty(from, loop);
    graph_.AddEmpty(Set(loop, CodePointSet::All()), loop);
    return loop;
  }

  int32_t Node(int32_t from, int32_t index) {
    const RegexNode& node = regex_.nodes[static_cast<size_t>(index)];
    if (!graph_.ok()) return from;
    graph_.Charge(1);
    switch (node.kind) {
      case RegexNode::Kind::kEmpty:
        return from;
      case RegexNode::Kind::kSet:
        return Set(from, node.set);
      case RegexNode::Kind::kConcat:
        for (const int32_t child : node.children) from = Node(from, child);
        return from;
      case RegexNode::Kind::kAlternate: {
        const int32_t to = graph_.AddNode();
        for (const int32_t child : node.children) graph_.AddEmpty(Node(from, child), to);
        return to;
      }
      case RegexNode::Kind::kRepeat:
        return Repeat(from, node);
    }
    return from;
  }

  int32_t Repeat(int32_t from, const RegexNode& node) {
    const int32_t child = node.children[0];
    for (int32_t i = 0; i < node.min && graph_.ok(); ++i) from = Node(from, child);
    if (node.max < 0) {
      const int32_t loop = graph_.AddNode();
      graph_.AddEmpty(from, loop);
      graph_.AddEmpty(Node(loop, child), loop);
      return loop;
    }
    const int32_t to = graph_.AddNode();
    for (int32_t i = node.min; i < node.max && graph_.ok(); ++i) {
      graph_.AddEmpty(from, to);
      from = Node(from, child);
    }
    graph_.AddEmpty(from, to);
    return to;
  }

 private:
  const Regex& regex_;
  const bool json_;
  RuleGraph& graph_;
};

}  // namespace

absl::StatusOr<Regex> ParseRegex(absl::string_view pattern, RegexDialect dialect) {
  return Parser(pattern, dialect).Parse();
}

int32_t AddRegex(const Regex& regex, RegexText text, RegexMatch match, int32_t from,
                 RuleGraph& graph) {
  Emitter emitter(regex, text, graph);
  const int32_t to = graph.AddNode();
  for (const Regex::Branch& branch : regex.branches) {
    int32_t at = from;
    if (match == RegexMatch::kSearch && !branch.at_begin) at = emitter.Anything(at);
    at = emitter.Node(at, branch.node);
    if (match == RegexMatch::kSearch && !branch.at_end) at = emitter.Anything(at);
    graph.AddEmpty(at, to);
  }
  return to;
}

}  // namespace scoville::model
