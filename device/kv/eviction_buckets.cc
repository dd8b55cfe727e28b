#include "device/kv/eviction_buckets.h"

#include <algorithm>
#include <bit>

#include "base/status_macros.h"

namespace scoville::device {
namespace {

constexpr uint64_t kEmpty = UINT64_MAX;
constexpr int kMaxCostBits = 40;
constexpr int kMantissaBits = 8;
// Far enough from overflow for any key: the clock plus 2^63 at most.
constexpr uint64_t kRebaseClock = uint64_t{1} << 62;

int FloorLog2(uint64_t value) { return std::bit_width(value) - 1; }

}  // namespace

uint16_t CompressCost(int64_t cost) {
  const uint64_t clamped =
      static_cast<uint64_t>(std::clamp(cost, int64_t{1}, int64_t{1} << kMaxCostBits));
  const int exponent = FloorLog2(clamped);
  const uint64_t mantissa = exponent >= kMantissaBits ? clamped >> (exponent - kMantissaBits)
                                                      : clamped << (kMantissaBits - exponent);
  return static_cast<uint16_t>(exponent << kMantissaBits | (mantissa & 0xFF));
}

int64_t ExpandCost(uint16_t compressed) {
  const int exponent = compressed >> kMantissaBits;
  const int64_t mantissa = 256 + (compressed & 0xFF);
  return exponent >= kMantissaBits ? mantissa << (exponent - kMantissaBits)
                                   : mantissa >> (kMantissaBits - exponent);
}

EvictionBuckets::EvictionBuckets(BlockDescriptors* blocks, int64_t blocks_per_turnover)
    : blocks_(blocks), blocks_per_turnover_(blocks_per_turnover) {
  CHECK_GT(blocks_per_turnover, 0);
  head_.fill(kNoBlock);
  tail_.fill(kNoBlock);
  head_key_.fill(kEmpty);
  winner_.fill(0);
  for (int bucket = 0; bucket < kBuckets; bucket += 2) {
    Replay(bucket);
  }
}

uint8_t EvictionBuckets::DecayedReuse(const BlockStanding& standing) const {
  const int turnovers = static_cast<uint8_t>(epoch() - standing.epoch);
  return turnovers >= 8 ? 0 : static_cast<uint8_t>(standing.reuse >> turnovers);
}

void EvictionBuckets::Start(uint32_t block, int64_t cost) {
  BlockStanding& standing = blocks_->standing(block);
  standing.cost = CompressCost(cost);
  standing.floor = 0;
  standing.reuse = 0;
  standing.epoch = epoch();
}

void EvictionBuckets::Touch(uint32_t block) {
  BlockStanding& standing = blocks_->standing(block);
  standing.reuse = static_cast<uint8_t>(std::min(DecayedReuse(standing) + 1, 255));
  standing.epoch = epoch();
}

int EvictionBuckets::Push(uint32_t block) {
  if (clock_ >= kRebaseClock) {
    Rebase();
  }
  BlockStanding& standing = blocks_->standing(block);
  const uint64_t mantissa = 256u + (standing.cost & 0xFFu);
  const int value = (standing.cost >> kMantissaBits) - kMantissaBits +
                    FloorLog2(mantissa * (1u + DecayedReuse(standing)));
  const int bucket = std::max(value, int{standing.floor});
  const size_t b = static_cast<size_t>(bucket);
  standing.bucket = static_cast<uint8_t>(bucket);
  blocks_->key(block) = clock_ + (uint64_t{1} << bucket);
  blocks_->next(block) = kNoBlock;
  blocks_->prev(block) = tail_[b];
  if (tail_[b] == kNoBlock) {
    head_[b] = block;
    Replay(bucket);
  } else {
    blocks_->next(tail_[b]) = block;
  }
  tail_[b] = block;
  ++size_;
  return bucket;
}

void EvictionBuckets::Unlink(uint32_t block) {
  const int bucket = blocks_->standing(block).bucket;
  const size_t b = static_cast<size_t>(bucket);
  const uint32_t before = blocks_->prev(block);
  const uint32_t after = blocks_->next(block);
  if (after == kNoBlock) {
    tail_[b] = before;
  } else {
    blocks_->prev(after) = before;
  }
  if (before == kNoBlock) {
    head_[b] = after;
    Replay(bucket);
  } else {
    blocks_->next(before) = after;
  }
  --size_;
}

void EvictionBuckets::Remove(uint32_t block) {
  CHECK_GT(size_, 0);
  Unlink(block);
}

uint32_t EvictionBuckets::PopFront() {
  CHECK_GT(size_, 0);
  const uint32_t block = head_[winner_[1]];
  clock_ = blocks_->key(block);
  Unlink(block);
  ++evicted_;
  // The new head was read just now; whoever pops again will want the one behind it.
  const uint32_t head = head_[blocks_->standing(block).bucket];
  if (head != kNoBlock && blocks_->next(head) != kNoBlock) {
    __builtin_prefetch(&blocks_->standing(blocks_->next(head)));
  }
  return block;
}

void EvictionBuckets::Replay(int bucket) {
  const size_t b = static_cast<size_t>(bucket);
  head_key_[b] = head_[b] == kNoBlock ? kEmpty : blocks_->key(head_[b]);
  size_t node = (kBuckets + b) / 2;
  uint8_t left = static_cast<uint8_t>(b & ~size_t{1});
  uint8_t right = static_cast<uint8_t>(left + 1);
  while (true) {
    // Equal keys: the lower bucket, where children are.
    winner_[node] = head_key_[left] <= head_key_[right] ? left : right;
    node /= 2;
    if (node == 0) {
      return;
    }
    left = winner_[2 * node];
    right = winner_[2 * node + 1];
  }
}

void EvictionBuckets::Rebase() {
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    const uint32_t head = head_[static_cast<size_t>(bucket)];
    for (uint32_t b = head; b != kNoBlock; b = blocks_->next(b)) {
      blocks_->key(b) -= clock_;
    }
    Replay(bucket);
  }
  clock_ = 0;
}

void EvictionBuckets::CheckInvariants() const {
  int64_t found = 0;
  uint64_t least = kEmpty;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    uint32_t before = kNoBlock;
    uint64_t key = clock_;
    for (uint32_t b = head_[bucket]; b != kNoBlock; b = blocks_->next(b)) {
      CHECK_EQ(blocks_->prev(b), before);
      CHECK_EQ(size_t{blocks_->standing(b).bucket}, bucket);
      CHECK_GE(blocks_->key(b), key);
      key = blocks_->key(b);
      before = b;
      ++found;
    }
    CHECK_EQ(tail_[bucket], before);
    const bool empty = head_[bucket] == kNoBlock;
    CHECK_EQ(head_key_[bucket], empty ? kEmpty : blocks_->key(head_[bucket]));
    least = std::min(least, head_key_[bucket]);
  }
  CHECK_EQ(found, size_);
  CHECK_EQ(head_key_[winner_[1]], least);
}

}  // namespace scoville::device
