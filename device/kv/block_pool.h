// The paged KV cache's bookkeeping: which blocks of a device's memory are free, and who owns the
// others.
//
// Blocks are owned by BlockTables, which are move-only and give their blocks back when they go: a
// leak is a type error. Allocation and release are O(1) a block, the last released first out;
// descriptors exist only for blocks that were ever used, so an idle device costs nothing.
//
// Units: blocks of block_size() tokens. Ownership: by its device; every table must go before its
// pool (CHECK). Threading: engine thread only. Errors: a full pool is a value (Grow returns false
// and changes nothing). A block released twice or by a stale owner is a CHECK failure.
#ifndef SCOVILLE_DEVICE_KV_BLOCK_POOL_H_
#define SCOVILLE_DEVICE_KV_BLOCK_POOL_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace scoville::device {

class BlockPool;

// The blocks of one sequence, in the order of its tokens.
class BlockTable {
 public:
  BlockTable() = default;
  explicit BlockTable(BlockPool* pool) : pool_(pool) {}
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable() { Clear(); }

  // Makes the table cover `tokens` tokens. False, with nothing changed, when the pool has too few
  // free blocks.
  [[nodiscard]] bool Grow(int64_t tokens);
  // Gives every block back, the last one first.
  void Clear();

  // Page numbers; valid until the next Grow or Clear.
  absl::Span<const uint32_t> blocks() const { return blocks_; }
  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }

 private:
  BlockPool* pool_ = nullptr;
  std::vector<uint32_t> blocks_;
  std::vector<uint32_t> generations_;  // of each block when it was taken
};

class BlockPool {
 public:
  BlockPool(int64_t num_blocks, int64_t block_size);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  int64_t num_blocks() const { return num_blocks_; }
  int64_t block_size() const { return block_size_; }
  int64_t used_blocks() const { return used_; }
  int64_t free_blocks() const { return num_blocks_ - used_; }
  int64_t peak_used_blocks() const { return peak_used_; }
  int64_t BlocksFor(int64_t tokens) const { return (tokens + block_size_ - 1) / block_size_; }

  // Walks every descriptor and CHECKs that states, counts and the free list agree. O(blocks ever
  // used).
  void CheckInvariants() const;

 private:
  friend class BlockTable;

  uint32_t Take();  // precondition: free_blocks() > 0
  void Release(uint32_t block, uint32_t generation);

  const int64_t num_blocks_;
  const int64_t block_size_;

  int64_t used_ = 0;
  int64_t peak_used_ = 0;
  // Structure of arrays over the blocks ever used; those beyond are free and untouched.
  std::vector<uint32_t> generation_;
  std::vector<uint8_t> referenced_;
  std::vector<uint32_t> free_;  // LIFO
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_BLOCK_POOL_H_
