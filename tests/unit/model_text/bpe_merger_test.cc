#include "model/text/bpe_merger.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "base/random.h"

namespace scoville::model {
namespace {

using Rules = std::map<std::pair<int32_t, int32_t>, std::pair<int32_t, int32_t>>;

// Slow and obvious: look for the best pair, join it, begin again.
std::vector<int32_t> Oracle(const Rules& rules, std::vector<int32_t> symbols) {
  while (true) {
    size_t best = symbols.size();
    int32_t best_rank = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto rule = rules.find({symbols[i], symbols[i + 1]});
      if (rule == rules.end()) continue;
      if (best == symbols.size() || rule->second.first < best_rank) {
        best = i;
        best_rank = rule->second.first;
      }
    }
    if (best == symbols.size()) return symbols;
    symbols[best] = rules.at({symbols[best], symbols[best + 1]}).second;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeMergerTest, ShortAndLongPiecesMergeAsTheOracleDoes) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    // A few letters and many rules over what they make, so that merges compete and overlap.
    const int32_t letters = 2 + static_cast<int32_t>(seed % 4);
    Rules rules;
    BpeMerger merger;
    int32_t next = letters;
    for (int32_t rank = 0; rank < 30; ++rank) {
      const auto draw = [&](uint64_t which) {
        return static_cast<int32_t>(
            RandomBelow(seed, which, static_cast<uint64_t>(rank), static_cast<uint64_t>(next)));
      };
      const std::pair<int32_t, int32_t> pair = {draw(1), draw(2)};
      // Sometimes two pairs make the same token, as "a"+"ab" and "aa"+"b" do.
      const int32_t merged = draw(3) % 4 == 0 && next > letters ? next - 1 : next++;
      rules.try_emplace(pair, rank, merged);
      merger.Add(pair.first, pair.second, rank, merged);
    }
    for (uint64_t size : {0, 1, 2, 5, 23, 24, 25, 40, 120}) {
      std::vector<int32_t> symbols;
      for (uint64_t i = 0; i < size; ++i) {
        symbols.push_back(
            static_cast<int32_t>(RandomBelow(seed, 100 + size, i, static_cast<uint64_t>(letters))));
      }
      std::vector<int32_t> out = {-7};
      merger.Merge(symbols, out);
      std::vector<int32_t> expected = Oracle(rules, symbols);
      expected.insert(expected.begin(), -7);
      ASSERT_EQ(out, expected) << "seed " << seed << " size " << size;
    }
  }
}

}  // namespace
}  // namespace scoville::model
