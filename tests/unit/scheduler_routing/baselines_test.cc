// Round-robin, power of two, sticky, least loaded and consolidating, against what their names say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "scheduler/routing/route_policy.h"
#include "scheduler/routing/router.h"
#include "tests/reference/routing/toy_pool.h"

namespace scoville::scheduler {
namespace {

using tests::ToyPool;
using tests::ToyRequest;

Placement Small(uint64_t request = 1) {
  Placement placement;
  placement.blocks = 4;
  placement.total_blocks = 8;
  placement.max_running = 10'000;
  placement.request = request;
  return placement;
}

void Nothing(int32_t, DeviceView*) {}

RouterOptions Options(RoutePolicy policy, uint64_t seed = 0) {
  RouterOptions options;
  options.policy = policy;
  options.seed = seed;
  return options;
}

void Load(Router& router, int32_t device, int32_t running) {
  DeviceBooking booking;
  booking.running = running;
  booking.used_blocks = 4 * running;
  booking.free_blocks = 1'000'000;
  router.Update(device, booking);
}

TEST(RoutePolicyTest, NamesAreThoseOfTheValues) {
  const std::vector<std::string> names = RoutePolicyNames();
  ASSERT_EQ(names.size(), 6u);
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(ParseRoutePolicy(names[i]).value(), static_cast<RoutePolicy>(i));
  }
  EXPECT_EQ(names[static_cast<size_t>(RoutePolicy::kConsolidate)], "consolidate");
  const absl::Status status = ParseRoutePolicy("power_of_too").status();
  EXPECT_NE(status.message().find("power_of_two"), std::string::npos) << status;
}

TEST(RoundRobinTest, GoesOnBehindTheLastBooking) {
  Router router(4, Options(RoutePolicy::kRoundRobin));
  for (int32_t i = 0; i < 4; ++i) {
    Load(router, i, 10 - i);
  }
  std::vector<int32_t> order;
  for (int i = 0; i < 6; ++i) {
    order.push_back(router.Choose(Small(), Nothing));
    router.Booked(order.back(), TimePoint());
  }
  EXPECT_EQ(order, (std::vector<int32_t>{0, 1, 2, 3, 0, 1}));
  DeviceBooking closed = router.booking(2);
  closed.ready = false;
  router.Update(2, closed);
  EXPECT_EQ(router.Choose(Small(), Nothing), 3);
}

TEST(PowerOfTwoTest, TakesTheLighterOfItsTwoDraws) {
  Router router(2, Options(RoutePolicy::kPowerOfTwo));
  Load(router, 0, 5);
  Load(router, 1, 4);
  for (uint64_t id = 0; id < 50; ++id) {
    EXPECT_EQ(router.Choose(Small(id), Nothing), 1);  // two of two: always both
  }
}

// 64 devices, 6,400 arrivals: the fullest is log log n above the mean, one draw would be sqrt away.
TEST(PowerOfTwoTest, StaysCloseToTheMeanAndDependsOnSeedAndRequestAlone) {
  std::vector<int32_t> loads[3];
  for (int run = 0; run < 3; ++run) {
    Router router(64, Options(RoutePolicy::kPowerOfTwo, run == 2 ? 9 : 4));
    for (int32_t i = 0; i < 64; ++i) {
      Load(router, i, 0);
    }
    for (uint64_t id = 0; id < 6400; ++id) {
      const int32_t device = router.Choose(Small(id), Nothing);
      Load(router, device, router.booking(device).running + 1);
      router.Booked(device, TimePoint());
    }
    for (int32_t i = 0; i < 64; ++i) {
      loads[run].push_back(router.booking(i).running);
    }
    EXPECT_LE(*std::max_element(loads[run].begin(), loads[run].end()), 100 + 4);
  }
  EXPECT_EQ(loads[0], loads[1]);
  EXPECT_NE(loads[0], loads[2]);
}

TEST(PrefixStickyTest, FollowsAPromptBeforeItsBlocksAreStored) {
  Router router(8, Options(RoutePolicy::kPrefixSticky));
  for (int32_t i = 0; i < 8; ++i) {
    Load(router, i, i == 5 ? 0 : 3);
  }
  const auto hashes = ToyPool::HashesOf(ToyRequest{1, 3, 20, 20, 1});
  const auto others = ToyPool::HashesOf(ToyRequest{2, 4, 20, 20, 1});
  Placement placement = Small();
  placement.hashes = hashes;
  EXPECT_EQ(router.Choose(placement, Nothing), 5);
  router.Booked(5, TimePoint());
  Load(router, 5, 50);
  EXPECT_EQ(router.Choose(placement, Nothing), 5);
  placement.hashes = others;
  EXPECT_EQ(router.Choose(placement, Nothing), 0);
  // Blocks that are stored say more than where the prompt went last.
  placement.hashes = hashes;
  router.directory().OnStored(6, hashes[0], device::BlockHash{});
  EXPECT_EQ(router.Choose(placement, Nothing), 6);
}

// As the two rules were first written: one look at every device.
int32_t LeastLoadedScan(const std::vector<DeviceView>& views, const Placement& placement) {
  int32_t best = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(views.size()); ++i) {
    const DeviceView& d = views[static_cast<size_t>(i)];
    if (Fits(d, placement) &&
        (best < 0 || std::tuple(d.running, d.used_blocks) <
                         std::tuple(views[static_cast<size_t>(best)].running,
                                    views[static_cast<size_t>(best)].used_blocks))) {
      best = i;
    }
  }
  return best;
}

int32_t ConsolidatedScan(const std::vector<DeviceView>& views, const Placement& placement) {
  const auto cost = [](const DeviceView& d) {
    return d.meets_targets
               ? std::tuple(0, d.parked ? 1 : 0, -d.running, -d.used_blocks, d.first_token)
               : std::tuple(1, 0, d.running, d.used_blocks, d.first_token);
  };
  int32_t best = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(views.size()); ++i) {
    const DeviceView& d = views[static_cast<size_t>(i)];
    if (Fits(d, placement) && (best < 0 || cost(d) < cost(views[static_cast<size_t>(best)]))) {
      best = i;
    }
  }
  return best;
}

TEST(LeastLoadedAndConsolidateTest, EqualAScanOfAllDevices) {
  int64_t looked_at = 0;
  int64_t devices_there = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const int32_t devices = 1 + static_cast<int32_t>(RandomBelow(seed, 8, 0, 200));
    ToyPool pool = ToyPool::Draw(seed, devices, 4, seed % 2 == 0);
    const ToyRequest request{seed, seed % 4, 30, 40, 200};
    const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
    Placement placement = ToyPool::PlacementOf(request, hashes);
    placement.max_running = 1 + static_cast<int32_t>(RandomBelow(seed, 8, 1, 64));
    placement.blocks = 1 + static_cast<int64_t>(RandomBelow(seed, 8, 2, 6000));
    std::vector<DeviceView> views;
    Router least(devices, Options(RoutePolicy::kLeastLoaded));
    Router together(devices, Options(RoutePolicy::kConsolidate));
    pool.TellAll(&least);
    pool.TellAll(&together);
    for (int32_t i = 0; i < devices; ++i) {
      DeviceView view;
      static_cast<DeviceBooking&>(view) = pool.BookingOf(i);
      pool.Foresee(request, i, &view);
      views.push_back(view);
    }
    EXPECT_EQ(least.Choose(placement, Nothing), LeastLoadedScan(views, placement));
    EXPECT_EQ(least.last().looked_at, 0);
    EXPECT_EQ(
        together.Choose(placement, [&](int32_t device,
                                       DeviceView* view) { pool.Foresee(request, device, view); }),
        ConsolidatedScan(views, placement));
    looked_at += together.last().looked_at;
    devices_there += devices;
  }
  EXPECT_LT(looked_at, devices_there / 2);
}

}  // namespace
}  // namespace scoville::scheduler
