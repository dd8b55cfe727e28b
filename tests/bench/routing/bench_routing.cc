// Nanoseconds of a routing choice and of the forecasts; README.md says what each line is.
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "scheduler/forecast/output_lengths.h"
#include "scheduler/forecast/overflow_forecast.h"
#include "scheduler/routing/router.h"
#include "tests/reference/routing/toy_pool.h"
#include "tests/support/nanoseconds.h"

namespace scoville::scheduler {
namespace {

using tests::ToyPool;
using tests::ToyRequest;

// Prices that cost nothing to make, so that the router alone is measured.
void CheapForesee(const DeviceBooking& booking, DeviceView* view) {
  view->step_now = Duration(8'000'000 + 20'000 * booking.running);
  view->step_with = view->step_now + Duration(20'000);
  view->queue = view->step_now / 2;
  view->prefill_time = Duration(30'000'000);
  view->resident_decodes = booking.running;
  view->expected_output = 200;
  view->energy_delta = Energy::FromPicojoules(booking.running > 0 ? 1'000'000'000 : 9'000'000'000);
  view->meets_targets = booking.running < 30;
}

// `groups` prompts of `blocks` blocks each; where `hot`, every device holds the first half of each.
void RunRouter(int32_t devices, int64_t blocks, bool hot, RoutePolicy policy) {
  RouterOptions options;
  options.policy = policy;
  options.lambda_ns_per_joule = 1'000'000;
  ToyPool pool = ToyPool::Draw(3, devices, 0, true);
  constexpr uint64_t kGroups = 16;
  std::vector<ToyRequest> requests;
  std::vector<std::vector<device::BlockHash>> hashes;
  for (uint64_t g = 0; g < kGroups; ++g) {
    requests.push_back({g + 1, g, blocks, blocks, 200});
    hashes.push_back(ToyPool::HashesOf(requests.back()));
    for (int32_t i = 0; i < devices; ++i) {
      const int64_t draw = static_cast<int64_t>(
          RandomBelow(4, g, static_cast<uint64_t>(i), static_cast<uint64_t>(blocks)));
      if (hot || draw % 8 == 0) {
        pool.devices[static_cast<size_t>(i)].cached[g] = hot ? blocks / 2 : draw;
      }
    }
  }
  Router router(devices, options);
  pool.TellAll(&router);
  const std::string at = "_" + RoutePolicyNames()[static_cast<size_t>(policy)] + "_" +
                         std::to_string(devices) + "x" + std::to_string(blocks) +
                         (hot ? "_hot" : "");
  const auto foresee = [&](int32_t device, DeviceView* view) {
    CheapForesee(router.booking(device), view);
  };
  const auto choose = [&](int64_t i) {
    const size_t g = static_cast<size_t>(i) % kGroups;
    Placement placement = ToyPool::PlacementOf(requests[g], hashes[g]);
    placement.request = static_cast<uint64_t>(i);
    return static_cast<int64_t>(router.Choose(placement, foresee));
  };
  tests::ReportNanoseconds("choose" + at, 20'000, choose);
  tests::ReportNanoseconds("choose_and_book" + at, 20'000, [&](int64_t i) {
    const int32_t device = static_cast<int32_t>(choose(i));
    router.Booked(device, TimePoint(i));
    DeviceBooking booking = router.booking(device);
    booking.running += i % 2 == 0 ? 1 : -1;
    router.Update(device, booking);
    return int64_t{device};
  });
}

void RunDirectory() {
  PrefixDirectory directory(256, 1 << 20);
  const std::vector<device::BlockHash> prompt = ToyPool::HashesOf({1, 1, 4096, 4096, 1});
  tests::ReportNanoseconds("directory_stored_removed", 100'000, [&](int64_t i) {
    const size_t b = 1 + static_cast<size_t>(i) % 4095;
    const int32_t device = static_cast<int32_t>(i / 4095 % 256);
    directory.OnStored(device, prompt[b], prompt[b - 1]);
    directory.OnRemoved((device + 128) % 256, prompt[b]);
    return directory.pairs() & 1;
  });
}

void RunForecast() {
  OutputLengths lengths({3, 1024, 8});
  for (uint64_t i = 0; i < 4000; ++i) {
    lengths.Record(0, static_cast<int64_t>(RandomBelow(5, 0, i, 2000)));
  }
  OverflowForecast forecast(&lengths, {});
  std::vector<ForecastRow> rows;
  for (uint64_t i = 0; i < 256; ++i) {
    ForecastRow row;
    row.done = static_cast<int64_t>(RandomBelow(5, 1, i, 1000));
    row.known_tokens = 500 + row.done;
    row.max_tokens = 4096;
    rows.push_back(row);
  }
  const OverflowForecast::Demand demand = forecast.Of(rows[0]);
  tests::ReportNanoseconds("forecast_rebuild_256", 1000, [&](int64_t i) {
    rows[0].done = i % 1000;
    forecast.Rebuild(rows);
    return forecast.sums().now & 1;
  });
  tests::ReportNanoseconds("forecast_demand_of_row", 100'000, [&](int64_t i) {
    return forecast.Of(rows[static_cast<size_t>(i) % 256]).now;
  });
  tests::ReportNanoseconds("forecast_admits_demand", 100'000, [&](int64_t i) {
    return forecast.Admits(demand, 40'000 + i % 7) ? 1 : 0;
  });
  tests::ReportNanoseconds("lengths_record", 100'000, [&](int64_t i) {
    lengths.Record(1, i % 3000);
    return lengths.weight(1) & 1;
  });
  tests::ReportNanoseconds("lengths_survival", 1'000'000,
                           [&](int64_t i) { return lengths.Survival(0, i % 500, 100, 4096); });
  tests::ReportNanoseconds("lengths_expected", 100'000,
                           [&](int64_t i) { return lengths.Expected(0, i % 500, 4096); });
}

}  // namespace
}  // namespace scoville::scheduler

int main() {
  using scoville::scheduler::RoutePolicy;
  for (const int64_t blocks : {64, 1024}) {
    scoville::scheduler::RunRouter(256, blocks, false, RoutePolicy::kCost);
    scoville::scheduler::RunRouter(256, blocks, true, RoutePolicy::kCost);
  }
  scoville::scheduler::RunRouter(32, 64, true, RoutePolicy::kCost);
  scoville::scheduler::RunRouter(4096, 64, true, RoutePolicy::kCost);
  for (const RoutePolicy policy :
       {RoutePolicy::kLeastLoaded, RoutePolicy::kRoundRobin, RoutePolicy::kPowerOfTwo,
        RoutePolicy::kPrefixSticky, RoutePolicy::kConsolidate}) {
    scoville::scheduler::RunRouter(256, 64, true, policy);
  }
  scoville::scheduler::RunDirectory();
  scoville::scheduler::RunForecast();
  return 0;
}
