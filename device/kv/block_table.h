// The KV blocks of one sequence, in the order of its tokens.
//
// A table owns references to blocks of its pool and gives them back when it goes: it can be moved,
// not copied, so a leak is a type error. Blocks may be shared with other tables: those of a common
// prefix (Attach, Publish) and those of a fork. Sharing runs from the first block on, so what a
// table shares is a prefix of it.
//
// The life of a sequence: Attach what is cached of its prompt, Grow for each step, Publish each
// block whose last token is computed, Clear at the end. One that branches is Forked. A write into a
// block that others see or that is published needs MakeWritable first.
//
// Units: tokens; blocks of the pool's block_size() tokens. Ownership: borrows the pool, which must
// outlive it. Threading: engine thread only. Errors: a full pool is a value (false, with nothing
// changed); what only a programmer's mistake can bring about is a CHECK.
#ifndef SCOVILLE_DEVICE_KV_BLOCK_TABLE_H_
#define SCOVILLE_DEVICE_KV_BLOCK_TABLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "device/kv/prefix_hash.h"

namespace scoville::device {

class BlockPool;

// The bytes of page `from` are wanted in page `to`, before anything else of the pool is written or
// given away: `from` may already have another owner.
struct PageCopy {
  uint32_t from = 0;
  uint32_t to = 0;
};

class BlockTable {
 public:
  BlockTable() = default;
  explicit BlockTable(BlockPool* pool) : pool_(pool) {}
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable() { Clear(); }

  // References the longest prefix of `hashes` that the pool holds and returns its length in blocks.
  // Precondition: the table is empty. O(blocks found + log(hashes)).
  int64_t Attach(absl::Span<const BlockHash> hashes);

  // Makes the table cover `tokens` tokens. False, with nothing changed, when the pool has too few
  // free blocks. With `allow_pins`, pinned blocks may be taken once nothing else is left.
  [[nodiscard]] bool Grow(int64_t tokens, bool allow_pins = false);

  // Block `index` is full and will not change: from now on others may find it under `hash`. If the
  // pool already has such a block, this table's own gives way to it (the page number changes; the
  // bytes are the same) and is free. `cost` of recomputing it in any fixed unit, for instance
  // picojoules; zero: by the pool's options.
  //
  // False when it cannot be found under `hash` now: no prefix cache, or the block before it is not
  // published itself (publish in order), or a fork holds it and another has its hash.
  bool Publish(int64_t index, const BlockHash& hash, int64_t cost = 0);

  // A table that shares the full blocks of the first `tokens` tokens with this one. The partial
  // block at the end, if any, is the child's to Grow and to copy or recompute.
  BlockTable Fork(int64_t tokens) const;

  // Makes block `index` this table's own and unpublished, taking another page if others share it or
  // may find it. False, with nothing changed, if that needs a page and none is free. On success
  // `copy` says what has to be copied, if anything. Precondition: the block after it is neither
  // published nor shared (Truncate first). In a full pool, a published block that only this table
  // uses is withdrawn in place, so a sequence that is alone never fails here; if it is pinned, only
  // with `allow_pins`.
  [[nodiscard]] bool MakeWritable(int64_t index, std::optional<PageCopy>* copy,
                                  bool allow_pins = false);

  // Drops the blocks beyond the first `tokens` tokens, the last one first.
  void Truncate(int64_t tokens);
  // Gives every block back, the last one first: the published ones stay cached.
  void Clear();

  // Page numbers; valid until the next call that is not const.
  absl::Span<const uint32_t> blocks() const { return blocks_; }
  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }
  // The blocks that no other table references: what dropping this table frees. O(log size).
  int64_t exclusive_blocks() const;
  // The index of the first block whose page was lost, else size(): what is from there on has to be
  // truncated and computed again. O(size).
  int64_t FirstLost() const;

 private:
  void PopBlock();
  void PushBlock(uint32_t block);

  BlockPool* pool_ = nullptr;
  std::vector<uint32_t> blocks_;
  std::vector<uint32_t> generations_;  // of each block when it was taken
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_BLOCK_TABLE_H_
