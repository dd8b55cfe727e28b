#include "base/stable_hash.h"

// In place: most of what is hashed is a few words, and a call costs as much as the hash.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

#include "absl/strings/str_format.h"

namespace scoville {

std::string Hash128::ToString() const { return absl::StrFormat("%016x%016x", high, low); }

Hash128 StableHash128(const void* data, size_t size, uint64_t seed) {
  const XXH128_hash_t h = XXH3_128bits_withSeed(data, size, seed);
  return Hash128{h.low64, h.high64};
}

uint64_t StableHash64(absl::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

void StableHasher::Add(uint64_t value) {
  const uint64_t block[3] = {state_.low, state_.high, value};
  state_ = StableHash128(block, sizeof(block), 0);
}

void StableHasher::Add(absl::string_view bytes) {
  Add(bytes.size());
  const uint64_t seed = state_.low ^ (state_.high * 0x9E3779B97F4A7C15u);
  const Hash128 h = StableHash128(bytes.data(), bytes.size(), seed);
  Add(h.low);
  Add(h.high);
}

}  // namespace scoville
