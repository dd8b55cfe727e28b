#include "model/grammar/json_numbers.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/grammar/regex.h"

namespace scoville::model {

namespace {

int32_t AddPattern(int32_t from, absl::string_view pattern, RuleGraph& graph) {
  const auto regex = ParseRegex(pattern, RegexDialect::kRe2);
  CHECK(regex.ok());
  return AddRegex(*regex, RegexText::kPlain, RegexMatch::kWhole, from, graph);
}

// The numbers of `low` to `high`, strings of equally many digits. A node is a place and whether the
// digits so far are those of a bound.
void AddDigits(int32_t from, const std::string& low, const std::string& high, int32_t to,
               RuleGraph& graph) {
  std::map<std::tuple<size_t, bool, bool>, int32_t> nodes = {{{0, true, true}, from}};
  for (size_t i = 0; i < low.size() && graph.ok(); ++i) {
    for (const bool at_low : {false, true}) {
      for (const bool at_high : {false, true}) {
        const auto here = nodes.find({i, at_low, at_high});
        if (here == nodes.end()) continue;
        const int32_t node = here->second;
        const char first = at_low ? low[i] : '0';
        const char last = at_high ? high[i] : '9';
        for (char d = first; d <= last; ++d) {
          const bool low_still = at_low && d == low[i];
          const bool high_still = at_high && d == high[i];
          int32_t next = to;
          if (i + 1 < low.size()) {
            const auto [it, fresh] = nodes.try_emplace({i + 1, low_still, high_still}, 0);
            if (fresh) it->second = graph.AddNode();
            next = it->second;
          }
          graph.AddBytes(node, static_cast<uint8_t>(d), static_cast<uint8_t>(d), next);
        }
      }
    }
  }
}

// Without sign and leading zeros; 0 <= low.
void AddMagnitudes(int32_t from, int64_t low, int64_t high, int32_t to, RuleGraph& graph) {
  int64_t begin = 0;
  int64_t end = 9;  // of the numbers of so many digits
  for (int digits = 1; digits <= 18; ++digits) {
    const int64_t first = std::max(low, begin);
    const int64_t last = std::min(high, end);
    if (first <= last) AddDigits(from, absl::StrCat(first), absl::StrCat(last), to, graph);
    if (digits == 18) break;  // the next end is beyond 64 bits
    begin = end + 1;
    end = 10 * end + 9;
  }
}

// Decimals without sign of [low, high], 0 <= low.
void AddDecimals(int32_t from, NumberBounds b, int32_t to, RuleGraph& graph) {
  const int32_t low_digits = graph.AddNode();
  if (b.low < b.high) {
    // A whole part below `high`, then any fraction; at an exclusive `low` one above zero.
    const int32_t whole = graph.AddNode();
    AddMagnitudes(from, b.without_low ? b.low + 1 : b.low, b.high - 1, whole, graph);
    graph.AddEmpty(AddPattern(whole, "(\\.[0-9]{1,20})?", graph), to);
    if (b.without_low) {
      AddMagnitudes(from, b.low, b.low, low_digits, graph);
      graph.AddEmpty(AddPattern(low_digits, "\\.0{0,19}[1-9][0-9]{0,19}", graph), to);
    }
  }
  if (!b.without_high) {
    const int32_t high_digits = graph.AddNode();
    AddMagnitudes(from, b.high, b.high, high_digits, graph);
    graph.AddEmpty(AddPattern(high_digits, "(\\.0{1,20})?", graph), to);
  }
}

}  // namespace

int32_t AddIntegers(int32_t from, int64_t low, int64_t high, RuleGraph& graph) {
  const int32_t to = graph.AddNode();
  if (high >= 0) AddMagnitudes(from, std::max<int64_t>(low, 0), high, to, graph);
  if (low < 0) {
    const int32_t minus = graph.Literal(from, "-");
    AddMagnitudes(minus, std::max<int64_t>(1, -high), -low, to, graph);
  }
  return to;
}

int32_t AddNumbers(int32_t from, const NumberBounds& bounds, RuleGraph& graph) {
  const int32_t to = graph.AddNode();
  if (bounds.high > 0 || (bounds.high == 0 && !bounds.without_high)) {
    NumberBounds b = bounds;
    if (b.low < 0) {
      b.low = 0;
      b.without_low = false;
    }
    AddDecimals(from, b, to, graph);
  }
  if (bounds.low < 0) {
    NumberBounds b;
    b.low = std::max<int64_t>(0, -bounds.high);
    b.without_low = bounds.high <= 0 && bounds.without_high;
    b.high = -bounds.low;
    b.without_high = bounds.without_low;
    AddDecimals(graph.Literal(from, "-"), b, to, graph);
  }
  return to;
}

int32_t AddAnyNumber(int32_t from, RuleGraph& graph) {
  return AddPattern(from, "-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", graph);
}

}  // namespace scoville::model
