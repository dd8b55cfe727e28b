#include "scheduler/queue/tenant_table.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

// Tenants looked at for a free number per new name: what a flood of new names costs.
constexpr int kProbes = 16;

}  // namespace

TenantTable::TenantTable(const std::map<std::string, int64_t>& weights, int64_t max_tenants)
    : max_tenants_(std::max(max_tenants, static_cast<int64_t>(weights.size()) + 1)) {
  tenants_.emplace_back();  // shared
  tenants_.front().configured = true;
  for (const auto& [name, weight] : weights) {
    CHECK_GT(weight, 0);
    Tenant& tenant = tenants_.emplace_back();
    tenant.name = name;
    tenant.weight = weight;
    tenant.configured = true;
    numbers_.emplace(name, size() - 1);
  }
}

uint32_t TenantTable::Find(absl::string_view name) const {
  const auto it = numbers_.find(name);
  return it == numbers_.end() ? kShared : it->second;
}

uint32_t TenantTable::Resolve(absl::string_view name, absl::FunctionRef<bool(uint32_t)> forgettable,
                              absl::FunctionRef<void(uint32_t)> forget) {
  const auto it = numbers_.find(name);
  if (it != numbers_.end()) {
    return it->second;
  }
  if (static_cast<int64_t>(tenants_.size()) < max_tenants_) {
    tenants_.emplace_back().name = std::string(name);
    numbers_.emplace(name, size() - 1);
    return size() - 1;
  }
  for (int probe = 0; probe < kProbes && size() > 1; ++probe) {
    hand_ = hand_ + 1 < size() ? hand_ + 1 : 1;
    Tenant& tenant = tenants_[hand_];
    if (!tenant.configured && tenant.waiting.requests == 0 && tenant.taken == 0 &&
        forgettable(hand_)) {
      forget(hand_);
      numbers_.erase(tenant.name);
      tenant = Tenant();
      tenant.name = std::string(name);
      numbers_.emplace(name, hand_);
      return hand_;
    }
  }
  return kShared;
}

}  // namespace scoville::scheduler
