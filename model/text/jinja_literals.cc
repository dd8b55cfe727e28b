#include "model/text/jinja_literals.h"

#include <utility>

namespace scoville::model {

namespace {

// Reads the literal that begins after the quote at `at`, and leaves `at` behind its end.
std::string ReadLiteral(absl::string_view source, size_t& at) {
  const char quote = source[at++];
  std::string text;
  while (at < source.size() && source[at] != quote) {
    char c = source[at++];
    if (c == '\\' && at < source.size()) {
      c = source[at++];
      switch (c) {
        case 'n':
          c = '\n';
          break;
        case 't':
          c = '\t';
          break;
        case 'r':
          c = '\r';
          break;
        default:  // a quote or a backslash; others stand for themselves
          break;
      }
    }
    text.push_back(c);
  }
  if (at < source.size()) ++at;
  return text;
}

}  // namespace

std::vector<std::string> JinjaLiterals(absl::string_view source) {
  std::vector<std::string> literals;
  size_t at = 0;
  while (at < source.size()) {
    const size_t open = source.find('{', at);
    const bool tag =
        open != absl::string_view::npos && open + 1 < source.size() &&
        (source[open + 1] == '{' || source[open + 1] == '%' || source[open + 1] == '#');
    if (open != absl::string_view::npos && !tag) {
      literals.emplace_back(source.substr(at, open + 1 - at));
      at = open + 1;
      continue;
    }
    if (open == absl::string_view::npos || open > at) {
      literals.emplace_back(source.substr(at, open == absl::string_view::npos ? open : open - at));
    }
    if (open == absl::string_view::npos) break;
    const char kind = source[open + 1];
    const char close[] = {kind == '{' ? '}' : kind, '}'};
    const absl::string_view end(close, 2);
    at = open + 2;
    while (at < source.size() && source.substr(at, 2) != end) {
      if (kind != '#' && (source[at] == '\'' || source[at] == '"')) {
        literals.push_back(ReadLiteral(source, at));
      } else {
        ++at;
      }
    }
    at = at + 2 < source.size() ? at + 2 : source.size();
  }
  return literals;
}

}  // namespace scoville::model
