// Routing in loops that anybody can follow: all devices priced, all hashes of all devices compared.
#ifndef SCOVILLE_TESTS_REFERENCE_ROUTING_REFERENCE_ROUTER_H_
#define SCOVILLE_TESTS_REFERENCE_ROUTING_REFERENCE_ROUTER_H_

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "device/kv/prefix_hash.h"
#include "scheduler/routing/device_view.h"

namespace scoville::tests {

// The time a request costs everybody on a device, joules at their price included, as a real number.
double ReferenceCost(const scheduler::DeviceView& view, int64_t lambda_ns_per_joule);

// The device of least cost that fits and is in time; -1: no room, -2: not in time anywhere.
// `booked`: per device, the number of its last booking.
int32_t ReferenceChoice(const std::vector<scheduler::DeviceView>& views,
                        const std::vector<uint64_t>& booked, const scheduler::Placement& placement,
                        int64_t lambda_ns_per_joule);

// Which blocks each device holds.
class ReferenceDirectory {
 public:
  explicit ReferenceDirectory(int32_t devices) : held_(static_cast<size_t>(devices)) {}

  void OnStored(int32_t device, const device::BlockHash& hash) {
    held_[static_cast<size_t>(device)].insert(hash);
  }
  void OnRemoved(int32_t device, const device::BlockHash& hash) {
    held_[static_cast<size_t>(device)].erase(hash);
  }
  // Per device, the blocks of the prompt it holds up to the last for which `counts` says yes.
  std::vector<int64_t> Hits(const std::vector<device::BlockHash>& prompt,
                            const std::function<bool(int64_t index)>& counts) const;

 private:
  std::vector<std::set<device::BlockHash>> held_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_ROUTING_REFERENCE_ROUTER_H_
