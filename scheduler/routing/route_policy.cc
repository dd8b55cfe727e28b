#include "scheduler/routing/route_policy.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/nearest_name.h"

namespace scoville::scheduler {

std::vector<std::string> RoutePolicyNames() {
  return {"cost", "least_loaded", "round_robin", "power_of_two", "prefix_sticky", "consolidate"};
}

absl::StatusOr<RoutePolicy> ParseRoutePolicy(absl::string_view name) {
  const std::vector<std::string> names = RoutePolicyNames();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) {
      return static_cast<RoutePolicy>(i);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("no routing policy '", name, "'",
                                                 DidYouMean(name, names), "; there are ",
                                                 absl::StrJoin(names, ", ")));
}

}  // namespace scoville::scheduler
