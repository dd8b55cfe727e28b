#include "device/kv/pin_book.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::device {

bool PinBook::Add(uint32_t block, int64_t depth, absl::string_view tenant, TimePoint until) {
  const auto found = pins_.find(block);
  if (found != pins_.end()) {
    Pin& pin = found->second;
    CHECK_EQ(pin.depth, depth);
    if (until > pin.until) {
      by_expiry_.erase(Expiry{pin.until, depth, block});
      pin.until = until;
      by_expiry_.insert(Expiry{until, depth, block});
    }
    return true;
  }
  if (TenantBlocks(tenant) >= quota_) {
    return false;
  }
  const auto charge = charges_.try_emplace(std::string(tenant), 0).first;
  ++charge->second;
  pins_.emplace(block, Pin{until, depth, charge});
  by_expiry_.insert(Expiry{until, depth, block});
  return true;
}

void PinBook::Remove(uint32_t block) {
  const auto found = pins_.find(block);
  CHECK(found != pins_.end());
  const Pin& pin = found->second;
  if (--pin.charge->second == 0) {
    charges_.erase(pin.charge);
  }
  by_expiry_.erase(Expiry{pin.until, pin.depth, block});
  pins_.erase(found);
}

int64_t PinBook::TenantBlocks(absl::string_view tenant) const {
  const auto found = charges_.find(tenant);
  return found == charges_.end() ? 0 : found->second;
}

}  // namespace scoville::device
