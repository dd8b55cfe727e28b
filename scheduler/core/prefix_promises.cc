#include "scheduler/core/prefix_promises.h"

#include <algorithm>

namespace scoville::scheduler {

void PrefixPromises::Promise(int32_t device, uint64_t leader,
                             absl::Span<const device::BlockHash> hashes) {
  for (const device::BlockHash& hash : hashes) {
    Promised& promised = promised_[hash];
    const auto& devices = promised.devices;
    if (std::find(devices.begin(), devices.end(), device) != devices.end()) {
      continue;
    }
    promised.devices.push_back(device);
    promised.leaders.push_back(leader);
    ++size_;
  }
}

void PrefixPromises::Withdraw(int32_t device, uint64_t leader,
                              absl::Span<const device::BlockHash> hashes) {
  for (const device::BlockHash& hash : hashes) {
    const auto it = promised_.find(hash);
    if (it == promised_.end()) {
      continue;
    }
    Promised& promised = it->second;
    const auto at = std::find(promised.devices.begin(), promised.devices.end(), device);
    const auto index = at - promised.devices.begin();
    if (at == promised.devices.end() || promised.leaders[static_cast<size_t>(index)] != leader) {
      continue;
    }
    promised.devices.erase(at);
    promised.leaders.erase(promised.leaders.begin() + index);
    --size_;
    if (promised.devices.empty()) {
      promised_.erase(it);
    }
  }
}

uint64_t PrefixPromises::Leader(int32_t device, const device::BlockHash& hash) const {
  const auto it = promised_.find(hash);
  if (it == promised_.end()) {
    return 0;
  }
  const Promised& promised = it->second;
  const auto at = std::find(promised.devices.begin(), promised.devices.end(), device);
  return at == promised.devices.end()
             ? 0
             : promised.leaders[static_cast<size_t>(at - promised.devices.begin())];
}

int64_t PrefixPromises::Reach(int32_t device, absl::Span<const device::BlockHash> hashes,
                              int64_t from) const {
  const int64_t end = static_cast<int64_t>(hashes.size());
  const auto promised = [&](int64_t i) {
    return Leader(device, hashes[static_cast<size_t>(i)]) != 0;
  };
  if (from >= end || !promised(from)) {
    return 0;
  }
  int64_t step = 1;
  int64_t held = from;  // the last that is known to be promised
  while (held + step < end && promised(held + step)) {
    held += step;
    step *= 2;
  }
  int64_t missing = std::min(held + step, end);  // the first that is taken not to be
  while (held + 1 < missing) {
    const int64_t middle = held + (missing - held) / 2;
    (promised(middle) ? held : missing) = middle;
  }
  return held + 1;
}

absl::Span<const int32_t> PrefixPromises::Devices(const device::BlockHash& hash) const {
  const auto it = promised_.find(hash);
  return it == promised_.end() ? absl::Span<const int32_t>() : it->second.devices;
}

}  // namespace scoville::scheduler
