// From a block's hash to the block: open addressing with linear probing, at most half full.
//
// A slot holds the block and 32 bits of its hash; the rest is compared in the descriptor. Removal
// shifts the entries behind it back, so there are no tombstones and nothing slows down with age.
// The table starts small and doubles, up to the first power of two with room for every block; then
// it allocates no more.
//
// Threading: none. Errors: removing what is not there is a CHECK; inserting a hash twice is not
// noticed (callers ask first).
#ifndef SCOVILLE_DEVICE_KV_PREFIX_INDEX_H_
#define SCOVILLE_DEVICE_KV_PREFIX_INDEX_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "device/kv/block_descriptors.h"
#include "device/kv/prefix_hash.h"

namespace scoville::device {

class PrefixIndex {
 public:
  // Borrows the descriptors, where the hashes are. At most `max_blocks` entries.
  PrefixIndex(const BlockDescriptors* blocks, int64_t max_blocks);

  // kNoBlock if no block has it.
  uint32_t Find(const BlockHash& hash) const;
  // How many leading hashes are held, given that what is held of a chain is a prefix of it: a
  // galloping search (Bentley and Yao, "An almost optimal algorithm for unbounded searching",
  // 1976), O(log of the answer) probes.
  int64_t FindPrefix(absl::Span<const BlockHash> hashes) const;
  // The block's hash is in its descriptor. Precondition: no block has it yet.
  void Insert(uint32_t block);
  void Erase(uint32_t block);

  int64_t size() const { return size_; }
  int64_t capacity() const { return static_cast<int64_t>(slots_.size()); }

 private:
  struct Slot {
    uint32_t block = kNoBlock;
    uint32_t tag = 0;  // the hash's lowest bits; where its probing begins
  };

  uint64_t mask() const { return slots_.size() - 1; }
  void Place(Slot slot);
  void Double();

  const BlockDescriptors* blocks_;
  const int64_t max_blocks_;
  int64_t size_ = 0;
  std::vector<Slot> slots_;  // a power of two, or none
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_PREFIX_INDEX_H_
