// The state of every block that was ever used, as a structure of arrays in pages of 4,096.
//
// A page is allocated when the first of its blocks is used and its arrays are written only as far
// as blocks are, so ten thousand idle devices cost nothing. 56 bytes a block.
//
// Threading: none. Errors: an index that was not added is a programmer error, unchecked.
#ifndef SCOVILLE_DEVICE_KV_BLOCK_DESCRIPTORS_H_
#define SCOVILLE_DEVICE_KV_BLOCK_DESCRIPTORS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "device/kv/prefix_hash.h"

namespace scoville::device {

inline constexpr uint32_t kNoBlock = UINT32_MAX;

enum class BlockState : uint8_t {
  kFree,
  kCached,      // no reference; found by its hash until it is evicted
  kReferenced,  // by tables
  kBad,         // its page is lost
  kMending,     // its page is repaired, but tables still hold the lost one
};

// What decides how long a block stays cached, and in which state it is: one load for all of it.
// Trivial, so that a new page is not written at once; Add() clears it.
struct BlockStanding {
  uint16_t cost;   // to recompute it: CompressCost of eviction_buckets.h
  uint8_t bucket;  // while it waits for eviction
  uint8_t floor;   // at least the bucket of each child that waits
  uint8_t reuse;   // hits, halved for every turnover of the pool
  uint8_t epoch;   // the turnover of the last hit, modulo 256
  BlockState state;
  bool hashed : 1;
  bool pinned : 1;
};
static_assert(sizeof(BlockStanding) == 8);

class BlockDescriptors {
 public:
  static constexpr uint32_t kPageBlocks = 4'096;

  // Appends a free block and returns its index.
  uint32_t Add();
  uint32_t size() const { return size_; }

  // Links of whichever list the block is in.
  uint32_t& next(uint32_t b) { return At(b).next[b % kPageBlocks]; }
  uint32_t& prev(uint32_t b) { return At(b).prev[b % kPageBlocks]; }
  // The block before it in its prefix, while it is hashed.
  uint32_t& parent(uint32_t b) { return At(b).parent[b % kPageBlocks]; }
  uint32_t& children(uint32_t b) { return At(b).children[b % kPageBlocks]; }
  uint32_t& ref(uint32_t b) { return At(b).ref[b % kPageBlocks]; }
  uint32_t& generation(uint32_t b) { return At(b).generation[b % kPageBlocks]; }
  uint64_t& key(uint32_t b) { return At(b).key[b % kPageBlocks]; }
  BlockStanding& standing(uint32_t b) { return At(b).standing[b % kPageBlocks]; }

  uint32_t next(uint32_t b) const { return At(b).next[b % kPageBlocks]; }
  uint32_t prev(uint32_t b) const { return At(b).prev[b % kPageBlocks]; }
  uint32_t parent(uint32_t b) const { return At(b).parent[b % kPageBlocks]; }
  uint32_t children(uint32_t b) const { return At(b).children[b % kPageBlocks]; }
  uint32_t ref(uint32_t b) const { return At(b).ref[b % kPageBlocks]; }
  uint32_t generation(uint32_t b) const { return At(b).generation[b % kPageBlocks]; }
  BlockHash hash(uint32_t b) const {
    const RawHash& raw = At(b).hash[b % kPageBlocks];
    return BlockHash{raw.high, raw.low};
  }
  void set_hash(uint32_t b, const BlockHash& hash) {
    At(b).hash[b % kPageBlocks] = RawHash{hash.high, hash.low};
  }
  uint64_t key(uint32_t b) const { return At(b).key[b % kPageBlocks]; }
  const BlockStanding& standing(uint32_t b) const { return At(b).standing[b % kPageBlocks]; }

 private:
  struct RawHash {
    uint64_t high;
    uint64_t low;
  };
  struct Page {
    uint32_t next[kPageBlocks];
    uint32_t prev[kPageBlocks];
    uint32_t parent[kPageBlocks];
    uint32_t children[kPageBlocks];
    uint32_t ref[kPageBlocks];
    uint32_t generation[kPageBlocks];
    RawHash hash[kPageBlocks];
    uint64_t key[kPageBlocks];
    BlockStanding standing[kPageBlocks];
  };

  Page& At(uint32_t b) { return *pages_[b / kPageBlocks]; }
  const Page& At(uint32_t b) const { return *pages_[b / kPageBlocks]; }

  uint32_t size_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_BLOCK_DESCRIPTORS_H_
