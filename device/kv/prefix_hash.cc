#include "device/kv/prefix_hash.h"

#include <cstddef>
#include <cstring>

#include "base/stable_hash.h"
#include "base/status_macros.h"

namespace scoville::device {
namespace {

BlockHash FromHash128(const Hash128& hash) { return BlockHash{hash.high, hash.low}; }

// Blocks up to this many tokens are hashed without allocating.
constexpr size_t kStackTokens = 256;

}  // namespace

BlockHash PrefixRoot(uint64_t secret, absl::string_view tenant, absl::string_view model,
                     absl::string_view kv_format) {
  StableHasher hasher;
  hasher.Add(secret);
  hasher.Add(tenant);
  hasher.Add(model);
  hasher.Add(kv_format);
  return FromHash128(hasher.hash());
}

BlockHash NextBlockHash(const BlockHash& parent, absl::Span<const int32_t> tokens_of_block) {
  unsigned char on_stack[sizeof(BlockHash) + kStackTokens * sizeof(int32_t)];
  std::vector<unsigned char> on_heap;
  unsigned char* bytes = on_stack;
  const size_t size = sizeof(BlockHash) + tokens_of_block.size() * sizeof(int32_t);
  if (tokens_of_block.size() > kStackTokens) {
    on_heap.resize(size);
    bytes = on_heap.data();
  }
  std::memcpy(bytes, &parent, sizeof(parent));
  if (!tokens_of_block.empty()) {
    std::memcpy(bytes + sizeof(parent), tokens_of_block.data(), size - sizeof(parent));
  }
  return FromHash128(StableHash128(bytes, size));
}

std::vector<BlockHash> HashBlocks(const BlockHash& root, absl::Span<const int32_t> tokens,
                                  int64_t block_size) {
  CHECK_GT(block_size, 0);
  const size_t step = static_cast<size_t>(block_size);
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / step);
  BlockHash parent = root;
  for (size_t at = 0; at + step <= tokens.size(); at += step) {
    parent = NextBlockHash(parent, tokens.subspan(at, step));
    hashes.push_back(parent);
  }
  return hashes;
}

}  // namespace scoville::device
