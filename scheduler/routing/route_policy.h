// The rules by which a pool may be told to spread its requests.
//
//   cost          least time and, if the operator gives joules a price, energy (route_cost.h)
//   least_loaded  fewest requests, then fewest KV blocks in use, then the lower id
//   round_robin   the next device in turn
//   power_of_two  the less loaded of two drawn ones (Mitzenmacher, "The power of two choices in
//                 randomized load balancing", IEEE TPDS 2001)
//   prefix_sticky longest cached prefix, else where that prefix went last, else least loaded
//   consolidate   the most loaded one on which the service levels hold, so that the others park
//
// Threading: pure functions. Errors: an unknown name is InvalidArgument.
#ifndef SCOVILLE_SCHEDULER_ROUTING_ROUTE_POLICY_H_
#define SCOVILLE_SCHEDULER_ROUTING_ROUTE_POLICY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace scoville::scheduler {

enum class RoutePolicy : uint8_t {
  kCost,
  kLeastLoaded,
  kRoundRobin,
  kPowerOfTwo,
  kPrefixSticky,
  kConsolidate,
};

// As files and flags write them, in the order of the values.
std::vector<std::string> RoutePolicyNames();
absl::StatusOr<RoutePolicy> ParseRoutePolicy(absl::string_view name);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_ROUTING_ROUTE_POLICY_H_
