#include "device/kv/block_pool.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

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

bool BlockTable::Grow(int64_t tokens) {
  CHECK(pool_ != nullptr);
  const int64_t wanted = pool_->BlocksFor(tokens);
  if (wanted - size() > pool_->free_blocks()) {
    return false;
  }
  while (size() < wanted) {
    const uint32_t block = pool_->Take();
    blocks_.push_back(block);
    generations_.push_back(pool_->generation_[block]);
  }
  return true;
}

void BlockTable::Clear() {
  while (!blocks_.empty()) {
    pool_->Release(blocks_.back(), generations_.back());
    blocks_.pop_back();
    generations_.pop_back();
  }
}

BlockPool::BlockPool(int64_t num_blocks, int64_t block_size)
    : num_blocks_(num_blocks), block_size_(block_size) {
  CHECK_GT(num_blocks, 0);
  CHECK_LT(num_blocks, int64_t{UINT32_MAX});
  CHECK_GT(block_size, 0);
}

BlockPool::~BlockPool() { CHECK_EQ(used_, 0); }

uint32_t BlockPool::Take() {
  uint32_t block;
  if (free_.empty()) {
    CHECK_LT(static_cast<int64_t>(generation_.size()), num_blocks_);
    block = static_cast<uint32_t>(generation_.size());
    generation_.push_back(0);
    referenced_.push_back(0);
  } else {
    block = free_.back();
    free_.pop_back();
  }
  CHECK_EQ(int{referenced_[block]}, 0);
  referenced_[block] = 1;
  ++generation_[block];
  ++used_;
  peak_used_ = std::max(peak_used_, used_);
  return block;
}

void BlockPool::Release(uint32_t block, uint32_t generation) {
  CHECK_LT(size_t{block}, generation_.size());
  CHECK_EQ(int{referenced_[block]}, 1);
  CHECK_EQ(generation_[block], generation);
  referenced_[block] = 0;
  free_.push_back(block);
  --used_;
}

void BlockPool::CheckInvariants() const {
  int64_t referenced = 0;
  for (uint8_t r : referenced_) {
    referenced += r;
  }
  CHECK_EQ(referenced, used_);
  CHECK_EQ(referenced + static_cast<int64_t>(free_.size()),
           static_cast<int64_t>(generation_.size()));
  std::vector<uint8_t> seen(generation_.size(), 0);
  for (uint32_t block : free_) {
    CHECK_EQ(int{referenced_[block]}, 0);
    CHECK_EQ(int{seen[block]}, 0);
    seen[block] = 1;
  }
}

}  // namespace scoville::device
