#include "scheduler/routing/router.h"

#include "base/status_macros.h"
#include "scheduler/routing/pool_state.h"

namespace scoville::scheduler {

Router::Router(int32_t devices, const RouterOptions& options)
    : options_(options), state_(std::make_unique<PoolState>(devices, options)) {
  CHECK_GE(options.lambda_ns_per_joule, 0);
}

Router::~Router() = default;

void Router::AddDevice() { state_->AddDevice(); }

void Router::Update(int32_t device, const DeviceBooking& booking) {
  state_->Update(device, booking);
}

const DeviceBooking& Router::booking(int32_t device) const { return state_->booking(device); }

void Router::Booked(int32_t device, TimePoint now) { state_->Booked(device, now); }

void Router::CheckInvariants() const { state_->CheckInvariants(); }

PrefixDirectory& Router::directory() { return state_->directory; }
const PrefixDirectory& Router::directory() const { return state_->directory; }

int32_t Router::devices() const { return state_->devices(); }

int32_t Router::Choose(const Placement& placement, Foresee foresee) {
  last_ = Choice{};
  switch (options_.policy) {
    case RoutePolicy::kCost:
      last_.device = ChooseByCost(*state_, options_, placement, foresee, &last_);
      break;
    case RoutePolicy::kLeastLoaded:
      last_.device = ChooseLeastLoaded(*state_, placement);
      break;
    case RoutePolicy::kRoundRobin:
      last_.device = ChooseRoundRobin(*state_, placement);
      break;
    case RoutePolicy::kPowerOfTwo:
      last_.device = ChoosePowerOfTwo(*state_, options_.seed, placement);
      break;
    case RoutePolicy::kPrefixSticky:
      last_.device = ChoosePrefixSticky(*state_, placement);
      break;
    case RoutePolicy::kConsolidate:
      last_.device = ChooseConsolidated(*state_, placement, foresee, &last_);
      break;
  }
  return last_.device;
}

}  // namespace scoville::scheduler
