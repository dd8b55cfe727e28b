// Which devices hold how much of a prompt, for a pool too large to ask each of them.
//
// Fed by the KV events of the devices. An event names a block and its parent but not its position,
// so the eighth part that is kept is chosen by the hash itself (low bits zero; the hash is keyed
// with a secret, so nobody can aim at it), and the first blocks of prompts are all kept. Answers
// are therefore short by 8 blocks on average, never long by more than what was removed unseen;
// whoever is shortlisted is asked for the exact number.
//
// Pools are prefix-closed, so the deeper a block, the fewer its holders: the longest hits are found
// by bisection, O(log blocks) probes for each different length of a hit.
//
// Bounded: at most `capacity` (block, device) pairs, though at least one a device; beyond, the
// block whose last new holder came longest ago is forgotten with all its holders. Threading: engine
// thread. Errors: a device outside the pool is a CHECK; what was never stored is removed without a
// complaint.
#ifndef SCOVILLE_SCHEDULER_ROUTING_PREFIX_DIRECTORY_H_
#define SCOVILLE_SCHEDULER_ROUTING_PREFIX_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "device/kv/prefix_hash.h"

namespace scoville::scheduler {

class PrefixDirectory {
 public:
  static constexpr uint64_t kSampling = 8;  // a power of two
  static constexpr size_t kTieScan = 512;   // holders of one block that are looked at

  PrefixDirectory(int32_t devices, int64_t capacity);

  // One device more, which holds nothing.
  void AddDevice();

  // `parent`: the block before it; all zeros for the first of a prompt.
  void OnStored(int32_t device, const device::BlockHash& hash, const device::BlockHash& parent);
  void OnRemoved(int32_t device, const device::BlockHash& hash);
  // The device lost its cache.
  void Forget(int32_t device);

  struct Hit {
    int32_t device = -1;
    int64_t blocks = 0;  // at least, of the prompt's first
  };
  // Up to `k` devices, longest hit first, only those that `accept` takes; of equal hits those that
  // come first by `before`. Where more than kTieScan hold the same block, `turn` says at which of
  // them the look begins. `hits` is overwritten.
  void Longest(absl::Span<const device::BlockHash> hashes, int32_t k, uint64_t turn,
               absl::FunctionRef<bool(int32_t device)> accept,
               absl::FunctionRef<bool(int32_t a, int32_t b)> before, std::vector<Hit>* hits) const;

  int64_t pairs() const { return pairs_; }
  int64_t capacity() const { return capacity_; }
  int64_t blocks() const { return static_cast<int64_t>(slot_of_.size()); }
  int64_t forgotten() const { return forgotten_; }  // pairs dropped for lack of room
  // Whether any pair is of this device; looks at all of them.
  bool Knows(int32_t device) const;
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct HashOfBlock {
    size_t operator()(const device::BlockHash& hash) const {
      return static_cast<size_t>(hash.high);  // uniform already
    }
  };
  // A block and its holders; all in one list, oldest first.
  struct Slot {
    device::BlockHash hash;
    std::vector<int32_t> devices;  // ascending
    uint32_t older = kNone;
    uint32_t newer = kNone;
  };

  static bool Sampled(const device::BlockHash& hash) { return hash.low % kSampling == 0; }
  const Slot* Find(const device::BlockHash& hash) const;
  uint32_t MakeSlot(const device::BlockHash& hash);
  void LinkNewest(uint32_t slot);
  void Unlink(uint32_t slot);
  void DropSlot(uint32_t slot);
  void RemoveFrom(uint32_t slot, int32_t device);
  // The deepest kept block below `end` with more than `holders` holders; -1 if there is none.
  int64_t Deepest(absl::Span<const device::BlockHash> hashes, int64_t end, size_t holders) const;

  int32_t devices_;
  int64_t capacity_;
  int64_t pairs_ = 0;
  int64_t forgotten_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> unused_;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  // For looking up alone; never walked.
  absl::flat_hash_map<device::BlockHash, uint32_t, HashOfBlock> slot_of_;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_PREFIX_DIRECTORY_H_
