// The identity of a prefix: one 128-bit hash a full block, chained from the block before, so that
// two sequences share a block exactly if all tokens up to its end are the same.
//
//   root = H(secret, tenant, model, KV format),  hash of block i = H(hash of block i-1, its tokens)
//
// The root takes in whatever makes equal tokens not shareable. The secret is drawn by the server at
// start: no client can work out from timings which prompts of other tenants are cached, or aim at a
// collision. H is XXH3 with 128 bits (base/stable_hash.h): the same on every machine, so a router
// may compute it away from the pool. Chained block hashes are those of vLLM (`kv_cache_utils.py`).
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_DEVICE_KV_PREFIX_HASH_H_
#define SCOVILLE_DEVICE_KV_PREFIX_HASH_H_

#include <compare>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville::device {

struct BlockHash {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const BlockHash&, const BlockHash&) = default;
  friend auto operator<=>(const BlockHash&, const BlockHash&) = default;
};

BlockHash PrefixRoot(uint64_t secret, absl::string_view tenant, absl::string_view model,
                     absl::string_view kv_format);

BlockHash NextBlockHash(const BlockHash& parent, absl::Span<const int32_t> tokens_of_block);

// The hashes of the full blocks of `tokens`; a partial block at the end has none.
std::vector<BlockHash> HashBlocks(const BlockHash& root, absl::Span<const int32_t> tokens,
                                  int64_t block_size);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_KV_PREFIX_HASH_H_
