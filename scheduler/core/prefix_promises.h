// Blocks that are not computed yet but will be: which sequence of a device computes which block of
// a prompt, by the block's hash.
//
// A hash names a block with all that comes before it, so whoever computes a block computes every
// block before it that its device does not have: to wait for a promised block is to wait for the
// whole prefix. Each block of a device has one leader, the first that came with it.
//
// Units: blocks. Ownership: values. Threading: engine thread only. Errors: none: what was never
// promised is kept or withdrawn without a complaint. Looked up, never walked.
#ifndef SCOVILLE_SCHEDULER_CORE_PREFIX_PROMISES_H_
#define SCOVILLE_SCHEDULER_CORE_PREFIX_PROMISES_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "device/kv/prefix_hash.h"

namespace scoville::scheduler {

class PrefixPromises {
 public:
  // `leader`, a request on `device`, computes the blocks of `hashes`; those that somebody else has
  // promised there stay his. O(hashes).
  void Promise(int32_t device, uint64_t leader, absl::Span<const device::BlockHash> hashes);
  // They are in the cache now, or never will be. Those of other leaders stay. O(hashes).
  void Withdraw(int32_t device, uint64_t leader, absl::Span<const device::BlockHash> hashes);

  // Who computes the block there; 0: nobody.
  uint64_t Leader(int32_t device, const device::BlockHash& hash) const;
  // The longest prefix of `hashes` whose last block is promised on the device, where the block at
  // `from` is; 0 if it is not. Found by doubling steps and bisection, so that a gap may hide what
  // lies behind it. O(log).
  int64_t Reach(int32_t device, absl::Span<const device::BlockHash> hashes, int64_t from) const;
  // The devices on which somebody computes the block, in the order in which they promised it; valid
  // until the next change.
  absl::Span<const int32_t> Devices(const device::BlockHash& hash) const;

  bool empty() const { return size_ == 0; }
  int64_t size() const { return size_; }  // blocks, once for each device

 private:
  struct HashOfBlock {
    size_t operator()(const device::BlockHash& hash) const {
      return static_cast<size_t>(hash.high);  // uniform already
    }
  };
  struct Promised {
    absl::InlinedVector<int32_t, 2> devices;
    absl::InlinedVector<uint64_t, 2> leaders;  // of each device
  };

  absl::flat_hash_map<device::BlockHash, Promised, HashOfBlock> promised_;
  int64_t size_ = 0;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_CORE_PREFIX_PROMISES_H_
