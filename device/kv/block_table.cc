#include "device/kv/block_table.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "device/kv/block_pool.h"

namespace scoville::device {

BlockTable::BlockTable(BlockTable&& other) noexcept
    : pool_(other.pool_),
      blocks_(std::exchange(other.blocks_, {})),
      generations_(std::exchange(other.generations_, {})) {}

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this != &other) {
    Clear();
    pool_ = other.pool_;
    blocks_ = std::exchange(other.blocks_, {});
    generations_ = std::exchange(other.generations_, {});
  }
  return *this;
}

void BlockTable::PushBlock(uint32_t block) {
  blocks_.push_back(block);
  generations_.push_back(pool_->blocks_.generation(block));
}

void BlockTable::PopBlock() {
  pool_->Release(blocks_.back(), generations_.back());
  blocks_.pop_back();
  generations_.pop_back();
}

int64_t BlockTable::Attach(absl::Span<const BlockHash> hashes) {
  CHECK(pool_ != nullptr);
  CHECK(blocks_.empty());
  const int64_t held = pool_->LookupPrefix(hashes);
  if (held == 0) {
    return 0;
  }
  const size_t count = static_cast<size_t>(held);
  blocks_.resize(count);
  generations_.resize(count);
  // All are looked up first: these loads do not wait for each other, as along a chain they would.
  for (size_t i = 0; i < count; ++i) {
    blocks_[i] = pool_->index_.Find(hashes[i]);
    CHECK_NE(blocks_[i], kNoBlock);
  }
  for (size_t i = count; i-- > 0;) {
    const uint32_t block = blocks_[i];
    CHECK_EQ(pool_->blocks_.parent(block), i == 0 ? kNoBlock : blocks_[i - 1]);
    pool_->Share(block);
    pool_->waiting_.Touch(block);
    generations_[i] = pool_->blocks_.generation(block);
  }
  return held;
}

bool BlockTable::Grow(int64_t tokens, bool allow_pins) {
  CHECK(pool_ != nullptr);
  const int64_t wanted = pool_->BlocksFor(tokens);
  if (wanted <= size()) {
    return true;
  }
  if (!pool_->EnsureFree(wanted - size(), allow_pins)) {
    return false;
  }
  while (size() < wanted) {
    PushBlock(pool_->Take());
  }
  return true;
}

bool BlockTable::Publish(int64_t index, const BlockHash& hash, int64_t cost) {
  CHECK_GE(index, 0);
  CHECK_LT(index, size());
  const size_t i = static_cast<size_t>(index);
  BlockPool::Chain chain;
  chain.depth = index;
  if (index > 0) {
    chain.parent = blocks_[i - 1];
    chain.parent_generation = generations_[i - 1];
  }
  const uint32_t block = pool_->Publish(blocks_[i], chain, hash, cost);
  if (block != blocks_[i]) {
    // The next block, if there is one, is neither published nor shared, so nobody's chain breaks.
    pool_->Release(blocks_[i], generations_[i]);
    blocks_[i] = block;
    generations_[i] = pool_->blocks_.generation(block);
  }
  return pool_->IsHashed(block);
}

BlockTable BlockTable::Fork(int64_t tokens) const {
  CHECK(pool_ != nullptr);
  const int64_t shared = tokens / pool_->block_size();
  CHECK_GE(shared, 0);
  CHECK_LE(shared, size());
  BlockTable child(pool_);
  for (size_t i = 0; i < static_cast<size_t>(shared); ++i) {
    CHECK_EQ(pool_->blocks_.generation(blocks_[i]), generations_[i]);
    pool_->Share(blocks_[i]);
    child.PushBlock(blocks_[i]);
  }
  return child;
}

bool BlockTable::MakeWritable(int64_t index, std::optional<PageCopy>* copy, bool allow_pins) {
  CHECK_GE(index, 0);
  CHECK_LT(index, size());
  *copy = std::nullopt;
  const size_t i = static_cast<size_t>(index);
  const uint32_t block = blocks_[i];
  CHECK_EQ(pool_->blocks_.generation(block), generations_[i]);
  if (index + 1 < size()) {
    CHECK(!pool_->IsHashed(blocks_[i + 1]));
    CHECK_LE(pool_->blocks_.ref(blocks_[i + 1]), 1u);
  }
  const bool shared = pool_->blocks_.ref(block) > 1;
  if (!shared && !pool_->IsHashed(block)) {
    return true;
  }
  if (!pool_->EnsureFree(1, allow_pins)) {
    return !shared && pool_->Withdraw(block, allow_pins);
  }
  const uint32_t fresh = pool_->Take();
  pool_->Release(block, generations_[i]);
  blocks_[i] = fresh;
  generations_[i] = pool_->blocks_.generation(fresh);
  *copy = PageCopy{block, fresh};
  return true;
}

void BlockTable::Truncate(int64_t tokens) {
  CHECK_GE(tokens, 0);
  while (!blocks_.empty() && size() > pool_->BlocksFor(tokens)) {
    PopBlock();
  }
}

void BlockTable::Clear() {
  while (!blocks_.empty()) {
    PopBlock();
  }
}

int64_t BlockTable::exclusive_blocks() const {
  // Whoever holds a block holds those before it, so the shared ones come first; mostly there are
  // none.
  if (blocks_.empty() || pool_->blocks_.ref(blocks_.front()) <= 1) {
    return size();
  }
  const auto first = std::partition_point(blocks_.begin(), blocks_.end(), [this](uint32_t block) {
    return pool_->blocks_.ref(block) > 1;
  });
  return blocks_.end() - first;
}

int64_t BlockTable::FirstLost() const {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (pool_->blocks_.generation(blocks_[i]) != generations_[i]) {
      return static_cast<int64_t>(i);
    }
  }
  return size();
}

}  // namespace scoville::device
