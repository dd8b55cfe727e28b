#include "scheduler/routing/prefix_directory.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {

using device::BlockHash;

namespace {
// Different lengths of hits that are looked at, where those with the longest ones have no room.
constexpr int32_t kLengths = 32;
}  // namespace

PrefixDirectory::PrefixDirectory(int32_t devices, int64_t capacity)
    : devices_(devices), capacity_(std::max<int64_t>(capacity, devices)) {}

void PrefixDirectory::AddDevice() {
  ++devices_;
  capacity_ = std::max<int64_t>(capacity_, devices_);
}

const PrefixDirectory::Slot* PrefixDirectory::Find(const BlockHash& hash) const {
  const auto found = slot_of_.find(hash);
  return found == slot_of_.end() ? nullptr : &slots_[found->second];
}

void PrefixDirectory::OnStored(int32_t device, const BlockHash& hash, const BlockHash& parent) {
  CHECK(device >= 0 && device < devices_);
  if (!Sampled(hash) && parent != BlockHash{}) {
    return;
  }
  const auto found = slot_of_.find(hash);
  const uint32_t slot = found == slot_of_.end() ? MakeSlot(hash) : found->second;
  std::vector<int32_t>& holders = slots_[slot].devices;
  const auto at = std::lower_bound(holders.begin(), holders.end(), device);
  if (at != holders.end() && *at == device) {
    return;
  }
  holders.insert(at, device);
  ++pairs_;
  // To the new end of the list: what still finds holders is worth keeping.
  Unlink(slot);
  LinkNewest(slot);
  while (pairs_ > capacity_) {
    forgotten_ += static_cast<int64_t>(slots_[oldest_].devices.size());
    DropSlot(oldest_);
  }
}

void PrefixDirectory::OnRemoved(int32_t device, const BlockHash& hash) {
  CHECK(device >= 0 && device < devices_);
  const auto found = slot_of_.find(hash);
  if (found != slot_of_.end()) {
    RemoveFrom(found->second, device);
  }
}

void PrefixDirectory::Forget(int32_t device) {
  CHECK(device >= 0 && device < devices_);
  for (uint32_t slot = oldest_; slot != kNone;) {
    const uint32_t next = slots_[slot].newer;
    RemoveFrom(slot, device);
    slot = next;
  }
}

uint32_t PrefixDirectory::MakeSlot(const BlockHash& hash) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t slot = unused_.back();
  unused_.pop_back();
  slots_[slot].hash = hash;
  slot_of_.emplace(hash, slot);
  LinkNewest(slot);
  return slot;
}

void PrefixDirectory::LinkNewest(uint32_t slot) {
  slots_[slot].older = newest_;
  slots_[slot].newer = kNone;
  (newest_ == kNone ? oldest_ : slots_[newest_].newer) = slot;
  newest_ = slot;
}

void PrefixDirectory::Unlink(uint32_t slot) {
  const Slot& s = slots_[slot];
  (s.older == kNone ? oldest_ : slots_[s.older].newer) = s.newer;
  (s.newer == kNone ? newest_ : slots_[s.newer].older) = s.older;
}

void PrefixDirectory::DropSlot(uint32_t slot) {
  Unlink(slot);
  slot_of_.erase(slots_[slot].hash);
  pairs_ -= static_cast<int64_t>(slots_[slot].devices.size());
  slots_[slot] = Slot{};
  unused_.push_back(slot);
}

void PrefixDirectory::RemoveFrom(uint32_t slot, int32_t device) {
  std::vector<int32_t>& holders = slots_[slot].devices;
  const auto at = std::lower_bound(holders.begin(), holders.end(), device);
  if (at == holders.end() || *at != device) {
    return;
  }
  holders.erase(at);
  --pairs_;
  if (holders.empty()) {
    DropSlot(slot);
  }
}

int64_t PrefixDirectory::Deepest(absl::Span<const BlockHash> hashes, int64_t end,
                                 size_t holders) const {
  int64_t deepest = -1;  // where there are enough
  int64_t low = 0;       // first position whose answer is open
  int64_t high = end;    // from here on there are too few
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    int64_t at = middle;
    while (at > low && !Sampled(hashes[static_cast<size_t>(at)])) {
      --at;
    }
    if (at > 0 && !Sampled(hashes[static_cast<size_t>(at)])) {
      low = middle + 1;  // nothing is kept between
      continue;
    }
    const Slot* slot = Find(hashes[static_cast<size_t>(at)]);
    if (slot != nullptr && slot->devices.size() > holders) {
      deepest = at;
      low = middle + 1;
    } else {
      high = at;
    }
  }
  return deepest;
}

void PrefixDirectory::Longest(absl::Span<const BlockHash> hashes, int32_t k, uint64_t turn,
                              absl::FunctionRef<bool(int32_t device)> accept,
                              absl::FunctionRef<bool(int32_t a, int32_t b)> before,
                              std::vector<Hit>* hits) const {
  hits->clear();
  const size_t wanted = static_cast<size_t>(std::max(k, 0));
  int64_t end = static_cast<int64_t>(hashes.size());
  size_t seen = 0;  // holders of the last block looked at: they hold all blocks before it, too
  for (int32_t lengths = 0; hits->size() < wanted && lengths < kLengths; ++lengths) {
    const int64_t at = Deepest(hashes, end, seen);
    if (at < 0) {
      return;
    }
    const std::vector<int32_t>& holders = Find(hashes[static_cast<size_t>(at)])->devices;
    const size_t first = hits->size();  // those of this length begin here
    const size_t look = std::min(holders.size(), kTieScan);
    size_t i = holders.size() > kTieScan ? turn % holders.size() : 0;
    for (size_t n = 0; n < look; ++n, i = i + 1 == holders.size() ? 0 : i + 1) {
      const int32_t device = holders[i];
      if (hits->size() == wanted && first < wanted && !before(device, hits->back().device)) {
        continue;
      }
      const auto is_it = [device](const Hit& hit) { return hit.device == device; };
      if (std::any_of(hits->begin(), hits->begin() + static_cast<ptrdiff_t>(first), is_it) ||
          !accept(device)) {
        continue;
      }
      // Insertion into the few that are kept, in order.
      const auto place =
          std::find_if(hits->begin() + static_cast<ptrdiff_t>(first), hits->end(),
                       [&before, device](const Hit& hit) { return before(device, hit.device); });
      hits->insert(place, Hit{device, at + 1});
      if (hits->size() > wanted) {
        hits->pop_back();
      }
    }
    seen = holders.size();
    end = at;
  }
}

bool PrefixDirectory::Knows(int32_t device) const {
  for (uint32_t slot = oldest_; slot != kNone; slot = slots_[slot].newer) {
    const std::vector<int32_t>& holders = slots_[slot].devices;
    if (std::binary_search(holders.begin(), holders.end(), device)) {
      return true;
    }
  }
  return false;
}

void PrefixDirectory::CheckInvariants() const {
  int64_t pairs = 0;
  size_t slots = 0;
  uint32_t older = kNone;
  for (uint32_t slot = oldest_; slot != kNone; older = slot, slot = slots_[slot].newer) {
    const Slot& s = slots_[slot];
    CHECK_EQ(s.older, older);
    CHECK(!s.devices.empty());
    CHECK(std::is_sorted(s.devices.begin(), s.devices.end()));
    CHECK(std::adjacent_find(s.devices.begin(), s.devices.end()) == s.devices.end());
    CHECK(Find(s.hash) == &s);
    pairs += static_cast<int64_t>(s.devices.size());
    ++slots;
  }
  CHECK_EQ(older, newest_);
  CHECK_EQ(pairs, pairs_);
  CHECK_EQ(slots, slot_of_.size());
  CHECK_EQ(slots + unused_.size(), slots_.size());
  CHECK_LE(pairs_, capacity_);
}

}  // namespace scoville::scheduler
