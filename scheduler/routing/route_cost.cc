#include "scheduler/routing/route_cost.h"

#include <algorithm>

namespace scoville::scheduler {
namespace {

Duration Saturated(__int128 ns) {
  constexpr __int128 kMost = INT64_MAX;
  return Duration(static_cast<int64_t>(std::clamp<__int128>(ns, -kMost, kMost)));
}

__int128 Wide(Duration duration) { return duration.value(); }

}  // namespace

RouteCost CostOf(const DeviceView& view, int64_t lambda_ns_per_joule) {
  constexpr int64_t kMicrojoulesPerJoule = 1'000'000;
  const Duration longer = std::max(Duration(), view.step_with - view.step_now);
  // Residents x tokens fit 64 bits whatever a pool holds; the products with times need not.
  const __int128 slowed = static_cast<__int128>(view.resident_decodes) * view.expected_output;
  RouteCost cost;
  cost.queue = view.queue;
  cost.wake = view.wake_time;
  cost.prefill = view.prefill_time;
  cost.residents = Saturated(slowed * Wide(longer));
  cost.decode = Saturated(Wide(view.step_with) * view.expected_output);
  cost.energy = Saturated(static_cast<__int128>(lambda_ns_per_joule) *
                          view.energy_delta.microjoules() / kMicrojoulesPerJoule);
  cost.total = Saturated(Wide(cost.queue) + Wide(cost.wake) + Wide(cost.prefill) +
                         Wide(cost.residents) + Wide(cost.decode) + Wide(cost.energy));
  return cost;
}

Duration UsualWork(Duration queue, Duration step, Duration slope, int64_t residents,
                   int64_t usual_output) {
  const __int128 per_token = Wide(step) + Wide(slope) * (residents + 1);
  return Saturated(Wide(queue) + per_token * usual_output);
}

Duration ExpectedLatency(const DeviceView& view) {
  return Saturated(Wide(view.queue) + Wide(view.wake_time) + Wide(view.prefill_time) +
                   Wide(view.step_with) * view.expected_output);
}

}  // namespace scoville::scheduler
