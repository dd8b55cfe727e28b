#include "device/kv/block_descriptors.h"

#include "base/status_macros.h"

namespace scoville::device {

uint32_t BlockDescriptors::Add() {
  CHECK_LT(size_, kNoBlock);
  if (size_ % kPageBlocks == 0) {
    pages_.push_back(std::make_unique_for_overwrite<Page>());
  }
  const uint32_t b = size_++;
  next(b) = kNoBlock;
  prev(b) = kNoBlock;
  parent(b) = kNoBlock;
  children(b) = 0;
  ref(b) = 0;
  generation(b) = 0;
  set_hash(b, BlockHash());
  key(b) = 0;
  standing(b) = BlockStanding{};
  return b;
}

}  // namespace scoville::device
