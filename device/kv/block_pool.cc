#include "device/kv/block_pool.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::device {
namespace {

constexpr int64_t kMaxCost = int64_t{1} << 40;

}  // namespace

BlockPool::BlockPool(int64_t num_blocks, int64_t block_size, const KvCacheOptions& options)
    : capacity_(num_blocks),
      block_size_(block_size),
      options_(options),
      index_(&blocks_, num_blocks),
      waiting_(&blocks_, std::max(num_blocks, int64_t{1})),
      pins_(options.pin_quota_blocks) {
  CHECK_GT(num_blocks, 0);
  CHECK_LT(num_blocks, int64_t{UINT32_MAX});
  CHECK_GT(block_size, 0);
  CHECK_GE(options.cost_base, 0);
  CHECK_LE(options.cost_base, kMaxCost);
  CHECK_GE(options.cost_per_depth, 0);
  CHECK_LE(options.cost_per_depth, int64_t{1} << 30);  // times 2^32 blocks still fits
}

BlockPool::~BlockPool() { CHECK_EQ(entries_, 0); }

void BlockPool::PushFree(uint32_t block) {
  blocks_.next(block) = free_;
  free_ = block;
}

uint32_t BlockPool::Take() {
  uint32_t block;
  if (free_ != kNoBlock) {
    block = free_;
    free_ = blocks_.next(block);
    if (free_ != kNoBlock) {
      __builtin_prefetch(&blocks_.standing(free_));  // who takes one, soon takes the next
    }
  } else if (int64_t{blocks_.size()} < capacity_) {
    block = blocks_.Add();
  } else {
    block = Evict();
  }
  BlockStanding& standing = blocks_.standing(block);
  CHECK(standing.state == BlockState::kFree);
  CHECK_EQ(blocks_.ref(block), 0u);
  standing.state = BlockState::kReferenced;
  blocks_.ref(block) = 1;
  ++blocks_.generation(block);
  ++entries_;
  ++used_;
  peak_used_ = std::max(peak_used_, used_);
  return block;
}

void BlockPool::Share(uint32_t block) {
  BlockStanding& standing = blocks_.standing(block);
  if (blocks_.ref(block)++ == 0) {
    CHECK(standing.state == BlockState::kCached);
    if (standing.pinned) {
      --pinned_;
    } else {
      waiting_.Remove(block);
      --cached_;
    }
    standing.state = BlockState::kReferenced;
    ++used_;
    peak_used_ = std::max(peak_used_, used_);
  }
  CHECK(standing.state == BlockState::kReferenced);
  ++entries_;
}

void BlockPool::Release(uint32_t block, uint32_t generation) {
  CHECK_LT(block, blocks_.size());
  CHECK_GT(blocks_.ref(block), 0u);
  BlockStanding& standing = blocks_.standing(block);
  const bool last = --blocks_.ref(block) == 0;
  --entries_;
  if (standing.state != BlockState::kReferenced) {
    CHECK_NE(blocks_.generation(block), generation);  // taken before it was lost
    if (last && standing.state == BlockState::kMending) {
      standing.state = BlockState::kFree;
      --bad_;
      PushFree(block);
    }
    return;
  }
  CHECK_EQ(blocks_.generation(block), generation);
  if (!last) {
    return;
  }
  --used_;
  if (!standing.hashed) {
    standing.state = BlockState::kFree;
    PushFree(block);
    return;
  }
  standing.state = BlockState::kCached;
  if (standing.pinned) {
    ++pinned_;
  } else {
    Wait(block);
  }
}

bool BlockPool::EnsureFree(int64_t blocks, bool allow_pins) {
  if (blocks > free_blocks(allow_pins)) {
    return false;
  }
  if (blocks > free_blocks()) {
    BreakPins(blocks - free_blocks());
  }
  return true;
}

void BlockPool::Wait(uint32_t block) {
  ++cached_;
  const int bucket = waiting_.Push(block);
  const uint32_t parent = blocks_.parent(block);
  if (parent != kNoBlock) {
    // Only now can the parent follow, and then no earlier than its child.
    uint8_t& floor = blocks_.standing(parent).floor;
    floor = std::max(floor, static_cast<uint8_t>(bucket));
  }
}

uint32_t BlockPool::Evict() {
  const uint32_t block = waiting_.PopFront();
  BlockStanding& standing = blocks_.standing(block);
  CHECK_EQ(blocks_.children(block), 0u);
  if (options_.evictions != nullptr) {
    options_.evictions->OnEvicted({block, blocks_.hash(block), ExpandCost(standing.cost)});
  }
  Unpublish(block);
  standing.state = BlockState::kFree;
  --cached_;
  ++evicted_;
  return block;
}

uint32_t BlockPool::Publish(uint32_t block, const Chain& chain, const BlockHash& hash,
                            int64_t cost) {
  BlockStanding& standing = blocks_.standing(block);
  if (!options_.prefix_cache || standing.state != BlockState::kReferenced) {
    return block;
  }
  if (standing.hashed) {
    CHECK(blocks_.hash(block) == hash);
    return block;
  }
  const uint32_t parent = chain.parent;
  if (parent != kNoBlock &&
      (blocks_.generation(parent) != chain.parent_generation || !IsHashed(parent))) {
    return block;
  }
  const uint32_t existing = index_.Find(hash);
  if (existing != kNoBlock) {
    if (blocks_.ref(block) > 1) {
      return block;  // the forks that hold it could not follow
    }
    CHECK_EQ(blocks_.parent(existing), parent);
    Share(existing);
    waiting_.Touch(existing);
    return existing;
  }
  blocks_.set_hash(block, hash);
  blocks_.parent(block) = parent;
  standing.hashed = true;
  waiting_.Start(block,
                 cost > 0 ? cost : options_.cost_base + options_.cost_per_depth * chain.depth);
  if (parent != kNoBlock) {
    ++blocks_.children(parent);
  }
  index_.Insert(block);
  if (options_.events != nullptr) {
    options_.events->OnStored(hash, parent == kNoBlock ? BlockHash() : blocks_.hash(parent));
  }
  return block;
}

void BlockPool::TellHeld(KvEventSink* events) const {
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    if (blocks_.standing(block).hashed) {
      const uint32_t parent = blocks_.parent(block);
      events->OnStored(blocks_.hash(block),
                       parent == kNoBlock ? BlockHash() : blocks_.hash(parent));
    }
  }
}

void BlockPool::Unpublish(uint32_t block) {
  index_.Erase(block);
  blocks_.standing(block).hashed = false;
  const uint32_t parent = blocks_.parent(block);
  if (parent != kNoBlock) {
    blocks_.parent(block) = kNoBlock;
    if (--blocks_.children(parent) == 0) {
      blocks_.standing(parent).floor = 0;
    }
  }
  if (options_.events != nullptr) {
    options_.events->OnRemoved(blocks_.hash(block));
  }
}

bool BlockPool::Withdraw(uint32_t block, bool allow_pins) {
  const BlockStanding& standing = blocks_.standing(block);
  if (blocks_.children(block) > 0 || (standing.pinned && !allow_pins)) {
    return false;
  }
  if (standing.pinned) {
    Unpin(block);
  }
  Unpublish(block);
  return true;
}

int64_t BlockPool::LookupPrefix(absl::Span<const BlockHash> hashes) const {
  return index_.FindPrefix(hashes);
}

int64_t BlockPool::ReferencedPrefix(absl::Span<const BlockHash> hashes, int64_t held) const {
  // Who references a block of a prefix references those before it.
  int64_t low = 0;
  int64_t high = held;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    const uint32_t block = index_.Find(hashes[static_cast<size_t>(middle - 1)]);
    if (block != kNoBlock && blocks_.ref(block) > 0) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

std::optional<uint32_t> BlockPool::FindBlock(const BlockHash& hash) const {
  const uint32_t block = index_.Find(hash);
  return block == kNoBlock ? std::nullopt : std::optional<uint32_t>(block);
}

int64_t BlockPool::Pin(absl::Span<const BlockHash> hashes, absl::string_view tenant,
                       TimePoint until) {
  const int64_t held = LookupPrefix(hashes);
  for (int64_t i = 0; i < held; ++i) {
    const uint32_t block = index_.Find(hashes[static_cast<size_t>(i)]);
    if (!pins_.Add(block, i, tenant, until)) {
      return i;
    }
    BlockStanding& standing = blocks_.standing(block);
    if (!standing.pinned && standing.state == BlockState::kCached) {
      waiting_.Remove(block);
      --cached_;
      ++pinned_;
    }
    standing.pinned = true;
  }
  return held;
}

void BlockPool::Unpin(uint32_t block) {
  pins_.Remove(block);
  BlockStanding& standing = blocks_.standing(block);
  standing.pinned = false;
  if (standing.state == BlockState::kCached) {
    --pinned_;
    Wait(block);
  }
}

int64_t BlockPool::ExpirePins(TimePoint now) {
  int64_t ended = 0;
  while (pins_.size() > 0 && pins_.by_expiry().begin()->until <= now) {
    Unpin(pins_.by_expiry().begin()->block);
    ++ended;
  }
  return ended;
}

void BlockPool::BreakPins(int64_t blocks) {
  std::vector<uint32_t> broken;
  for (const PinBook::Expiry& pin : pins_.by_expiry()) {
    if (blocks_.standing(pin.block).state == BlockState::kCached) {
      broken.push_back(pin.block);
      if (static_cast<int64_t>(broken.size()) == blocks) {
        break;
      }
    }
  }
  CHECK_EQ(static_cast<int64_t>(broken.size()), blocks);
  for (const uint32_t block : broken) {
    Unpin(block);  // the caller takes all that waits, so it is gone before the call ends
  }
}

void BlockPool::DropCached() {
  while (!waiting_.empty()) {
    const uint32_t block = waiting_.PopFront();
    CHECK_EQ(blocks_.children(block), 0u);
    Unpublish(block);
    blocks_.standing(block).state = BlockState::kFree;
    --cached_;
    PushFree(block);
  }
}

}  // namespace scoville::device
