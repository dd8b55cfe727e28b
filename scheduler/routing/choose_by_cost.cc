// RoutePolicy::kCost.
#include <algorithm>
#include <vector>

#include "scheduler/routing/pool_state.h"

namespace scoville::scheduler {
namespace {

constexpr int32_t kPrefixHits = 8;
constexpr size_t kBusy = 8;
constexpr size_t kIdle = 4;
constexpr size_t kParked = 1;
constexpr size_t kWiden = 32;
// Of each heap; what stands behind so many that do not fit is found by the look at all.
constexpr size_t kWalk = 64;

class CostSearch {
 public:
  CostSearch(PoolState& pool, const RouterOptions& options, const Placement& placement,
             Foresee foresee, Router::Choice* choice)
      : pool_(pool), options_(options), placement_(placement), foresee_(foresee), choice_(choice) {}

  int32_t Scan() {
    for (int32_t device = 0; device < pool_.devices(); ++device) {
      Look(device);
    }
    return Result();
  }

  int32_t Shortlist() {
    std::vector<PrefixDirectory::Hit> hits;
    pool_.directory.Longest(
        placement_.hashes, kPrefixHits, placement_.request,
        [this](int32_t device) { return pool_.FitsOn(device, placement_); },
        [this](int32_t a, int32_t b) { return pool_.KeyOf(a) < pool_.KeyOf(b); }, &hits);
    for (const PrefixDirectory::Hit& hit : hits) {
      Look(hit.device);
    }
    LookAtLeast(pool_.busy, kBusy);
    LookAtLeast(pool_.idle, kIdle);
    LookAtLeast(pool_.parked, kParked);
    if (best_ < 0) {
      LookAtLeast(pool_.busy, kWiden / 2);
      LookAtLeast(pool_.idle, kWiden / 4);
      LookAtLeast(pool_.parked, kWiden / 4);
    }
    if (!room_) {
      const int32_t device = pool_.LeastBooked(placement_);
      if (device >= 0) {
        Look(device);
      }
    }
    return Result();
  }

 private:
  // Prices the first `most` of the heap that fit and were not priced before.
  void LookAtLeast(LoadHeap& heap, size_t most) {
    size_t looks = 0;
    heap.Walk(kWalk, [&](const LoadKey& key) {
      looks += Look(key.device) ? 1 : 0;
      return looks < most;
    });
  }

  bool Look(int32_t device) {
    if (!pool_.FitsOn(device, placement_) ||
        std::find(seen_.begin(), seen_.end(), device) != seen_.end()) {
      return false;
    }
    seen_.push_back(device);
    room_ = true;
    DeviceView view = pool_.ViewOf(device);
    foresee_(device, &view);
    ++choice_->looked_at;
    if (ExpectedLatency(view) > placement_.time_left ||
        view.first_token > placement_.first_token_left) {
      return true;
    }
    const RouteCost cost = CostOf(view, options_.lambda_ns_per_joule);
    if (best_ < 0 || Before(cost, device)) {
      best_ = device;
      choice_->cost = cost;
    }
    return true;
  }

  bool Before(const RouteCost& cost, int32_t device) const {
    if (cost.total != choice_->cost.total) {
      return cost.total < choice_->cost.total;
    }
    const uint64_t a = pool_.booked(device);
    const uint64_t b = pool_.booked(best_);
    return a != b ? a < b : device < best_;
  }

  int32_t Result() const { return best_ >= 0 ? best_ : room_ ? Router::kTooLate : Router::kNoRoom; }

  PoolState& pool_;
  const RouterOptions& options_;
  const Placement& placement_;
  const Foresee foresee_;
  Router::Choice* const choice_;
  std::vector<int32_t> seen_;
  int32_t best_ = -1;
  bool room_ = false;  // on some device
};

}  // namespace

int32_t ChooseByCost(PoolState& pool, const RouterOptions& options, const Placement& placement,
                     Foresee foresee, Router::Choice* choice) {
  CostSearch search(pool, options, placement, foresee, choice);
  return pool.devices() <= options.scan_limit ? search.Scan() : search.Shortlist();
}

}  // namespace scoville::scheduler
