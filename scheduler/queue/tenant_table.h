// Names of tenants to small numbers, with what is counted for each.
//
// Number 0 is shared by all that have no number of their own. Names with a configured weight have
// one for ever; others while they are known, and when the table is full a new name takes the number
// of one that has nothing left to remember.
//
// Ownership: copies of names. Threading: engine thread only. Errors: none.
#ifndef SCOVILLE_SCHEDULER_QUEUE_TENANT_TABLE_H_
#define SCOVILLE_SCHEDULER_QUEUE_TENANT_TABLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "scheduler/queue/queue_limits.h"

namespace scoville::scheduler {

inline constexpr int64_t kWeightOne = 1 << 16;

class TenantTable {
 public:
  static constexpr uint32_t kShared = 0;

  struct Tenant {
    std::string name;
    int64_t weight = kWeightOne;
    bool configured = false;
    QueueLoad waiting;
    int64_t taken = 0;  // requests that were taken and may come back
    int64_t charged = 0;
  };

  // Configured names count towards `max_tenants`, which is at least their number + 1.
  TenantTable(const std::map<std::string, int64_t>& weights, int64_t max_tenants);

  // kShared if the name has no number.
  uint32_t Find(absl::string_view name) const;
  // Gives the name a number if there is one. `forgettable(n)`: whether n's account is even; asked
  // only of tenants with no request. `forget(n)` is called before n becomes another's.
  uint32_t Resolve(absl::string_view name, absl::FunctionRef<bool(uint32_t)> forgettable,
                   absl::FunctionRef<void(uint32_t)> forget);

  Tenant& at(uint32_t tenant) { return tenants_[tenant]; }
  const Tenant& at(uint32_t tenant) const { return tenants_[tenant]; }
  uint32_t size() const { return static_cast<uint32_t>(tenants_.size()); }

 private:
  const int64_t max_tenants_;
  std::vector<Tenant> tenants_;
  absl::flat_hash_map<std::string, uint32_t> numbers_;  // looked up, never walked
  uint32_t hand_ = 1;                                   // where the search for a number goes on
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_QUEUE_TENANT_TABLE_H_
