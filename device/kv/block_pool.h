// The paged KV cache's bookkeeping: which blocks of a device's memory are free, which hold a prefix
// that may come again, and which belong to sequences.
//
// Every block is in one state: idle (never used, or free: last in, first out), cached (found by the
// hash of its prefix, evicted when room is needed), pinned (cached, and not evicted before its pin
// expires), referenced (by BlockTables), bad (its page is lost). The counts of the five sum to
// capacity_blocks(). There is no reserved block: all of them can be used.
//
// What is found by hash is closed under prefixes: with a block, all before it. Hence the length of
// a hit is found by galloping, and whatever is cached can be evicted, the end of a prefix first
// (eviction_buckets.h has the order and its sources). Room is made in this order: idle, cached, and
// last, if the caller allows it, pinned blocks, the next to expire first.
//
// Taking, giving back, finding and publishing a block is O(1) each. Pins are O(log pins);
// LoseBlocks and DropCached are O(blocks).
//
// Units: blocks of block_size() tokens. Ownership: by its device; every table must go before its
// pool (CHECK); borrows the sinks of its options. Threading: engine thread only. Errors: a full
// pool is a value. A block released twice or by a stale owner is a CHECK failure.
#ifndef SCOVILLE_DEVICE_KV_BLOCK_POOL_H_
#define SCOVILLE_DEVICE_KV_BLOCK_POOL_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/kv/block_descriptors.h"
#include "device/kv/block_table.h"
#include "device/kv/eviction_buckets.h"
#include "device/kv/kv_events.h"
#include "device/kv/pin_book.h"
#include "device/kv/prefix_hash.h"
#include "device/kv/prefix_index.h"

namespace scoville::device {

struct KvCacheOptions {
  bool prefix_cache = false;
  int64_t pin_quota_blocks = 0;  // of one tenant
  // To recompute a block that is the i-th of its prefix: cost_base + i x cost_per_depth, in any
  // unit, clamped to [1, 2^40]. Attention reads all that came before, hence the second term.
  int64_t cost_base = 1;
  int64_t cost_per_depth = 0;
  KvEventSink* events = nullptr;
  EvictionSink* evictions = nullptr;
};

class BlockPool {
 public:
  BlockPool(int64_t num_blocks, int64_t block_size, const KvCacheOptions& options = {});
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Page numbers are below capacity_blocks(); num_blocks() of them are not lost.
  int64_t capacity_blocks() const { return capacity_; }
  int64_t num_blocks() const { return capacity_ - bad_; }
  int64_t block_size() const { return block_size_; }
  int64_t BlocksFor(int64_t tokens) const { return (tokens + block_size_ - 1) / block_size_; }
  bool prefix_cache() const { return options_.prefix_cache; }
  const KvCacheOptions& options() const { return options_; }

  int64_t idle_blocks() const { return capacity_ - used_ - cached_ - pinned_ - bad_; }
  int64_t cached_blocks() const { return cached_; }  // not the pinned ones
  int64_t pinned_blocks() const { return pinned_; }  // not those that tables reference, too
  int64_t used_blocks() const { return used_; }      // referenced; a shared block counts once
  int64_t bad_blocks() const { return bad_; }
  // What one Grow can take.
  int64_t free_blocks(bool allow_pins = false) const {
    return capacity_ - used_ - bad_ - (allow_pins ? 0 : pinned_);
  }
  int64_t peak_used_blocks() const { return peak_used_; }
  // Entries of all tables: a block shared by three counts thrice.
  int64_t table_entries() const { return entries_; }
  // Cached blocks that were forgotten to make room.
  int64_t evicted_blocks() const { return evicted_; }

  // How many leading blocks of a prefix are held. Changes nothing.
  int64_t LookupPrefix(absl::Span<const BlockHash> hashes) const;
  // Of `held` leading blocks that are held, how many tables reference: those take no free block
  // when another table attaches to them. O(log held).
  int64_t ReferencedPrefix(absl::Span<const BlockHash> hashes, int64_t held) const;
  // The page that holds this block, if one does.
  std::optional<uint32_t> FindBlock(const BlockHash& hash) const;

  // Keeps what is held of a prefix from eviction until `until` (a pin is never shortened), as far
  // as the tenant's quota goes. Returns how many leading blocks are pinned now.
  int64_t Pin(absl::Span<const BlockHash> hashes, absl::string_view tenant, TimePoint until);
  // Ends the pins whose time has come; their blocks are ordinary cached ones from then on. Returns
  // how many pins ended.
  int64_t ExpirePins(TimePoint now);
  int64_t TenantPins(absl::string_view tenant) const { return pins_.TenantBlocks(tenant); }

  // These pages are gone: they are bad from now on, and neither they nor what follows them in a
  // prefix is found any more. Tables that hold one keep it until they truncate (FirstLost). Returns
  // how many were not bad before.
  int64_t LoseBlocks(absl::Span<const uint32_t> blocks);
  // Bad pages (CHECK) work again: idle at once, or when the last table has let go of the lost one.
  void RepairBlocks(absl::Span<const uint32_t> blocks);

  // Who hears of what can be found from now on; nullptr: nobody. Borrowed.
  void ListenTo(KvEventSink* events) { options_.events = events; }
  // Tells one of all that can be found now, by page. O(blocks ever used).
  void TellHeld(KvEventSink* events) const;

  // Forgets all cached blocks that are not pinned; no eviction sink hears of it.
  void DropCached();

  // Walks every descriptor and CHECKs that states, counts, references, lists, index and pins agree
  // and that what is held is closed under prefixes. O(blocks ever used).
  void CheckInvariants() const;

 private:
  friend class BlockTable;

  struct Chain {  // where a block stands in its table
    uint32_t parent = kNoBlock;
    uint32_t parent_generation = 0;
    int64_t depth = 0;
  };

  uint32_t Take();  // precondition: an idle or cached block
  void Share(uint32_t block);
  void Release(uint32_t block, uint32_t generation);
  bool EnsureFree(int64_t blocks, bool allow_pins);
  // The block that stands for `block` from now on: itself, or the one that had the hash before.
  uint32_t Publish(uint32_t block, const Chain& chain, const BlockHash& hash, int64_t cost);
  // Unpublishes a block that its only owner wants to write. False if others build on it.
  bool Withdraw(uint32_t block, bool allow_pins);
  bool IsHashed(uint32_t block) const { return blocks_.standing(block).hashed; }

  void PushFree(uint32_t block);
  // Descriptors for all blocks below `end`.
  void Describe(uint32_t end);
  void Wait(uint32_t block);  // referenced or pinned before: now evictable
  uint32_t Evict();           // the block that goes first; tells the sinks
  void Unpublish(uint32_t block);
  void Unpin(uint32_t block);  // if no table references it, it waits from now on
  void BreakPins(int64_t blocks);
  // One value a block: it is lost, or follows a lost one in a prefix, or neither.
  std::vector<uint8_t> FindDoomed(absl::Span<const uint32_t> lost) const;
  void Forget(uint32_t block);  // pin, queue and hash; a cached block is free, but in no list
  void FilterFreeList();        // drops the blocks that are not free, adds none

  int64_t CheckFreeList() const;
  void CheckBlock(uint32_t block, int64_t children) const;

  const int64_t capacity_;
  const int64_t block_size_;
  KvCacheOptions options_;

  int64_t used_ = 0;
  int64_t cached_ = 0;
  int64_t pinned_ = 0;
  int64_t bad_ = 0;
  int64_t entries_ = 0;
  int64_t peak_used_ = 0;
  int64_t evicted_ = 0;

  BlockDescriptors blocks_;   // of the blocks ever used; those beyond are idle
  uint32_t free_ = kNoBlock;  // last in, first out
  PrefixIndex index_;
  EvictionBuckets waiting_;
  PinBook pins_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_BLOCK_POOL_H_
