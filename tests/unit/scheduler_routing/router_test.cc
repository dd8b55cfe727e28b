#include "scheduler/routing/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/reference/routing/toy_pool.h"

namespace scoville::scheduler {
namespace {

using tests::ToyPool;
using tests::ToyRequest;

ToyPool Idle(int32_t devices) {
  ToyPool pool;
  pool.devices.resize(static_cast<size_t>(devices));
  for (tests::ToyDevice& d : pool.devices) {
    d.booking.free_blocks = 100'000;
  }
  return pool;
}

// A pool and a router that are told the same.
class Pair {
 public:
  Pair(const ToyPool& initial, const RouterOptions& options)
      : pool(initial), router(static_cast<int32_t>(initial.devices.size()), options) {
    pool.TellAll(&router);
  }

  int32_t Choose(const ToyRequest& request, Duration time_left = Placement::kNoDeadline) {
    const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
    Placement placement = ToyPool::PlacementOf(request, hashes);
    placement.time_left = time_left;
    return router.Choose(
        placement, [&](int32_t device, DeviceView* view) { pool.Foresee(request, device, view); });
  }

  int32_t Route(const ToyRequest& request, TimePoint now = TimePoint()) {
    const int32_t device = Choose(request);
    if (device >= 0) {
      const bool stored = pool.devices[static_cast<size_t>(device)].cached[request.group] > 0;
      pool.Place(request, device);
      router.Update(device, pool.BookingOf(device));
      router.Booked(device, now);
      if (!stored) {
        device::BlockHash parent;
        const std::vector<device::BlockHash> hashes = ToyPool::HashesOf(request);
        for (int64_t i = 0; i < request.shared_blocks; ++i) {
          router.directory().OnStored(device, hashes[static_cast<size_t>(i)], parent);
          parent = hashes[static_cast<size_t>(i)];
        }
      }
    }
    return device;
  }

  int32_t Running(int32_t device) const {
    return pool.devices[static_cast<size_t>(device)].booking.running;
  }
  int32_t Spread() const {
    int32_t least = INT32_MAX;
    int32_t most = 0;
    for (const tests::ToyDevice& d : pool.devices) {
      least = std::min(least, d.booking.running);
      most = std::max(most, d.booking.running);
    }
    return most - least;
  }

  ToyPool pool;
  Router router;
};

RouterOptions With(RoutePolicy policy, int64_t lambda = 0) {
  RouterOptions options;
  options.policy = policy;
  options.lambda_ns_per_joule = lambda;
  return options;
}

ToyRequest Fresh(uint64_t id) { return {id, 1000 + id, 0, 32, 100}; }

// Loads that are polled make all of a burst go to the device that was last seen idle
// (llm-d-router #298, vllm-project/router #177).
TEST(RouterTest, ABurstSpreadsWithinOneRequest) {
  for (const RoutePolicy policy :
       {RoutePolicy::kCost, RoutePolicy::kLeastLoaded, RoutePolicy::kRoundRobin}) {
    Pair pair(Idle(8), With(policy));
    for (uint64_t id = 1; id <= 512; ++id) {
      ASSERT_GE(pair.Route(Fresh(id)), 0);
      ASSERT_LE(pair.Spread(), 1) << RoutePolicyNames()[static_cast<size_t>(policy)] << " at "
                                  << id;
    }
    EXPECT_EQ(pair.Spread(), 0);
  }
}

TEST(RouterTest, ABurstSpreadsWithinOneRequestOverALargePool) {
  Pair pair(Idle(64), With(RoutePolicy::kCost));
  for (uint64_t id = 1; id <= 512; ++id) {
    ASSERT_GE(pair.Route(Fresh(id)), 0);
    ASSERT_LE(pair.Spread(), 1) << id;
  }
}

// The same without telling the router of what it did: the fault that the test above is for.
TEST(RouterTest, ABurstHerdsIfBookingsAreNotMade) {
  Pair pair(Idle(8), With(RoutePolicy::kLeastLoaded));
  for (uint64_t id = 1; id <= 64; ++id) {
    pair.pool.Place(Fresh(id), pair.Choose(Fresh(id)));
  }
  EXPECT_EQ(pair.Spread(), 64);
}

// A router that follows the prefix alone sends everything to its one holder (sglang PR #14532,
// PrimeIntellect-ai/prime-rl PR #3255).
TEST(RouterTest, AHotPrefixSpillsWhenWaitingCostsMore) {
  const auto hot = [](uint64_t id) { return ToyRequest{id, 7, 64, 72, 20}; };
  Pair by_cost(Idle(8), With(RoutePolicy::kCost));
  Pair sticky(Idle(8), With(RoutePolicy::kPrefixSticky));
  const int32_t first = by_cost.Route(hot(1));
  sticky.Route(hot(1));
  by_cost.pool.devices[static_cast<size_t>(first)].pending_tokens = 0;
  by_cost.router.Update(first, by_cost.pool.BookingOf(first));
  // Nothing waits there: the holder saves 64 blocks of prefill.
  EXPECT_EQ(by_cost.Route(hot(2)), first);
  int32_t spilled_at = 0;
  for (uint64_t id = 3; id <= 100; ++id) {
    DeviceView holder;
    by_cost.pool.Foresee(hot(id), first, &holder);
    const int32_t device = by_cost.Route(hot(id));
    if (spilled_at == 0 && device != first) {
      spilled_at = static_cast<int32_t>(id);
      // The wait and the others' loss really were more than the prefill that is saved.
      const RouteCost there = CostOf(holder, 0);
      EXPECT_GT(there.total, by_cost.router.last().cost.total);
    }
    sticky.Route(hot(id));
  }
  EXPECT_GT(spilled_at, 3);
  EXPECT_LT(by_cost.Running(first), 40);
  EXPECT_EQ(sticky.Spread(), 99);
}

TEST(RouterTest, EqualDevicesTakeTurnsByTheirLastBooking) {
  Pair pair(Idle(4), With(RoutePolicy::kCost));
  EXPECT_EQ(pair.Choose(Fresh(1)), 0);
  // Booked at the same instant, but in this order; nothing stays on them.
  for (const int32_t device : {2, 0, 3}) {
    pair.router.Booked(device, TimePoint(5));
  }
  EXPECT_EQ(pair.Choose(Fresh(1)), 1);
  pair.router.Booked(1, TimePoint(5));
  EXPECT_EQ(pair.Choose(Fresh(1)), 2);
}

TEST(RouterTest, ChoosingChangesNothing) {
  for (size_t p = 0; p < RoutePolicyNames().size(); ++p) {
    Pair pair(Idle(8), With(static_cast<RoutePolicy>(p)));
    const int32_t once = pair.Choose(Fresh(1));
    EXPECT_EQ(pair.Choose(Fresh(1)), once) << RoutePolicyNames()[p];
  }
}

TEST(RouterTest, ParkedDevicesSleepOnAtLowLoadIfJoulesHaveAPrice) {
  for (const int32_t devices : {8, 64}) {
    ToyPool pool = Idle(devices);
    for (int32_t i = 1; i < devices; ++i) {
      pool.devices[static_cast<size_t>(i)].booking.parked = true;
    }
    Pair pair(pool, With(RoutePolicy::kCost, 10'000'000));
    for (uint64_t id = 1; id <= 20; ++id) {
      EXPECT_EQ(pair.Route(Fresh(id)), 0);
      pair.pool.devices[0].pending_tokens = 0;
    }
    // Enough prompts ahead, and one wakes.
    pair.pool.devices[0].pending_tokens = 100'000'000;
    EXPECT_NE(pair.Route(Fresh(100)), 0);
  }
}

// One joule buys 10 ms: a busy device, which has paid for its step, beats an idle one.
TEST(RouterTest, EnergyPullsTogetherWhatLatencySpreads) {
  for (const int32_t devices : {8, 64}) {
    Pair spread(Idle(devices), With(RoutePolicy::kCost, 0));
    Pair together(Idle(devices), With(RoutePolicy::kCost, 10'000'000));
    for (uint64_t id = 1; id <= 8; ++id) {
      for (Pair* pair : {&spread, &together}) {
        const int32_t device = pair->Route(Fresh(id));
        pair->pool.devices[static_cast<size_t>(device)].pending_tokens = 0;
        pair->router.Update(device, pair->pool.BookingOf(device));
      }
    }
    EXPECT_LE(spread.Spread(), 1);
    EXPECT_EQ(together.Running(0), 8) << devices;
  }
}

TEST(RouterTest, DeadlinesDecideBeforeCost) {
  // Device 0 is cheapest in joules but slow; 1 is in time.
  ToyPool pool = Idle(3);
  pool.devices[0].booking.running = 1;
  pool.devices[0].booking.used_blocks = 32;
  pool.devices[0].pending_tokens = 50'000;  // one second
  Pair pair(pool, With(RoutePolicy::kCost, 100'000'000));
  EXPECT_EQ(pair.Choose(Fresh(1)), 0);
  EXPECT_EQ(pair.Choose(Fresh(1), Milliseconds(900)), 1);
  EXPECT_EQ(pair.Choose(Fresh(1), Milliseconds(5)), Router::kTooLate);
}

// In a large pool none of the shortlist is in time, but others are.
TEST(RouterTest, DeadlinesWidenTheShortlist) {
  ToyPool pool = Idle(64);
  for (int32_t i = 0; i < 64; ++i) {
    tests::ToyDevice& d = pool.devices[static_cast<size_t>(i)];
    d.booking.running = i < 12 ? 1 : 20;
    d.booking.used_blocks = d.booking.running * 40;
    d.pending_tokens = i < 12 ? 500'000 : 0;  // ten seconds
  }
  Pair pair(pool, With(RoutePolicy::kCost));
  for (int32_t i = 0; i < 64; ++i) {
    DeviceBooking booking = pair.pool.BookingOf(i);
    booking.work = Duration();  // what is pending shows in the price alone
    pair.router.Update(i, booking);
  }
  EXPECT_LT(pair.Choose(Fresh(1)), 12);
  EXPECT_EQ(pair.router.last().looked_at, 8);
  EXPECT_EQ(pair.Choose(Fresh(1), Seconds(3)), 12);
  EXPECT_LE(pair.router.last().looked_at, 53);
  EXPECT_EQ(pair.Choose(Fresh(1), Milliseconds(3)), Router::kTooLate);
}

TEST(RouterTest, SaysNoRoomOnlyIfThereIsNone) {
  for (size_t p = 0; p < RoutePolicyNames().size(); ++p) {
    for (const int32_t devices : {8, 300}) {
      ToyPool pool = Idle(devices);
      for (tests::ToyDevice& d : pool.devices) {
        d.booking.free_blocks = 31;  // one too few
        d.booking.used_blocks = 1000;
        d.booking.running = 5;
      }
      Pair pair(pool, With(static_cast<RoutePolicy>(p)));
      EXPECT_EQ(pair.Choose(Fresh(1)), Router::kNoRoom) << RoutePolicyNames()[p];
      // One device with room, and more on it than on any other.
      const int32_t last = devices - 3;
      DeviceBooking& b = pair.pool.devices[static_cast<size_t>(last)].booking;
      b.running = 200;
      b.used_blocks = 5000;
      b.free_blocks = 32 + 200;
      pair.router.Update(last, pair.pool.BookingOf(last));
      EXPECT_EQ(pair.Choose(Fresh(1)), last) << RoutePolicyNames()[p];
      b.free_blocks -= 1;
      pair.router.Update(last, pair.pool.BookingOf(last));
      EXPECT_EQ(pair.Choose(Fresh(1)), Router::kNoRoom) << RoutePolicyNames()[p];
    }
  }
}

// A booking lives as long as its request: ten silent minutes free nothing (llm-d-router #2295).
TEST(RouterTest, BookingsDoNotExpire) {
  Pair pair(Idle(4), With(RoutePolicy::kCost));
  ASSERT_EQ(pair.Route(Fresh(1), TimePoint(0)), 0);
  for (uint64_t id = 2; id <= 4; ++id) {
    EXPECT_NE(pair.Route(Fresh(id), TimePoint(0) + Seconds(600)), 0);
  }
  EXPECT_EQ(pair.Spread(), 0);
}

TEST(RouteCostTest, SaturatesInsteadOfWrapping) {
  DeviceView view;
  view.step_with = Seconds(1'000'000'000);
  view.resident_decodes = 1'000'000;
  view.expected_output = 1'000'000'000;
  view.energy_delta = Energy::FromPicojoules(static_cast<__int128>(1) << 100);
  const RouteCost cost = CostOf(view, INT64_MAX);
  EXPECT_EQ(cost.residents.value(), INT64_MAX);
  EXPECT_EQ(cost.total.value(), INT64_MAX);
}

TEST(RouteCostTest, IsTheSumOfWhatItTells) {
  DeviceView view;
  view.queue = Duration(3);
  view.wake_time = Duration(50);
  view.prefill_time = Duration(700);
  view.step_now = Duration(10);
  view.step_with = Duration(12);
  view.resident_decodes = 5;
  view.expected_output = 100;
  view.energy_delta = Energy::FromPicojoules(2'500'000'000'000);  // 2.5 J
  const RouteCost cost = CostOf(view, 1000);
  EXPECT_EQ(cost.residents, Duration(2 * 5 * 100));
  EXPECT_EQ(cost.decode, Duration(1200));
  EXPECT_EQ(cost.energy, Duration(2500));
  EXPECT_EQ(cost.total, Duration(3 + 50 + 700 + 1000 + 1200 + 2500));
}

}  // namespace
}  // namespace scoville::scheduler
