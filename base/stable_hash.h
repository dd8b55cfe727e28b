// A hash that is the same in every process, build and machine: for ids, decisions and the event
// hash of a run.
//
// XXH3 with 128 bits over little-endian bytes (absl::Hash is salted per process and must never
// reach an output).
//
// Threading: a StableHasher belongs to one thread. Errors: none.
#ifndef SCOVILLE_BASE_STABLE_HASH_H_
#define SCOVILLE_BASE_STABLE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace scoville {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;

  friend bool operator==(const Hash128&, const Hash128&) = default;
  // 32 hexadecimal digits, high half first.
  std::string ToString() const;
};

Hash128 StableHash128(const void* data, size_t size, uint64_t seed = 0);
uint64_t StableHash64(absl::string_view bytes, uint64_t seed = 0);

// Chains integers and strings into one 128-bit value; the order of the calls matters.
class StableHasher {
 public:
  void Add(uint64_t value);
  void Add(absl::string_view bytes);
  Hash128 hash() const { return state_; }

 private:
  Hash128 state_;
};

}  // namespace scoville

#endif  // SCOVILLE_BASE_STABLE_HASH_H_
