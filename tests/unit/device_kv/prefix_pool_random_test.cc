// Random operations on the block pool and on its yardstick: what can be seen of the two is equal
// after each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "device/kv/block_pool.h"
#include "tests/reference/reference_prefix_pool.h"

namespace scoville::device {
namespace {

constexpr int kTables = 8;
constexpr int64_t kBlockSize = 4;
constexpr int kDepth = 12;

// Follows what the pool says to its listeners.
class Directory : public KvEventSink {
 public:
  void OnStored(const BlockHash& hash, const BlockHash& parent) override {
    EXPECT_TRUE(parent == BlockHash() || held_.count(parent) == 1);
    EXPECT_TRUE(held_.emplace(hash, parent).second);
  }
  void OnRemoved(const BlockHash& hash) override {
    EXPECT_EQ(held_.erase(hash), 1u);
    removed_.push_back(hash);
  }

  const std::map<BlockHash, BlockHash>& held() const { return held_; }
  std::vector<BlockHash> TakeRemoved() { return std::exchange(removed_, {}); }

 private:
  std::map<BlockHash, BlockHash> held_;
  std::vector<BlockHash> removed_;
};

// What one is told who comes later.
class Newcomer : public KvEventSink {
 public:
  void OnStored(const BlockHash& hash, const BlockHash& parent) override {
    EXPECT_TRUE(held.emplace(hash, parent).second);
  }
  void OnRemoved(const BlockHash&) override { ADD_FAILURE() << "nothing was removed"; }

  std::map<BlockHash, BlockHash> held;
};

class Walk {
 public:
  Walk(uint64_t seed, int64_t blocks)
      : seed_(seed),
        blocks_(blocks),
        pool_(blocks, kBlockSize, Options()),
        reference_({blocks, kBlockSize, kQuota, kCostBase, kCostPerDepth, kTables}),
        chains_(kTables) {
    for (int t = 0; t < kTables; ++t) {
      tables_.emplace_back(&pool_);
      Chain(t) = NewChain({}, 0);
    }
  }

  void Step() {
    const int t = static_cast<int>(Draw(kTables));
    BlockTable& table = tables_[static_cast<size_t>(t)];
    if (table.FirstLost() < table.size() && Draw(3) > 0) {
      Truncate(t, Draw(4) == 0 ? 0 : table.FirstLost() * kBlockSize);
      return;
    }
    switch (Draw(22)) {
      case 0:
      case 1:
      case 2:
        return Begin(t);
      case 3:
      case 4:
      case 5:
      case 6:
        return Grow(t);
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
        return Publish(t);
      case 13:
        return Truncate(t, static_cast<int64_t>(Draw(kDepth * kBlockSize)));
      case 14:
      case 15:
        return Truncate(t, 0);
      case 16:
        return Fork(t);
      case 17:
        return MakeWritable(t);
      case 18:
        return Pin();
      case 19:
        now_ += static_cast<int64_t>(Draw(400'000));
        EXPECT_EQ(pool_.ExpirePins(TimePoint(now_)), reference_.ExpirePins(now_));
        return;
      default:
        return Rare();
    }
  }

  // All that can be seen is equal.
  void Compare() {
    pool_.CheckInvariants();
    ASSERT_EQ(pool_.used_blocks(), reference_.used());
    ASSERT_EQ(pool_.cached_blocks(), reference_.cached());
    ASSERT_EQ(pool_.pinned_blocks(), reference_.pinned());
    ASSERT_EQ(pool_.bad_blocks(), reference_.bad());
    ASSERT_EQ(pool_.idle_blocks(), reference_.idle());
    ASSERT_EQ(pool_.free_blocks(), reference_.idle() + reference_.cached());
    std::map<uint32_t, int64_t> cell_of_page;
    std::map<int64_t, uint32_t> page_of_cell;
    const auto same = [&](uint32_t page, int64_t cell) {
      return cell_of_page.emplace(page, cell).first->second == cell &&
             page_of_cell.emplace(cell, page).first->second == page;
    };
    int64_t entries = 0;
    for (int t = 0; t < kTables; ++t) {
      const BlockTable& table = tables_[static_cast<size_t>(t)];
      const std::vector<int64_t>& cells = reference_.table(t);
      ASSERT_EQ(table.size(), static_cast<int64_t>(cells.size()));
      for (size_t i = 0; i < cells.size(); ++i) {
        ASSERT_TRUE(same(table.blocks()[i], cells[i])) << "table " << t << ", block " << i;
      }
      ASSERT_EQ(table.FirstLost(), reference_.FirstLost(t));
      if (table.FirstLost() == table.size()) {
        ASSERT_EQ(table.exclusive_blocks(), reference_.Exclusive(t));
      }
      entries += table.size();
    }
    ASSERT_EQ(pool_.table_entries(), entries);
    const std::map<BlockHash, int64_t> held = reference_.held();
    ASSERT_EQ(directory_.held().size(), held.size());
    Newcomer newcomer;
    pool_.TellHeld(&newcomer);
    ASSERT_EQ(newcomer.held, directory_.held());
    for (const auto& [hash, cell] : held) {
      const std::optional<uint32_t> page = pool_.FindBlock(hash);
      ASSERT_TRUE(page.has_value());
      ASSERT_TRUE(same(*page, cell));
    }
    for (const auto& [cell, page] : page_of_cell) {
      // The bytes of a cell never move but by a copy.
      ASSERT_EQ(home_.emplace(cell, page).first->second, page);
    }
    std::vector<BlockHash> removed = directory_.TakeRemoved();
    std::vector<BlockHash> expected = reference_.TakeRemoved();
    if (unordered_) {  // a loss takes hashes out in no order that matters
      std::sort(removed.begin(), removed.end());
      std::sort(expected.begin(), expected.end());
    }
    unordered_ = false;
    ASSERT_TRUE(removed == expected);
    const std::vector<BlockHash> chain = NewChain({}, 0);
    ASSERT_EQ(pool_.LookupPrefix(chain), reference_.Lookup(chain));
  }

  // Nothing is left behind when all tables are gone and all pages work.
  void End() {
    for (int t = 0; t < kTables; ++t) {
      Truncate(t, 0);
    }
    EXPECT_EQ(pool_.used_blocks(), 0);
    EXPECT_EQ(pool_.table_entries(), 0);
    for (uint32_t page : bad_pages_) {
      pool_.RepairBlocks({page});
    }
    pool_.ExpirePins(TimePoint::Max());
    BlockTable all(&pool_);
    EXPECT_TRUE(all.Grow(blocks_ * kBlockSize));  // exactly as many as there are
    EXPECT_FALSE(tables_[0].Grow(1));
    EXPECT_EQ(directory_.held().size(), 0u);
    pool_.CheckInvariants();
  }

  int64_t hits() const { return hits_; }
  int64_t deduplicated() const { return deduplicated_; }
  int64_t evicted() const { return pool_.evicted_blocks(); }

 private:
  static constexpr int64_t kQuota = 7;
  static constexpr int64_t kCostBase = 1'000;
  static constexpr int64_t kCostPerDepth = 170;

  KvCacheOptions Options() {
    KvCacheOptions options;
    options.prefix_cache = true;
    options.pin_quota_blocks = kQuota;
    options.cost_base = kCostBase;
    options.cost_per_depth = kCostPerDepth;
    options.events = &directory_;
    return options;
  }

  uint64_t Draw(uint64_t below) { return RandomBelow(seed_, 0, draws_++, below); }

  // The first `keep` hashes of `chain`, continued at random: few choices, so chains meet again.
  std::vector<BlockHash> NewChain(std::vector<BlockHash> chain, size_t keep) {
    chain.resize(keep);
    while (chain.size() < kDepth) {
      const BlockHash parent = chain.empty() ? BlockHash{1, 1} : chain.back();
      const bool branch = chain.empty() || Draw(4) == 0;
      const int32_t token = branch ? static_cast<int32_t>(Draw(4)) : 0;
      chain.push_back(NextBlockHash(parent, {token}));
    }
    return chain;
  }

  std::vector<BlockHash>& Chain(int t) { return chains_[static_cast<size_t>(t)]; }
  BlockTable& Table(int t) { return tables_[static_cast<size_t>(t)]; }

  void Begin(int t) {
    Truncate(t, 0);
    Chain(t) = NewChain({}, 0);
    const std::vector<BlockHash> prompt(Chain(t).begin(),
                                        Chain(t).begin() + static_cast<int64_t>(Draw(kDepth)));
    const int64_t hit = Table(t).Attach(prompt);
    hits_ += hit;
    EXPECT_EQ(hit, reference_.Attach(t, prompt));
  }

  void Grow(int t) {
    const int64_t room = kDepth * kBlockSize;
    const int64_t tokens =
        std::min(Table(t).size() * kBlockSize + static_cast<int64_t>(Draw(20)), room);
    const bool allow_pins = Draw(4) == 0;
    EXPECT_EQ(Table(t).Grow(tokens, allow_pins), reference_.Grow(t, tokens, allow_pins));
  }

  void Publish(int t) {
    int64_t index = static_cast<int64_t>(Draw(kDepth));  // mostly in order, sometimes not
    if (Draw(8) > 0) {
      for (index = 0; index < Table(t).size() && IsPublished(t, index); ++index) {
      }
    }
    if (index >= Table(t).size()) {
      return;
    }
    const int64_t cost = Draw(3) == 0 ? static_cast<int64_t>(1 + Draw(100'000)) : 0;
    const BlockHash hash = Chain(t)[static_cast<size_t>(index)];
    const uint32_t before = Table(t).blocks()[static_cast<size_t>(index)];
    EXPECT_EQ(Table(t).Publish(index, hash, cost), reference_.Publish(t, index, hash, cost));
    deduplicated_ += Table(t).blocks()[static_cast<size_t>(index)] != before;
  }

  bool IsPublished(int t, int64_t index) {
    const size_t i = static_cast<size_t>(index);
    return pool_.FindBlock(Chain(t)[i]) == std::optional<uint32_t>(Table(t).blocks()[i]);
  }

  void Truncate(int t, int64_t tokens) {
    Table(t).Truncate(tokens);
    reference_.Truncate(t, tokens);
  }

  void Fork(int from) {
    const int to = (from + 1 + static_cast<int>(Draw(kTables - 1))) % kTables;
    if (Table(from).FirstLost() < Table(from).size()) {
      return;
    }
    Truncate(to, 0);
    const int64_t tokens =
        static_cast<int64_t>(Draw(static_cast<uint64_t>(Table(from).size() * kBlockSize + 1)));
    Table(to) = Table(from).Fork(tokens);
    reference_.Fork(from, to, tokens);
    Chain(to) = NewChain(Chain(from), static_cast<size_t>(tokens / kBlockSize));
  }

  void MakeWritable(int t) {
    const int64_t last = Table(t).size() - 1;
    if (last < 0 || Table(t).FirstLost() <= last) {
      return;
    }
    const bool allow_pins = Draw(2) == 0;
    const uint32_t before = Table(t).blocks()[static_cast<size_t>(last)];
    std::optional<PageCopy> copy;
    bool copied = false;
    const bool done = Table(t).MakeWritable(last, &copy, allow_pins);
    ASSERT_EQ(done, reference_.MakeWritable(t, last, allow_pins, &copied));
    ASSERT_EQ(copy.has_value(), copied);
    if (copy.has_value()) {
      EXPECT_EQ(copy->from, before);
      EXPECT_EQ(copy->to, Table(t).blocks()[static_cast<size_t>(last)]);
    }
    if (done) {
      Chain(t) = NewChain(Chain(t), static_cast<size_t>(last));
    }
  }

  void Pin() {
    const std::vector<BlockHash> chain = NewChain({}, 0);
    const std::string tenant = Draw(2) == 0 ? "a" : "b";
    // No two calls with the same end: ties are the pool's own affair.
    const int64_t until = now_ + static_cast<int64_t>(Draw(1'000)) * 1'000 + pin_calls_++ % 1'000;
    EXPECT_EQ(pool_.Pin(chain, tenant, TimePoint(until)), reference_.Pin(chain, tenant, until));
  }

  void Rare() {
    switch (Draw(8)) {
      case 0:
        return Lose();
      case 1:
      case 2:
        return Repair();
      case 3:
        if (Draw(6) == 0) {
          pool_.DropCached();
          reference_.DropCached();
        }
        return;
      default:
        return;
    }
  }

  // The cell that lives on `page`, if any.
  std::optional<int64_t> CellOn(uint32_t page) {
    for (int t = 0; t < kTables; ++t) {
      for (size_t i = 0; i < reference_.table(t).size(); ++i) {
        if (Table(t).blocks()[i] == page) {
          return reference_.table(t)[i];
        }
      }
    }
    for (const auto& [hash, cell] : reference_.held()) {
      if (pool_.FindBlock(hash) == std::optional<uint32_t>(page)) {
        return cell;
      }
    }
    return std::nullopt;
  }

  void Lose() {
    std::vector<uint32_t> pages;
    std::vector<int64_t> cells;
    int64_t idle = 0;
    for (uint64_t i = 0; i < 1 + Draw(2); ++i) {
      const uint32_t page = static_cast<uint32_t>(Draw(static_cast<uint64_t>(blocks_)));
      if (std::count(bad_pages_.begin(), bad_pages_.end(), page) > 0) {
        continue;
      }
      bad_pages_.push_back(page);
      pages.push_back(page);
      const std::optional<int64_t> cell = CellOn(page);
      if (cell.has_value()) {
        cells.push_back(*cell);
      } else {
        ++idle;
      }
    }
    const int64_t bad = pool_.bad_blocks();
    const int64_t lost = pool_.LoseBlocks(pages);
    EXPECT_EQ(pool_.bad_blocks(), bad + lost);
    reference_.LoseCells(cells, idle);
    unordered_ = true;
  }

  void Repair() {
    if (bad_pages_.empty()) {
      return;
    }
    const uint32_t page = bad_pages_.back();
    const std::optional<int64_t> cell = CellOn(page);
    pool_.RepairBlocks({page});
    if (cell.has_value()) {
      reference_.RepairCell(*cell);
    } else {
      reference_.RepairUnheld();
    }
    bad_pages_.pop_back();
  }

  const uint64_t seed_;
  const int64_t blocks_;
  uint64_t draws_ = 0;
  int64_t now_ = 0;
  int64_t pin_calls_ = 0;
  int64_t hits_ = 0;
  int64_t deduplicated_ = 0;
  bool unordered_ = false;
  Directory directory_;
  BlockPool pool_;
  tests::ReferencePrefixPool reference_;
  std::vector<std::vector<BlockHash>> chains_;
  std::vector<uint32_t> bad_pages_;
  std::map<int64_t, uint32_t> home_;
  std::vector<BlockTable> tables_;
};

TEST(PrefixPoolRandomTest, AgreesWithTheYardstickAfterEveryOperation) {
  int64_t hits = 0;
  int64_t deduplicated = 0;
  int64_t evicted = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Walk walk(seed, static_cast<int64_t>(14 + seed % 5 * 8));
    for (int i = 0; i < 5'000; ++i) {
      walk.Step();
      walk.Compare();
      if (::testing::Test::HasFailure()) {
        FAIL() << "seed " << seed << ", operation " << i;
      }
    }
    walk.End();
    hits += walk.hits();
    deduplicated += walk.deduplicated();
    evicted += walk.evicted();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << ", at its end";
  }
  // The walks go where it matters.
  EXPECT_GT(hits, 10'000);
  EXPECT_GT(deduplicated, 1'000);
  EXPECT_GT(evicted, 5'000);
  std::printf("seeds 1 to 60: %lld hits, %lld duplicates, %lld evictions\n",
              static_cast<long long>(hits), static_cast<long long>(deduplicated),
              static_cast<long long>(evicted));
}

}  // namespace
}  // namespace scoville::device
