#include "model/text/bpe_merger.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <queue>

namespace scoville::model {

namespace {

// Up to this many symbols a walk over all pairs is faster than a heap.
constexpr size_t kShort = 24;

uint64_t Key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

struct Candidate {
  int32_t rank;
  uint32_t position;  // of the left symbol
  int32_t left;
  int32_t right;
  int32_t merged;

  // For a heap whose top is the lowest rank, leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

constexpr uint32_t kNone = UINT32_MAX;

struct Symbol {
  int32_t token;  // -1: merged into the one before
  uint32_t previous;
  uint32_t next;
};

}  // namespace

void BpeMerger::Add(int32_t left, int32_t right, int32_t rank, int32_t merged) {
  rules_.try_emplace(Key(left, right), Rule{rank, merged});
}

const BpeMerger::Rule* BpeMerger::Find(int32_t left, int32_t right) const {
  const auto found = rules_.find(Key(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void BpeMerger::Merge(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const {
  if (symbols.size() <= kShort) {
    MergeShort(symbols, out);
  } else {
    MergeLong(symbols, out);
  }
}

void BpeMerger::MergeShort(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const {
  std::array<int32_t, kShort> tokens;
  std::array<const Rule*, kShort> rules;  // of the pair that begins here
  size_t size = symbols.size();
  std::copy(symbols.begin(), symbols.end(), tokens.begin());
  for (size_t i = 0; i + 1 < size; ++i) rules[i] = Find(tokens[i], tokens[i + 1]);
  while (size > 1) {
    size_t best = size;
    for (size_t i = 0; i + 1 < size; ++i) {
      if (rules[i] != nullptr && (best == size || rules[i]->rank < rules[best]->rank)) best = i;
    }
    if (best == size) break;
    tokens[best] = rules[best]->merged;
    std::copy(tokens.begin() + best + 2, tokens.begin() + size, tokens.begin() + best + 1);
    std::copy(rules.begin() + best + 1, rules.begin() + size - 1, rules.begin() + best);
    --size;
    if (best > 0) rules[best - 1] = Find(tokens[best - 1], tokens[best]);
    if (best + 1 < size) rules[best] = Find(tokens[best], tokens[best + 1]);
  }
  out.insert(out.end(), tokens.begin(), tokens.begin() + size);
}

void BpeMerger::MergeLong(absl::Span<const int32_t> symbols, std::vector<int32_t>& out) const {
  std::vector<Symbol> list(symbols.size());
  std::vector<Candidate> initial;
  const auto size = static_cast<uint32_t>(symbols.size());
  for (uint32_t i = 0; i < size; ++i) {
    list[i] = {symbols[i], i == 0 ? kNone : i - 1, i + 1 == size ? kNone : i + 1};
    if (i + 1 == size) continue;
    if (const Rule* rule = Find(symbols[i], symbols[i + 1]); rule != nullptr) {
      initial.push_back({rule->rank, i, symbols[i], symbols[i + 1], rule->merged});
    }
  }
  std::priority_queue<Candidate> heap(std::less<Candidate>(), std::move(initial));
  const auto consider = [&](uint32_t left) {
    if (left == kNone || list[left].next == kNone) return;
    const int32_t right = list[list[left].next].token;
    if (const Rule* rule = Find(list[left].token, right); rule != nullptr) {
      heap.push({rule->rank, left, list[left].token, right, rule->merged});
    }
  };
  while (!heap.empty()) {
    const Candidate c = heap.top();
    heap.pop();
    Symbol& left = list[c.position];
    // Entries are not taken back when a neighbour changes; they are recognised here.
    if (left.token != c.left || left.next == kNone || list[left.next].token != c.right) continue;
    Symbol& right = list[left.next];
    left.token = c.merged;
    left.next = right.next;
    right.token = -1;
    if (left.next != kNone) list[left.next].previous = c.position;
    consider(left.previous);
    consider(c.position);
  }
  for (uint32_t i = 0; i != kNone && i < size; i = list[i].next) out.push_back(list[i].token);
}

}  // namespace scoville::model
