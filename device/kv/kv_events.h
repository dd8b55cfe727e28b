// What a block pool tells others: which prefixes it holds (for the directory of a router), and what
// it is about to forget (for a second tier).
//
// Calls come from inside a pool's operations, in the order of the changes. A sink must not call the
// pool back. Threading: engine thread. Errors: none.
#ifndef SCOVILLE_DEVICE_KV_KV_EVENTS_H_
#define SCOVILLE_DEVICE_KV_KV_EVENTS_H_

#include <cstdint>

#include "device/kv/prefix_hash.h"

namespace scoville::device {

class KvEventSink {
 public:
  virtual ~KvEventSink() = default;
  // A full block can now be found. `parent`: the block before it; all zeros for the first.
  virtual void OnStored(const BlockHash& hash, const BlockHash& parent) = 0;
  virtual void OnRemoved(const BlockHash& hash) = 0;
};

// A cached block whose page is about to be used for something else; its bytes are still there.
struct EvictedBlock {
  uint32_t block = 0;  // page number in the pool
  BlockHash hash;
  int64_t cost = 0;  // of recomputing it, in the pool's unit, to 8 bits
};

class EvictionSink {
 public:
  virtual ~EvictionSink() = default;
  virtual void OnEvicted(const EvictedBlock& evicted) = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_KV_EVENTS_H_
