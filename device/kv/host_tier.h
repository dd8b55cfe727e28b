// A second home for KV blocks in host memory: what a device's pool evicts is kept here under the
// same hash, and copied back when that costs less time and energy than computing it again.
//
// The tier is an EvictionSink: give it to the pool's options. A block that is already here is only
// refreshed; else it takes an idle page, or that of the block whose loss costs least (the order of
// eviction_buckets.h); if every page is reserved, it is dropped. A load reserves its blocks first:
// reserved blocks are never replaced, so no storm of evictions can touch a copy under way. A block
// stays here when it has been loaded.
//
// What is here need not be closed under prefixes: the device evicts the end of a prefix first, so
// its beginning may still be there. Lookup therefore asks from a position on.
//
// Figures: LoadTime = bytes / bandwidth rounded up to a nanosecond, LoadEnergy = bytes x picojoules
// a byte; both for one transfer at a time. They come from the caller's device profile.
//
// Units: blocks, bytes, bytes/s, picojoules/byte. Ownership: every HostLoad must go before its tier
// (CHECK). Threading: engine thread only. Errors: a full tier is a value.
#ifndef SCOVILLE_DEVICE_KV_HOST_TIER_H_
#define SCOVILLE_DEVICE_KV_HOST_TIER_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "base/units.h"
#include "device/kv/block_descriptors.h"
#include "device/kv/eviction_buckets.h"
#include "device/kv/kv_events.h"
#include "device/kv/prefix_hash.h"
#include "device/kv/prefix_index.h"

namespace scoville::device {

struct HostTierOptions {
  int64_t capacity_blocks = 0;
  Bytes bytes_per_block{};
  int64_t bytes_per_second = 0;
  int64_t picojoules_per_byte = 0;
};

class HostTier;

// Blocks of the tier that are being copied to a device; gives them back when it goes.
class HostLoad {
 public:
  HostLoad() = default;
  HostLoad(HostLoad&& other) noexcept;
  HostLoad& operator=(HostLoad&& other) noexcept;
  ~HostLoad() { Release(); }

  void Release();
  absl::Span<const uint32_t> pages() const { return pages_; }
  int64_t size() const { return static_cast<int64_t>(pages_.size()); }

 private:
  friend class HostTier;

  HostTier* tier_ = nullptr;
  std::vector<uint32_t> pages_;
};

class HostTier : public EvictionSink {
 public:
  // Copies the bytes of a device's page to a host page, at once.
  using CopyOut = absl::AnyInvocable<void(uint32_t device_page, uint32_t host_page)>;

  explicit HostTier(const HostTierOptions& options);
  ~HostTier() override;
  HostTier(const HostTier&) = delete;
  HostTier& operator=(const HostTier&) = delete;

  // For an executor that keeps real bytes.
  void set_copy_out(CopyOut copy_out) { copy_out_ = std::move(copy_out); }

  struct Stored {
    uint32_t page = 0;
    bool fresh = false;  // the page's bytes have to be written
  };
  // Nothing if every page is reserved.
  std::optional<Stored> Store(const BlockHash& hash, int64_t cost);
  void OnEvicted(const EvictedBlock& evicted) override;

  // How many blocks are here without a gap from hashes[position] on.
  int64_t Lookup(absl::Span<const BlockHash> hashes, int64_t position = 0) const;
  // Reserves the first `blocks` from hashes[position] on (CHECK: they are here).
  HostLoad Reserve(absl::Span<const BlockHash> hashes, int64_t position, int64_t blocks);

  Duration LoadTime(int64_t blocks) const;
  Energy LoadEnergy(int64_t blocks) const;

  int64_t capacity_blocks() const { return options_.capacity_blocks; }
  int64_t held_blocks() const { return index_.size(); }
  int64_t reserved_blocks() const { return reserved_; }  // a block of two loads counts once
  int64_t stored_blocks() const { return stored_; }      // pages written so far
  int64_t dropped_blocks() const { return dropped_; }    // refused, as every page was reserved

  void CheckInvariants() const;

 private:
  friend class HostLoad;

  void Release(uint32_t page);

  const HostTierOptions options_;
  CopyOut copy_out_;
  int64_t reserved_ = 0;
  int64_t references_ = 0;  // of all loads
  int64_t stored_ = 0;
  int64_t dropped_ = 0;
  BlockDescriptors blocks_;  // each is held from the time it is added
  PrefixIndex index_;
  EvictionBuckets waiting_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_HOST_TIER_H_
