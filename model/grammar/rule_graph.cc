#include "model/grammar/rule_graph.h"

#include <map>
#include <tuple>
#include <utility>

namespace scoville::model {

void RuleGraph::Charge(int64_t steps) {
  if (ok()) status_ = budget_.Steps(steps);
}

int32_t RuleGraph::AddRule() {
  const int32_t start = AddNode();
  const int32_t end = AddNode();
  rules_.push_back({start, end});
  return rules() - 1;
}

int32_t RuleGraph::AddNode() {
  Charge(1);
  return ok() ? nodes_++ : 0;
}

void RuleGraph::Add(const Edge& edge) {
  Charge(1);
  // Twice: here and in the order of its nodes.
  if (ok()) status_ = budget_.Bytes(2 * static_cast<int64_t>(sizeof(Edge)));
  if (ok()) edges_.push_back(edge);
}

void RuleGraph::AddEmpty(int32_t from, int32_t to) { Add({from, to, -1, Kind::kEmpty, 0, 0}); }

void RuleGraph::AddBytes(int32_t from, uint8_t low, uint8_t high, int32_t to) {
  Add({from, to, -1, Kind::kBytes, low, high});
}

void RuleGraph::AddCall(int32_t from, int32_t rule, int32_t to) {
  Add({from, to, rule, Kind::kCall, 0, 0});
}

int32_t RuleGraph::Literal(int32_t from, absl::string_view bytes) {
  for (const char c : bytes) {
    const int32_t to = AddNode();
    AddBytes(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), to);
    from = to;
  }
  return from;
}

void RuleGraph::CodePointsTo(int32_t from, const CodePointSet& set, int32_t to) {
  // Equal tails are one path: (where it leads, low, high) to the node before.
  std::map<std::tuple<int32_t, uint8_t, uint8_t>, int32_t> tails;
  for (const Utf8Range& range : Utf8Ranges(set)) {
    if (!ok()) return;
    int32_t next = to;
    for (int i = range.length - 1; i > 0; --i) {
      const auto [it, fresh] = tails.try_emplace({next, range.low[i], range.high[i]}, 0);
      if (fresh) {
        it->second = AddNode();
        AddBytes(it->second, range.low[i], range.high[i], next);
      }
      next = it->second;
    }
    AddBytes(from, range.low[0], range.high[0], next);
  }
}

int32_t RuleGraph::CodePoints(int32_t from, const CodePointSet& set) {
  const int32_t to = AddNode();
  CodePointsTo(from, set, to);
  return to;
}

int32_t RuleGraph::JsonCodePoints(int32_t from, const CodePointSet& set) {
  const int32_t to = AddNode();
  const CodePointSet escaped({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}});
  CodePointsTo(from, set.Without(escaped), to);
  if (set.Intersect(escaped).empty()) return to;
  const int32_t escape = Literal(from, "\\");
  constexpr std::pair<uint32_t, char> kShort[] = {
      {'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}};
  CodePointSet rest = set.Intersect(CodePointSet({{0, 0x1f}}));
  for (const auto& [code_point, letter] : kShort) {
    if (!set.Contains(code_point)) continue;
    AddBytes(escape, static_cast<uint8_t>(letter), static_cast<uint8_t>(letter), to);
    rest = rest.Without(CodePointSet::Of(code_point));
  }
  if (rest.empty()) return to;
  const int32_t prefix = Literal(escape, "u00");
  for (uint32_t high = 0; high < 2; ++high) {
    const int32_t digit = Literal(prefix, high == 0 ? "0" : "1");
    for (uint32_t low = 0; low < 16; ++low) {
      if (!rest.Contains(16 * high + low)) continue;
      const char* digits = "0123456789abcdef";
      const auto lower = static_cast<uint8_t>(digits[low]);
      AddBytes(digit, lower, lower, to);
      if (low >= 10) {
        AddBytes(digit, static_cast<uint8_t>(lower - 32), static_cast<uint8_t>(lower - 32), to);
      }
    }
  }
  return to;
}

}  // namespace scoville::model
