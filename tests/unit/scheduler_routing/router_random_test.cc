// The cost policy against a search of all devices in real numbers, over random pools.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/random.h"
#include "scheduler/routing/router.h"
#include "tests/reference/routing/reference_router.h"
#include "tests/reference/routing/toy_pool.h"

namespace scoville::scheduler {
namespace {

using tests::ToyPool;
using tests::ToyRequest;

constexpr int64_t kLambdas[] = {0, 1'000'000, 20'000'000};

RouterOptions ByCost(int64_t lambda) {
  RouterOptions options;
  options.policy = RoutePolicy::kCost;
  options.lambda_ns_per_joule = lambda;
  return options;
}

ToyRequest Arrival(uint64_t seed, uint64_t n) {
  const auto below = [&](uint64_t draw, uint64_t n_values) {
    return static_cast<int64_t>(RandomBelow(seed, 100 + n, draw, n_values));
  };
  ToyRequest request;
  request.id = seed * 1000 + n;
  request.group = static_cast<uint64_t>(below(0, 6));
  request.shared_blocks = below(1, 300);
  request.prompt_blocks = request.shared_blocks + 1 + below(2, 100);
  request.output = 1 + below(3, 1000);
  return request;
}

std::vector<DeviceView> ViewsOf(const ToyPool& pool, const ToyRequest& request) {
  std::vector<DeviceView> views(pool.devices.size());
  for (int32_t i = 0; i < static_cast<int32_t>(views.size()); ++i) {
    DeviceView& view = views[static_cast<size_t>(i)];
    static_cast<DeviceBooking&>(view) = pool.BookingOf(i);
    pool.Foresee(request, i, &view);
  }
  return views;
}

// Pools that are scanned: exactly the least, whatever the price of a joule; with price 0 it is the
// least latency of all concerned.
TEST(RouterRandomTest, SmallPoolsEqualTheSearch) {
  int late = 0;
  int placed = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const int32_t devices = 1 + static_cast<int32_t>(RandomBelow(seed, 5, 0, 32));
    ToyPool pool = ToyPool::Draw(seed, devices, 6, seed % 2 == 1);
    const int64_t lambda = kLambdas[seed % 3];
    Router router(devices, ByCost(lambda));
    pool.TellAll(&router);
    std::vector<uint64_t> booked(static_cast<size_t>(devices), 0);
    for (uint64_t n = 0; n < 30; ++n) {
      const ToyRequest request = Arrival(seed, n);
      const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
      Placement placement = ToyPool::PlacementOf(request, hashes);
      if (n % 3 == 0) {
        placement.time_left = Milliseconds(1 + static_cast<int64_t>(RandomBelow(seed, 6, n, 9000)));
      }
      const int32_t chosen = router.Choose(placement, [&](int32_t device, DeviceView* view) {
        pool.Foresee(request, device, view);
      });
      ASSERT_EQ(chosen, tests::ReferenceChoice(ViewsOf(pool, request), booked, placement, lambda))
          << "arrival " << n;
      late += chosen == Router::kTooLate ? 1 : 0;
      if (chosen >= 0) {
        ++placed;
        pool.Place(request, chosen);
        router.Update(chosen, pool.BookingOf(chosen));
        router.Booked(chosen, TimePoint(static_cast<int64_t>(n)));
        booked[static_cast<size_t>(chosen)] = n + 1;
      }
    }
  }
  EXPECT_GT(late, 50);
  EXPECT_GT(placed, 5000);
}

// A router that has grown chooses as one that was made so large, across the size at which it stops
// looking at all devices.
TEST(RouterRandomTest, AGrownPoolIsAsGoodAsOneMadeSo) {
  int placed = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const int32_t devices = 2 + static_cast<int32_t>(RandomBelow(seed, 5, 0, 60));
    const int32_t first = 1 + static_cast<int32_t>(RandomBelow(seed, 5, 1, 40)) % (devices - 1);
    ToyPool pool = ToyPool::Draw(seed, devices, 6, seed % 2 == 1);
    RouterOptions options = ByCost(kLambdas[seed % 3]);
    options.policy = static_cast<RoutePolicy>(seed % 6);
    Router made(devices, options);
    Router grown(first, options);
    while (grown.devices() < devices) {
      grown.AddDevice();
      EXPECT_FALSE(Fits(grown.booking(grown.devices() - 1), Placement{1, 1, 1}));
      grown.CheckInvariants();
    }
    pool.TellAll(&made);
    pool.TellAll(&grown);
    for (uint64_t n = 0; n < 30; ++n) {
      const ToyRequest request = Arrival(seed, n);
      const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
      const Placement placement = ToyPool::PlacementOf(request, hashes);
      const auto foresee = [&](int32_t device, DeviceView* view) {
        pool.Foresee(request, device, view);
      };
      const int32_t chosen = made.Choose(placement, foresee);
      ASSERT_EQ(grown.Choose(placement, foresee), chosen) << "arrival " << n;
      if (chosen >= 0) {
        ++placed;
        pool.Place(request, chosen);
        for (Router* router : {&made, &grown}) {
          router->Booked(chosen, TimePoint(static_cast<int64_t>(n)));
          router->Update(chosen, pool.BookingOf(chosen));
          router->CheckInvariants();
        }
      }
    }
  }
  EXPECT_GT(placed, 2000);
}

struct Regret {
  double chosen = 0;
  double best = 0;
  double worst = 1;
};

// What shortlists cost against looking at all, over arrivals that really go where the router says.
Regret RegretOf(uint64_t seed, bool uneven, bool hint, int64_t lambda) {
  Regret regret;
  const int32_t devices = 33 + static_cast<int32_t>(RandomBelow(seed, 5, 0, 300));
  ToyPool pool = ToyPool::Draw(seed, devices, 6, uneven);
  Router router(devices, ByCost(lambda));
  const auto tell = [&](int32_t device) {
    DeviceBooking booking = pool.BookingOf(device);
    booking.work = hint ? booking.work : Duration();
    router.Update(device, booking);
  };
  pool.TellAll(&router);
  for (int32_t i = 0; i < devices; ++i) {
    tell(i);
  }
  const std::vector<uint64_t> booked(static_cast<size_t>(devices), 0);
  for (uint64_t n = 0; n < 40; ++n) {
    const ToyRequest request = Arrival(seed, n);
    const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
    const Placement placement = ToyPool::PlacementOf(request, hashes);
    const std::vector<DeviceView> views = ViewsOf(pool, request);
    const int32_t chosen = router.Choose(
        placement, [&](int32_t device, DeviceView* view) { pool.Foresee(request, device, view); });
    EXPECT_LE(router.last().looked_at, 21);
    const int32_t best = tests::ReferenceChoice(views, booked, placement, lambda);
    EXPECT_EQ(chosen < 0, best < 0);
    if (chosen < 0 || best < 0) {
      continue;
    }
    const double cost = tests::ReferenceCost(views[static_cast<size_t>(chosen)], lambda);
    const double least = tests::ReferenceCost(views[static_cast<size_t>(best)], lambda);
    regret.chosen += cost;
    regret.best += least;
    regret.worst = std::max(regret.worst, cost / least);
    pool.Place(request, chosen);
    tell(chosen);
    router.Booked(chosen, TimePoint());
  }
  return regret;
}

TEST(RouterRandomTest, ShortlistsCostAtMostOnePercent) {
  for (const bool uneven : {false, true}) {
    for (const bool hint : {true, false}) {
      for (const int64_t lambda : kLambdas) {
        Regret sum;
        for (uint64_t seed = 0; seed < 60; ++seed) {
          const Regret one = RegretOf(seed, uneven, hint, lambda);
          sum.chosen += one.chosen;
          sum.best += one.best;
          sum.worst = std::max(sum.worst, one.worst);
        }
        std::printf("%s devices, %s, lambda %lld ns/J: %.4f of the best, worst choice %.3f\n",
                    uneven ? "uneven" : "even", hint ? "work told" : "work not told",
                    static_cast<long long>(lambda), sum.chosen / sum.best, sum.worst);
        if (hint || !uneven) {
          EXPECT_LE(sum.chosen, sum.best * 1.01) << "seeds 0 to 59";
        } else {
          // Counting requests where devices differ in speed: what telling the work is for.
          EXPECT_GT(sum.chosen, sum.best * 1.01) << "seeds 0 to 59";
        }
      }
    }
  }
}

}  // namespace
}  // namespace scoville::scheduler
