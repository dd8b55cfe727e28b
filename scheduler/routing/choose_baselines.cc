// The policies that need no pricing.
#include <utility>
#include <vector>

#include "base/random.h"
#include "scheduler/routing/pool_state.h"

namespace scoville::scheduler {

int32_t ChooseLeastLoaded(PoolState& pool, const Placement& placement) {
  return pool.LeastBooked(placement);
}

int32_t ChooseRoundRobin(const PoolState& pool, const Placement& placement) {
  int32_t device = pool.turn;
  for (int32_t n = 0; n < pool.devices(); ++n) {
    if (pool.FitsOn(device, placement)) {
      return device;
    }
    device = device + 1 < pool.devices() ? device + 1 : 0;
  }
  return Router::kNoRoom;
}

int32_t ChoosePowerOfTwo(const PoolState& pool, uint64_t seed, const Placement& placement) {
  // Draws are repeated where nothing fits or the same one comes twice; in a pool that is nearly
  // full the rest of the way is a walk from where the last draw fell.
  constexpr uint64_t kDraws = 16;
  const uint64_t devices = static_cast<uint64_t>(pool.devices());
  int32_t first = -1;
  int32_t last_draw = 0;
  const auto lighter = [&pool](int32_t a, int32_t b) {
    return pool.KeyOf(a) < pool.KeyOf(b) ? a : b;
  };
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    last_draw = static_cast<int32_t>(RandomBelow(seed, placement.request, draw, devices));
    if (last_draw == first || !pool.FitsOn(last_draw, placement)) {
      continue;
    }
    if (first >= 0) {
      return lighter(first, last_draw);
    }
    first = last_draw;
  }
  for (int32_t n = 0; n < pool.devices(); ++n) {
    const int32_t device = static_cast<int32_t>(
        (static_cast<uint64_t>(last_draw) + static_cast<uint64_t>(n)) % devices);
    if (device != first && pool.FitsOn(device, placement)) {
      return first >= 0 ? lighter(first, device) : device;
    }
  }
  return first >= 0 ? first : Router::kNoRoom;
}

int32_t ChoosePrefixSticky(PoolState& pool, const Placement& placement) {
  pool.sticky.pending = 0;
  if (!placement.hashes.empty()) {
    std::vector<PrefixDirectory::Hit> hits;
    pool.directory.Longest(
        placement.hashes, 1, placement.request,
        [&](int32_t device) { return pool.FitsOn(device, placement); },
        [&](int32_t a, int32_t b) { return pool.KeyOf(a) < pool.KeyOf(b); }, &hits);
    pool.sticky.pending = placement.hashes.front().high | 1;  // never 0
    if (!hits.empty()) {
      return hits.front().device;
    }
    const auto last = pool.sticky.last.find(pool.sticky.pending);
    if (last != pool.sticky.last.end() && pool.FitsOn(last->second, placement)) {
      return last->second;
    }
  }
  return pool.LeastBooked(placement);
}

}  // namespace scoville::scheduler
