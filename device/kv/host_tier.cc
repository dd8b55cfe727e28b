#include "device/kv/host_tier.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace scoville::device {

HostLoad::HostLoad(HostLoad&& other) noexcept
    : tier_(std::exchange(other.tier_, nullptr)), pages_(std::exchange(other.pages_, {})) {}

HostLoad& HostLoad::operator=(HostLoad&& other) noexcept {
  if (this != &other) {
    Release();
    tier_ = std::exchange(other.tier_, nullptr);
    pages_ = std::exchange(other.pages_, {});
  }
  return *this;
}

void HostLoad::Release() {
  while (!pages_.empty()) {
    tier_->Release(pages_.back());
    pages_.pop_back();
  }
}

HostTier::HostTier(const HostTierOptions& options)
    : options_(options),
      index_(&blocks_, options.capacity_blocks),
      waiting_(&blocks_, std::max(options.capacity_blocks, int64_t{1})) {
  CHECK_GE(options.capacity_blocks, 0);
  CHECK_LT(options.capacity_blocks, int64_t{UINT32_MAX});
  CHECK_GE(options.bytes_per_block.value(), 0);
  CHECK_GT(options.bytes_per_second, 0);
  CHECK_GE(options.picojoules_per_byte, 0);
}

HostTier::~HostTier() { CHECK_EQ(references_, 0); }

std::optional<HostTier::Stored> HostTier::Store(const BlockHash& hash, int64_t cost) {
  const uint32_t held = index_.Find(hash);
  if (held != kNoBlock) {
    if (blocks_.standing(held).state == BlockState::kCached) {
      waiting_.Remove(held);
      waiting_.Push(held);
    }
    return Stored{held, false};
  }
  uint32_t page;
  if (int64_t{blocks_.size()} < options_.capacity_blocks) {
    page = blocks_.Add();
  } else if (!waiting_.empty()) {
    page = waiting_.PopFront();
    index_.Erase(page);
  } else {
    ++dropped_;
    return std::nullopt;
  }
  BlockStanding& standing = blocks_.standing(page);
  standing.state = BlockState::kCached;
  standing.hashed = true;
  blocks_.set_hash(page, hash);
  index_.Insert(page);
  waiting_.Start(page, cost);
  waiting_.Push(page);
  ++stored_;
  return Stored{page, true};
}

void HostTier::OnEvicted(const EvictedBlock& evicted) {
  const std::optional<Stored> stored = Store(evicted.hash, evicted.cost);
  if (stored.has_value() && stored->fresh && copy_out_ != nullptr) {
    copy_out_(evicted.block, stored->page);
  }
}

int64_t HostTier::Lookup(absl::Span<const BlockHash> hashes, int64_t position) const {
  CHECK_GE(position, 0);
  size_t at = static_cast<size_t>(position);
  while (at < hashes.size() && index_.Find(hashes[at]) != kNoBlock) {
    ++at;
  }
  return static_cast<int64_t>(at) - position;
}

HostLoad HostTier::Reserve(absl::Span<const BlockHash> hashes, int64_t position, int64_t blocks) {
  CHECK_GE(position, 0);
  CHECK_LE(position + blocks, static_cast<int64_t>(hashes.size()));
  HostLoad load;
  load.tier_ = this;
  load.pages_.reserve(static_cast<size_t>(blocks));
  for (int64_t i = position; i < position + blocks; ++i) {
    const uint32_t page = index_.Find(hashes[static_cast<size_t>(i)]);
    CHECK_NE(page, kNoBlock);
    waiting_.Touch(page);
    if (blocks_.ref(page)++ == 0) {
      waiting_.Remove(page);
      blocks_.standing(page).state = BlockState::kReferenced;
      ++reserved_;
    }
    ++references_;
    load.pages_.push_back(page);
  }
  return load;
}

void HostTier::Release(uint32_t page) {
  CHECK_GT(blocks_.ref(page), 0u);
  --references_;
  if (--blocks_.ref(page) == 0) {
    blocks_.standing(page).state = BlockState::kCached;
    --reserved_;
    waiting_.Push(page);
  }
}

Duration HostTier::LoadTime(int64_t blocks) const {
  CHECK_GE(blocks, 0);
  const __int128 bytes = static_cast<__int128>(options_.bytes_per_block.value()) * blocks;
  const __int128 per_second = options_.bytes_per_second;
  return Duration(static_cast<int64_t>((bytes * 1'000'000'000 + per_second - 1) / per_second));
}

Energy HostTier::LoadEnergy(int64_t blocks) const {
  CHECK_GE(blocks, 0);
  const __int128 bytes = static_cast<__int128>(options_.bytes_per_block.value()) * blocks;
  return Energy::FromPicojoules(bytes * options_.picojoules_per_byte);
}

void HostTier::CheckInvariants() const {
  int64_t reserved = 0;
  int64_t references = 0;
  for (uint32_t page = 0; page < blocks_.size(); ++page) {
    const bool referenced = blocks_.standing(page).state == BlockState::kReferenced;
    CHECK(referenced || blocks_.standing(page).state == BlockState::kCached);
    CHECK_EQ(referenced, blocks_.ref(page) > 0);
    CHECK_EQ(index_.Find(blocks_.hash(page)), page);
    reserved += referenced;
    references += blocks_.ref(page);
  }
  CHECK_LE(int64_t{blocks_.size()}, options_.capacity_blocks);
  CHECK_EQ(index_.size(), int64_t{blocks_.size()});
  CHECK_EQ(reserved, reserved_);
  CHECK_EQ(references, references_);
  CHECK_EQ(waiting_.size() + reserved, int64_t{blocks_.size()});
  waiting_.CheckInvariants();
}

}  // namespace scoville::device
