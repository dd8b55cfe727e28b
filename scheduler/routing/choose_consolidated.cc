// RoutePolicy::kConsolidate.
#include <algorithm>
#include <tuple>
#include <vector>

#include "scheduler/routing/pool_state.h"

namespace scoville::scheduler {

int32_t ChooseConsolidated(const PoolState& pool, const Placement& placement, Foresee foresee,
                           Router::Choice* choice) {
  // Lower is better: not having to wake up, being busy already. Of those on which the targets hold
  // the first in this order is wanted, so pricing ends with the first (and with those equal to it).
  const auto order = [&pool](int32_t device) {
    const DeviceBooking& b = pool.booking(device);
    return std::tuple(b.parked ? 1 : 0, -b.running, -b.used_blocks);
  };
  std::vector<int32_t> fitting;
  for (int32_t device = 0; device < pool.devices(); ++device) {
    if (pool.FitsOn(device, placement)) {
      fitting.push_back(device);
    }
  }
  std::sort(fitting.begin(), fitting.end(), [&order](int32_t a, int32_t b) {
    return std::tuple(order(a), a) < std::tuple(order(b), b);
  });
  int32_t best = Router::kNoRoom;
  Duration soonest;
  // Where the targets hold nowhere the pool is full, and spreading serves most.
  int32_t lightest = Router::kNoRoom;
  std::tuple<int32_t, int64_t, Duration> least;
  for (const int32_t device : fitting) {
    if (best >= 0 && order(device) != order(best)) {
      break;
    }
    DeviceView view = pool.ViewOf(device);
    foresee(device, &view);
    ++choice->looked_at;
    if (view.meets_targets && (best < 0 || view.first_token < soonest)) {
      best = device;
      soonest = view.first_token;
    }
    const std::tuple load(view.running, view.used_blocks, view.first_token);
    if (lightest < 0 || load < least || (load == least && device < lightest)) {
      lightest = device;
      least = load;
    }
  }
  return best >= 0 ? best : lightest;
}

}  // namespace scoville::scheduler
