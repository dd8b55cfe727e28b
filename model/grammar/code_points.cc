#include "model/grammar/code_points.h"

#include <algorithm>
#include <string>

#include "model/text/utf8.h"

namespace scoville::model {

namespace {

constexpr uint32_t kLast = 0x10ffff;
constexpr uint32_t kFirstSurrogate = 0xd800;
constexpr uint32_t kLastSurrogate = 0xdfff;

Utf8Range Encode(uint32_t low, uint32_t high) {
  std::string a, b;
  AppendUtf8(low, a);
  AppendUtf8(high, b);
  Utf8Range range;
  range.length = static_cast<int>(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    range.low[i] = static_cast<uint8_t>(a[i]);
    range.high[i] = static_cast<uint8_t>(b[i]);
  }
  return range;
}

// All code points of [low, high] have the same length in UTF-8.
void Split(uint32_t low, uint32_t high, int length, std::vector<Utf8Range>& out) {
  for (int i = 1; i < length; ++i) {
    const uint32_t mask = (1u << (6 * i)) - 1;  // what the last i bytes hold
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      Split(low, low | mask, length, out);
      Split((low | mask) + 1, high, length, out);
      return;
    }
    if ((high & mask) != mask) {
      Split(low, (high & ~mask) - 1, length, out);
      Split(high & ~mask, high, length, out);
      return;
    }
  }
  out.push_back(Encode(low, high));
}

}  // namespace

CodePointSet::CodePointSet(const std::vector<CodePointRange>& ranges) {
  std::vector<CodePointRange> cut;
  for (const CodePointRange& r : ranges) {
    const uint32_t high = std::min(r.high, kLast);
    if (r.low < kFirstSurrogate) cut.push_back({r.low, std::min(high, kFirstSurrogate - 1)});
    if (high > kLastSurrogate) cut.push_back({std::max(r.low, kLastSurrogate + 1), high});
  }
  std::sort(cut.begin(), cut.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.low < b.low; });
  for (const CodePointRange& r : cut) {
    if (r.low > r.high) continue;
    if (!ranges_.empty() && r.low <= ranges_.back().high + 1) {
      ranges_.back().high = std::max(ranges_.back().high, r.high);
    } else {
      ranges_.push_back(r);
    }
  }
}

CodePointSet CodePointSet::All() { return CodePointSet({{0, kLast}}); }

CodePointSet CodePointSet::Of(uint32_t code_point) {
  return CodePointSet({{code_point, code_point}});
}

bool CodePointSet::Contains(uint32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const CodePointRange& r) {
    return r.low <= code_point && code_point <= r.high;
  });
}

CodePointSet CodePointSet::Complement() const {
  std::vector<CodePointRange> out;
  uint32_t next = 0;
  for (const CodePointRange& r : ranges_) {
    if (r.low > next) out.push_back({next, r.low - 1});
    next = r.high + 1;
  }
  if (next <= kLast) out.push_back({next, kLast});
  return CodePointSet(out);
}

CodePointSet CodePointSet::Union(const CodePointSet& other) const {
  std::vector<CodePointRange> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CodePointSet(all);
}

CodePointSet CodePointSet::Intersect(const CodePointSet& other) const {
  std::vector<CodePointRange> out;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const CodePointRange& a = ranges_[i];
    const CodePointRange& b = other.ranges_[j];
    const uint32_t low = std::max(a.low, b.low);
    const uint32_t high = std::min(a.high, b.high);
    if (low <= high) out.push_back({low, high});
    if (a.high < b.high) {
      ++i;
    } else {
      ++j;
    }
  }
  return CodePointSet(out);
}

CodePointSet CodePointSet::Without(const CodePointSet& other) const {
  return Intersect(other.Complement());
}

std::vector<Utf8Range> Utf8Ranges(const CodePointSet& set) {
  constexpr uint32_t kEnds[] = {0x7f, 0x7ff, 0xffff, kLast};
  std::vector<Utf8Range> out;
  for (const CodePointRange& r : set.ranges()) {
    uint32_t low = r.low;
    for (int length = 1; length <= 4 && low <= r.high; ++length) {
      const uint32_t end = kEnds[length - 1];
      if (low > end) continue;
      Split(low, std::min(r.high, end), length, out);
      low = end + 1;
    }
  }
  return out;
}

}  // namespace scoville::model
