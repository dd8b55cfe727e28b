// Nanoseconds a block of the paged KV cache's operations; README.md here says what each line is.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "device/kv/block_pool.h"
#include "device/kv/host_tier.h"
#include "device/kv/prefix_hash.h"
#include "tests/support/nanoseconds.h"

namespace scoville::device {
namespace {

constexpr int64_t kBlocks = 100'000;
constexpr int64_t kBlockSize = 16;
constexpr int64_t kSequences = 1'000;
constexpr int64_t kLength = kBlocks / kSequences;  // blocks of one sequence

KvCacheOptions Cached() {
  KvCacheOptions options;
  options.prefix_cache = true;
  options.cost_base = 1'000'000;
  options.cost_per_depth = 1'000;
  return options;
}

std::vector<BlockHash> Chain(int64_t name, int64_t length) {
  std::vector<BlockHash> chain;
  BlockHash parent = PrefixRoot(static_cast<uint64_t>(name), "tenant", "model", "bf16");
  for (int64_t i = 0; i < length; ++i) {
    parent = NextBlockHash(parent, {static_cast<int32_t>(i)});
    chain.push_back(parent);
  }
  return chain;
}

void PublishAll(BlockTable* table, const std::vector<BlockHash>& chain) {
  for (int64_t i = 0; i < table->size(); ++i) {
    table->Publish(i, chain[static_cast<size_t>(i)]);
  }
}

// `call` once a sequence, in an order in which neighbours are not neighbours in memory; per block.
template <typename Call>
void Report(const std::string& name, Call call) {
  std::vector<size_t> order(kSequences);
  for (size_t i = 0; i < order.size(); ++i) {
    order[i] = i * 389 % order.size();
  }
  tests::ReportNanoseconds(name, kSequences * kLength, [&](int64_t i) {
    return i % kLength == 0 ? call(order[static_cast<size_t>(i / kLength)]) : 0;
  });
}

// A pool whose blocks were taken and given back at random, so that the next one free is anywhere.
void Shuffle(BlockPool* pool) {
  std::vector<BlockTable> tables(kBlocks);
  std::vector<size_t> order(kBlocks);
  for (size_t i = 0; i < tables.size(); ++i) {
    tables[i] = BlockTable(pool);
    CHECK(tables[i].Grow(1));
    order[i] = i;
  }
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[RandomBelow(1, 0, i, i)]);
  }
  for (const size_t i : order) {
    tables[i].Clear();
  }
}

// A sequence is taken while the one taken half a round ago is given back.
void TakeAndGiveBack(bool shuffled) {
  BlockPool pool(kBlocks, kBlockSize, Cached());
  if (shuffled) {
    Shuffle(&pool);
  }
  std::vector<BlockTable> tables(kSequences);
  for (BlockTable& table : tables) {
    table = BlockTable(&pool);
  }
  const std::string where = shuffled ? ", scattered pages" : "";
  const int64_t half = kSequences / 2;
  Report("take a block and give one back" + where, [&](size_t i) {
    BlockTable& mine = tables[i];
    BlockTable& far = tables[(i + half) % kSequences];
    far.Clear();
    CHECK(mine.Grow(kLength * kBlockSize));
    return mine.size();
  });
}

void Decode() {
  BlockPool pool(kBlocks, kBlockSize, Cached());
  Shuffle(&pool);
  std::vector<BlockTable> tables(256);
  for (BlockTable& table : tables) {
    table = BlockTable(&pool);
  }
  // One block a sequence in turns, all dropped when the pool is full.
  tests::ReportNanoseconds("grow 256 sequences by a block in turns", kBlocks, [&](int64_t i) {
    BlockTable& table = tables[static_cast<size_t>(i) % tables.size()];
    if (!table.Grow((table.size() + 1) * kBlockSize)) {
      for (BlockTable& full : tables) {
        full.Clear();
      }
    }
    return table.size();
  });
}

// The cache is full of sequences that come again: every block is found, shared and let go.
void Hit(bool shuffled) {
  BlockPool pool(kBlocks, kBlockSize, Cached());
  if (shuffled) {
    Shuffle(&pool);
  }
  std::vector<std::vector<BlockHash>> chains;
  for (int64_t i = 0; i < kSequences; ++i) {
    chains.push_back(Chain(i, kLength));
    BlockTable table(&pool);
    CHECK(table.Grow(kLength * kBlockSize));
    PublishAll(&table, chains.back());
  }
  const std::string where = shuffled ? ", scattered pages" : "";
  Report("attach and clear a cached prefix" + where, [&](size_t i) {
    BlockTable table(&pool);
    const int64_t hit = table.Attach(chains[i]);
    CHECK_EQ(hit, kLength);
    return hit;
  });
  Report("find one block by its hash" + where, [&](size_t i) {
    int64_t sum = 0;
    for (const BlockHash& hash : chains[i]) {
      sum += *pool.FindBlock(hash);
    }
    return sum;
  });
  std::vector<BlockHash> half(chains[0].begin(), chains[0].begin() + kLength / 2);
  const std::vector<BlockHash> other = Chain(-1, kLength / 2);
  half.insert(half.end(), other.begin(), other.end());
  tests::ReportNanoseconds("lookup of a prefix of 100 blocks, half of it held (a call)" + where,
                           100'000, [&](int64_t i) {
                             half[kLength - 1].low ^= static_cast<uint64_t>(i);
                             return pool.LookupPrefix(half);
                           });
}

// The cache is full of sequences that never come again: every block evicts one.
void Churn(HostTier* tier, const std::string& name) {
  KvCacheOptions options = Cached();
  options.evictions = tier;
  BlockPool pool(kBlocks, kBlockSize, options);
  Shuffle(&pool);
  std::vector<std::vector<BlockHash>> chains;
  for (int64_t i = 0; i < 3 * kSequences; ++i) {
    chains.push_back(Chain(i, kLength));
  }
  size_t next = 0;
  const auto run = [&](size_t) {
    const std::vector<BlockHash>& chain = chains[next++ % chains.size()];
    BlockTable table(&pool);
    const int64_t hit = table.Attach(chain);
    CHECK(table.Grow(kLength * kBlockSize));
    PublishAll(&table, chain);
    return hit;
  };
  for (int64_t i = 0; i < 2 * kSequences; ++i) {
    run(0);
  }
  Report(name, run);
  CHECK_GT(pool.evicted_blocks(), 0);
}

void Hashing() {
  std::vector<int32_t> tokens(kLength * kBlockSize, 17);
  const BlockHash root = PrefixRoot(1, "tenant", "model", "bf16");
  Report("hash a block of 16 tokens", [&](size_t i) {
    tokens[0] = static_cast<int32_t>(i);
    return static_cast<int64_t>(HashBlocks(root, tokens, kBlockSize).back().low & 1);
  });
}

void Run() {
  TakeAndGiveBack(false);
  TakeAndGiveBack(true);
  Decode();
  Hit(false);
  Hit(true);
  Churn(nullptr, "miss, evict, take, publish, give back");
  HostTierOptions options;
  options.capacity_blocks = kBlocks;
  options.bytes_per_block = Bytes(2'000'000);
  options.bytes_per_second = 50'000'000'000;
  HostTier tier(options);
  Churn(&tier, "the same, with a host tier that takes every block");
  Hashing();
}

}  // namespace
}  // namespace scoville::device

int main() {
  scoville::device::Run();
  return 0;
}
