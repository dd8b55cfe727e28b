// The state of every block that was ever used: one cache line each, in pages of 4,096.
//
// Every operation on a block needs most of its fields and, of its neighbours in lists and chains,
// one or two; with an array for each field a scattered block costs a cache miss for each
// (measured: 2.9 times the time of a miss-evict-publish cycle in a pool of 100,000 blocks). A page
// is allocated when the first of its blocks is used and written only as far as blocks are, so ten
// thousand idle devices cost next to nothing.
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

// What decides how long a block stays cached, and in which state it is. Trivial, so that a new page
// is not written at once; Add() clears it.
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
  uint32_t& next(uint32_t b) { return At(b).next; }
  uint32_t& prev(uint32_t b) { return At(b).prev; }
  // The block before it in its prefix, while it is hashed.
  uint32_t& parent(uint32_t b) { return At(b).parent; }
  uint32_t& children(uint32_t b) { return At(b).children; }
  uint32_t& ref(uint32_t b) { return At(b).ref; }
  uint32_t& generation(uint32_t b) { return At(b).generation; }
  uint64_t& key(uint32_t b) { return At(b).key; }
  BlockStanding& standing(uint32_t b) { return At(b).standing; }

  uint32_t next(uint32_t b) const { return At(b).next; }
  uint32_t prev(uint32_t b) const { return At(b).prev; }
  uint32_t parent(uint32_t b) const { return At(b).parent; }
  uint32_t children(uint32_t b) const { return At(b).children; }
  uint32_t ref(uint32_t b) const { return At(b).ref; }
  uint32_t generation(uint32_t b) const { return At(b).generation; }
  BlockHash hash(uint32_t b) const {
    const Descriptor& d = At(b);
    return BlockHash{d.hash_high, d.hash_low};
  }
  void set_hash(uint32_t b, const BlockHash& hash) {
    Descriptor& d = At(b);
    d.hash_high = hash.high;
    d.hash_low = hash.low;
  }
  uint64_t key(uint32_t b) const { return At(b).key; }
  const BlockStanding& standing(uint32_t b) const { return At(b).standing; }

 private:
  // A cache line. Trivial: a new page is not written.
  struct alignas(64) Descriptor {
    uint64_t hash_high;
    uint64_t hash_low;
    uint64_t key;
    BlockStanding standing;
    uint32_t next;
    uint32_t prev;
    uint32_t parent;
    uint32_t children;
    uint32_t ref;
    uint32_t generation;
  };
  static_assert(sizeof(Descriptor) == 64);
  struct Page {
    Descriptor blocks[kPageBlocks];
  };

  Descriptor& At(uint32_t b) { return pages_[b / kPageBlocks]->blocks[b % kPageBlocks]; }
  const Descriptor& At(uint32_t b) const {
    return pages_[b / kPageBlocks]->blocks[b % kPageBlocks];
  }

  uint32_t size_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_BLOCK_DESCRIPTORS_H_
