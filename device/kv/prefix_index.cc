#include "device/kv/prefix_index.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace scoville::device {
namespace {

constexpr size_t kFirstSlots = 64;

uint32_t TagOf(const BlockHash& hash) { return static_cast<uint32_t>(hash.low); }

}  // namespace

PrefixIndex::PrefixIndex(const BlockDescriptors* blocks, int64_t max_blocks)
    : blocks_(blocks), max_blocks_(max_blocks) {}

uint32_t PrefixIndex::Find(const BlockHash& hash) const {
  if (size_ == 0) {
    return kNoBlock;
  }
  const uint32_t tag = TagOf(hash);
  for (uint64_t at = tag & mask();; at = (at + 1) & mask()) {
    const Slot& slot = slots_[at];
    if (slot.block == kNoBlock || (slot.tag == tag && blocks_->hash(slot.block) == hash)) {
      return slot.block;
    }
  }
}

int64_t PrefixIndex::FindPrefix(absl::Span<const BlockHash> hashes) const {
  const int64_t size = static_cast<int64_t>(hashes.size());
  const auto held = [&](int64_t i) { return Find(hashes[static_cast<size_t>(i)]) != kNoBlock; };
  // Invariant: the first `known` are held; `missing` is not, or is the end.
  int64_t known = 0;
  int64_t missing = size;
  for (int64_t step = 1; known < size; step *= 2) {
    const int64_t at = std::min(known + step, size) - 1;
    if (!held(at)) {
      missing = at;
      break;
    }
    known = at + 1;
  }
  while (known < missing) {
    const int64_t middle = known + (missing - known) / 2;
    if (held(middle)) {
      known = middle + 1;
    } else {
      missing = middle;
    }
  }
  return known;
}

void PrefixIndex::Place(Slot slot) {
  uint64_t at = slot.tag & mask();
  while (slots_[at].block != kNoBlock) {
    at = (at + 1) & mask();
  }
  slots_[at] = slot;
}

void PrefixIndex::Double() {
  const std::vector<Slot> old =
      std::exchange(slots_, std::vector<Slot>(std::max(kFirstSlots, 2 * slots_.size())));
  for (const Slot& slot : old) {
    if (slot.block != kNoBlock) {
      Place(slot);
    }
  }
}

void PrefixIndex::Insert(uint32_t block) {
  CHECK_LT(size_, max_blocks_);
  if (2 * (size_ + 1) > capacity()) {
    Double();
  }
  Place(Slot{block, TagOf(blocks_->hash(block))});
  ++size_;
}

void PrefixIndex::Erase(uint32_t block) {
  CHECK_GT(size_, 0);
  uint64_t hole = TagOf(blocks_->hash(block)) & mask();
  while (slots_[hole].block != block) {
    CHECK_NE(slots_[hole].block, kNoBlock);
    hole = (hole + 1) & mask();
  }
  // Whoever probed past the hole to get where it is moves into it (Knuth, volume 3, 6.4, algorithm
  // R).
  for (uint64_t at = (hole + 1) & mask(); slots_[at].block != kNoBlock; at = (at + 1) & mask()) {
    const uint64_t home = slots_[at].tag & mask();
    if (((at - home) & mask()) >= ((at - hole) & mask())) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = Slot();
  --size_;
}

}  // namespace scoville::device
