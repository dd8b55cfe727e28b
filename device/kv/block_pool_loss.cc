// Pages that are lost and repaired.
#include <algorithm>

#include "base/status_macros.h"
#include "device/kv/block_pool.h"

namespace scoville::device {
namespace {

constexpr uint8_t kSafe = 0;
constexpr uint8_t kDoomed = 1;
constexpr uint8_t kUnknown = 2;

}  // namespace

void BlockPool::Describe(uint32_t end) {
  const uint32_t begin = blocks_.size();
  while (blocks_.size() < end) {
    blocks_.Add();
  }
  for (uint32_t block = std::max(begin, end); block > begin; --block) {
    PushFree(block - 1);
  }
}

std::vector<uint8_t> BlockPool::FindDoomed(absl::Span<const uint32_t> lost) const {
  std::vector<uint8_t> fate(blocks_.size(), kUnknown);
  for (const uint32_t block : lost) {
    fate[block] = kDoomed;
  }
  std::vector<uint32_t> path;
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    path.clear();
    uint32_t at = block;
    while (at != kNoBlock && fate[at] == kUnknown) {
      path.push_back(at);
      at = IsHashed(at) ? blocks_.parent(at) : kNoBlock;
    }
    const uint8_t found = at == kNoBlock ? kSafe : fate[at];
    for (const uint32_t b : path) {
      fate[b] = found;
    }
  }
  return fate;
}

void BlockPool::Forget(uint32_t block) {
  BlockStanding& standing = blocks_.standing(block);
  if (standing.pinned) {
    pins_.Remove(block);
    standing.pinned = false;
    if (standing.state == BlockState::kCached) {
      --pinned_;
      standing.state = BlockState::kFree;
    }
  } else if (standing.state == BlockState::kCached) {
    waiting_.Remove(block);
    --cached_;
    standing.state = BlockState::kFree;
  }
  if (standing.hashed) {
    Unpublish(block);
  }
}

void BlockPool::FilterFreeList() {
  uint32_t* link = &free_;
  while (*link != kNoBlock) {
    const uint32_t block = *link;
    if (blocks_.standing(block).state == BlockState::kFree) {
      link = &blocks_.next(block);
    } else {
      *link = blocks_.next(block);
    }
  }
}

int64_t BlockPool::LoseBlocks(absl::Span<const uint32_t> lost) {
  for (const uint32_t block : lost) {
    CHECK_LT(int64_t{block}, capacity_);
    Describe(block + 1);
  }
  const std::vector<uint8_t> fate = FindDoomed(lost);
  std::vector<uint32_t> freed;
  for (uint32_t block = 0; block < blocks_.size(); ++block) {
    if (fate[block] == kDoomed) {
      const bool cached = blocks_.standing(block).state == BlockState::kCached;
      Forget(block);
      if (cached) {
        freed.push_back(block);
      }
    }
  }
  int64_t newly = 0;
  for (const uint32_t block : lost) {
    BlockStanding& standing = blocks_.standing(block);
    if (standing.state == BlockState::kMending) {
      standing.state = BlockState::kBad;
    }
    if (standing.state == BlockState::kBad) {
      continue;
    }
    if (standing.state == BlockState::kReferenced) {
      --used_;
    }
    standing.state = BlockState::kBad;
    ++blocks_.generation(block);
    ++bad_;
    ++newly;
  }
  FilterFreeList();
  for (const uint32_t block : freed) {
    if (blocks_.standing(block).state == BlockState::kFree) {
      PushFree(block);
    }
  }
  return newly;
}

void BlockPool::RepairBlocks(absl::Span<const uint32_t> blocks) {
  for (const uint32_t block : blocks) {
    CHECK_LT(block, blocks_.size());
    BlockStanding& standing = blocks_.standing(block);
    CHECK(standing.state == BlockState::kBad || standing.state == BlockState::kMending);
    if (blocks_.ref(block) > 0) {
      standing.state = BlockState::kMending;
      continue;
    }
    standing.state = BlockState::kFree;
    --bad_;
    PushFree(block);
  }
}

}  // namespace scoville::device
