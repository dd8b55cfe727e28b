// Which cached block is forgotten first: the one whose loss costs least, as a queue.
//
// GreedyDual-Size (Cao and Irani, "Cost-Aware WWW Proxy Caching Algorithms", USITS '97): a block
// that nobody references gets the key clock + value, the block of the lowest key goes first, and
// the clock moves on to that key, so whatever is not hit ages. Value = (1 + hits) x cost to
// recompute the block at its depth; hits are halved at every turnover (as many evictions as there
// are blocks). Blocks are of one size, so the size of the paper's formula is the same for all.
//
// Values are rounded down to powers of two: 64 buckets. In a bucket all values are equal and the
// clock never goes back, so its first block in, first out, has its lowest key (CAMP:
// Ghandeharizadeh et al., "CAMP: A Cost Adaptive Multi-Queue Eviction Policy for Key-Value Stores",
// Middleware '14). The lowest of the 64 heads is kept in a winner tree: six comparisons for each
// change, so every operation is O(1) whatever the number of blocks.
//
// A block's `floor` lifts it to at least the bucket of its children. A child waits no later than
// its parent does (tables let go of the last block first), so it comes out before its parent, and
// what is cached of a prefix stays a prefix.
//
// Units: cost in any fixed unit, for instance picojoules. Ownership: borrows the descriptors.
// Threading: none. Errors: none; preconditions are CHECKs.
#ifndef SCOVILLE_DEVICE_KV_EVICTION_BUCKETS_H_
#define SCOVILLE_DEVICE_KV_EVICTION_BUCKETS_H_

#include <array>
#include <cstdint>

#include "device/kv/block_descriptors.h"

namespace scoville::device {

// 8 bits of exponent and 8 of mantissa; costs are clamped to [1, 2^40].
uint16_t CompressCost(int64_t cost);
int64_t ExpandCost(uint16_t compressed);

class EvictionBuckets {
 public:
  static constexpr int kBuckets = 64;

  // A turnover is `blocks_per_turnover` evictions.
  EvictionBuckets(BlockDescriptors* blocks, int64_t blocks_per_turnover);

  // The block can be found from now on; `cost`: to recompute it.
  void Start(uint32_t block, int64_t cost);
  // A hit.
  void Touch(uint32_t block);
  // The block waits from now on; returns its bucket.
  int Push(uint32_t block);
  void Remove(uint32_t block);
  // Takes out the block that goes first. Precondition: not empty.
  uint32_t PopFront();

  bool empty() const { return size_ == 0; }
  int64_t size() const { return size_; }
  uint64_t clock() const { return clock_; }

  // Walks every list; CHECKs that it is one, that keys ascend and that the winner has the least.
  void CheckInvariants() const;

 private:
  uint8_t DecayedReuse(const BlockStanding& standing) const;
  uint8_t epoch() const { return static_cast<uint8_t>(evicted_ / blocks_per_turnover_); }
  void Unlink(uint32_t block);
  // The head of `bucket` changed.
  void Replay(int bucket);
  // Keys and the clock are lowered by the clock.
  void Rebase();

  BlockDescriptors* blocks_;
  const int64_t blocks_per_turnover_;
  int64_t size_ = 0;
  int64_t evicted_ = 0;
  uint64_t clock_ = 0;
  std::array<uint32_t, kBuckets> head_;
  std::array<uint32_t, kBuckets> tail_;
  std::array<uint64_t, kBuckets> head_key_;  // all ones: empty
  std::array<uint8_t, kBuckets> winner_;     // of node i of the tree; 1 is the root
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_EVICTION_BUCKETS_H_
