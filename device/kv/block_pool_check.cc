// The pool's invariants, by walking everything.
#include <vector>

#include "base/status_macros.h"
#include "device/kv/block_pool.h"

namespace scoville::device {

int64_t BlockPool::CheckFreeList() const {
  int64_t free = 0;
  for (uint32_t block = free_; block != kNoBlock; block = blocks_.next(block)) {
    CHECK(blocks_.standing(block).state == BlockState::kFree);
    ++free;
    CHECK_LE(free, int64_t{blocks_.size()});  // a list, not a ring
  }
  return free;
}

void BlockPool::CheckBlock(uint32_t block, int64_t children) const {
  const BlockStanding& standing = blocks_.standing(block);
  const bool referenced = standing.state == BlockState::kReferenced;
  CHECK_EQ(int64_t{blocks_.children(block)}, children);
  if (referenced || standing.state == BlockState::kMending) {
    CHECK_GT(blocks_.ref(block), 0u);
  } else if (standing.state != BlockState::kBad) {
    CHECK_EQ(blocks_.ref(block), 0u);
  }
  if (standing.hashed) {
    CHECK(referenced || standing.state == BlockState::kCached);
    CHECK_EQ(index_.Find(blocks_.hash(block)), block);
  } else {
    CHECK(standing.state != BlockState::kCached);
    CHECK(!standing.pinned);
    CHECK_EQ(blocks_.parent(block), kNoBlock);
  }
  const uint32_t parent = blocks_.parent(block);
  if (parent != kNoBlock) {
    const BlockStanding& before = blocks_.standing(parent);
    CHECK(before.hashed);
    // Whoever holds or pins a block does so with those before it.
    CHECK_LE(blocks_.ref(block), blocks_.ref(parent));
    CHECK(before.pinned || !standing.pinned);
  }
}

void BlockPool::CheckInvariants() const {
  int64_t count[5] = {0, 0, 0, 0, 0};
  int64_t pinned = 0;
  int64_t pins = 0;
  int64_t hashed = 0;
  int64_t references = 0;
  std::vector<uint32_t> children(blocks_.size(), 0);
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    const BlockStanding& standing = blocks_.standing(block);
    ++count[static_cast<size_t>(standing.state)];
    pins += standing.pinned;
    pinned += standing.pinned && standing.state == BlockState::kCached;
    hashed += standing.hashed;
    references += blocks_.ref(block);
    if (blocks_.parent(block) != kNoBlock) {
      ++children[blocks_.parent(block)];
    }
  }
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    CheckBlock(block, children[block]);
  }
  CHECK_EQ(count[static_cast<size_t>(BlockState::kReferenced)], used_);
  CHECK_EQ(count[static_cast<size_t>(BlockState::kCached)] - pinned, cached_);
  CHECK_EQ(pinned, pinned_);
  CHECK_EQ(count[static_cast<size_t>(BlockState::kBad)] +
               count[static_cast<size_t>(BlockState::kMending)],
           bad_);
  CHECK_EQ(count[static_cast<size_t>(BlockState::kFree)], CheckFreeList());
  CHECK_EQ(CheckFreeList() + capacity_ - int64_t{blocks_.size()}, idle_blocks());
  CHECK_EQ(references, entries_);
  CHECK_EQ(hashed, index_.size());
  CHECK_EQ(pins, pins_.size());
  CHECK_EQ(waiting_.size(), cached_);
  waiting_.CheckInvariants();
  CHECK(options_.prefix_cache || hashed == 0);
}

}  // namespace scoville::device
