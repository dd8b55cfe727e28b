#include "tests/reference/routing/toy_pool.h"

#include <algorithm>

#include "base/random.h"
#include "scheduler/routing/route_cost.h"

namespace scoville::tests {
namespace {

constexpr int64_t kPrefillNsPerToken = 20'000;
constexpr int64_t kIdleMilliwatts = 80'000;
constexpr int64_t kBusyMilliwatts = 400'000;
constexpr int64_t kParkedMilliwatts = 10'000;
constexpr int64_t kWakeNs = 2'000'000'000;

device::BlockHash HashOf(uint64_t stream, int64_t index) {
  const uint64_t i = static_cast<uint64_t>(index);
  return {RandomBits(77, stream, 2 * i), RandomBits(77, stream, 2 * i + 1)};
}

}  // namespace

ToyPool ToyPool::Draw(uint64_t seed, int32_t count, int64_t groups, bool uneven) {
  ToyPool pool;
  uint64_t draws = 0;
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(RandomBelow(seed, 1, draws++, static_cast<uint64_t>(n)));
  };
  const int64_t fill = 1 + below(64);  // how busy the pool is as a whole
  const bool parking = below(2) == 0;
  for (int32_t i = 0; i < count; ++i) {
    ToyDevice d;
    d.booking.running = static_cast<int32_t>(std::max<int64_t>(0, below(fill + 4) - 3));
    d.booking.used_blocks = d.booking.running * (20 + below(60));
    d.booking.free_blocks = std::max<int64_t>(0, 6000 - d.booking.used_blocks);
    d.booking.parked = parking && d.booking.running == 0 && below(2) == 0;
    d.booking.ready = below(40) != 0;
    d.pending_tokens = d.booking.running > 0 && below(3) == 0 ? below(8000) : 0;
    d.slow = uneven ? 1000 + below(500) : 1000;
    for (int64_t g = 0; g < groups; ++g) {
      if (below(8) == 0) {
        d.cached[static_cast<uint64_t>(g)] = below(400);
      }
    }
    pool.devices.push_back(d);
  }
  return pool;
}

int64_t ToyPool::StepNs(const ToyDevice& d, int64_t running, int64_t blocks) const {
  return running == 0 ? 0 : (8'000'000 + 20'000 * running + 500 * blocks) * d.slow / 1000;
}

void ToyPool::Foresee(const ToyRequest& request, int32_t device,
                      scheduler::DeviceView* view) const {
  const ToyDevice& d = devices[static_cast<size_t>(device)];
  const auto cached = d.cached.find(request.group);
  view->cached_blocks_hit =
      cached == d.cached.end() ? 0 : std::min(cached->second, request.shared_blocks);
  const int64_t token_ns = kPrefillNsPerToken * d.slow / 1000;
  view->step_now = Duration(StepNs(d, d.booking.running, d.booking.used_blocks));
  view->step_with =
      Duration(StepNs(d, d.booking.running + 1, d.booking.used_blocks + request.prompt_blocks));
  view->queue = Duration(d.pending_tokens * token_ns) + view->step_now / 2;
  view->prefill_time =
      Duration((request.prompt_blocks - view->cached_blocks_hit) * kBlock * token_ns);
  view->resident_decodes = d.booking.running;
  view->expected_output = request.output;
  view->wake_time = d.booking.parked ? Duration(kWakeNs) : Duration();
  const Duration decoding = (view->step_with - view->step_now) * request.output;
  view->energy_delta = Power(kBusyMilliwatts) * (view->prefill_time + decoding);
  if (d.booking.running == 0) {
    view->energy_delta -= Power(kIdleMilliwatts) * (view->prefill_time + decoding);
  }
  if (d.booking.parked) {
    view->energy_delta += Power(kBusyMilliwatts) * view->wake_time;
    view->energy_delta += Power(kIdleMilliwatts - kParkedMilliwatts) * (decoding + Seconds(10));
  }
  view->first_token = view->queue + view->wake_time + view->prefill_time + view->step_with;
  view->meets_targets =
      view->step_with < Milliseconds(12) && view->first_token < Milliseconds(2500);
}

scheduler::DeviceBooking ToyPool::BookingOf(int32_t device) const {
  const ToyDevice& d = devices[static_cast<size_t>(device)];
  scheduler::DeviceBooking booking = d.booking;
  // Prompts ahead, and for a request as most are (200 blocks, 500 tokens): its steps, and what it
  // adds to those of the others.
  const int64_t step_now = StepNs(d, booking.running, booking.used_blocks);
  const int64_t step_with = StepNs(d, booking.running + 1, booking.used_blocks + 200);
  booking.work = scheduler::UsualWork(
      Duration(d.pending_tokens * kPrefillNsPerToken * d.slow / 1000), Duration(step_now),
      Duration(step_with - step_now), booking.running, 500);
  return booking;
}

void ToyPool::Place(const ToyRequest& request, int32_t device) {
  ToyDevice& d = devices[static_cast<size_t>(device)];
  scheduler::DeviceView view;
  Foresee(request, device, &view);
  d.booking.parked = false;
  d.booking.running += 1;
  d.booking.used_blocks += request.prompt_blocks - view.cached_blocks_hit;
  d.booking.free_blocks -= request.prompt_blocks - view.cached_blocks_hit;
  d.pending_tokens += (request.prompt_blocks - view.cached_blocks_hit) * kBlock;
  int64_t& cached = d.cached[request.group];
  cached = std::max(cached, request.shared_blocks);
}

std::vector<device::BlockHash> ToyPool::HashesOf(const ToyRequest& request) {
  std::vector<device::BlockHash> hashes;
  for (int64_t i = 0; i < request.prompt_blocks; ++i) {
    hashes.push_back(i < request.shared_blocks ? HashOf(request.group, i)
                                               : HashOf(1'000'000 + request.id, i));
  }
  return hashes;
}

scheduler::Placement ToyPool::PlacementOf(const ToyRequest& request,
                                          const std::vector<device::BlockHash>& hashes) {
  scheduler::Placement placement;
  placement.blocks = request.prompt_blocks;
  placement.total_blocks = request.prompt_blocks + (request.output + kBlock - 1) / kBlock;
  placement.max_running = 256;
  placement.request = request.id;
  placement.hashes = hashes;
  return placement;
}

void ToyPool::TellAll(scheduler::Router* router) const {
  for (int32_t i = 0; i < static_cast<int32_t>(devices.size()); ++i) {
    router->Update(i, BookingOf(i));
    for (const auto& [group, blocks] : devices[static_cast<size_t>(i)].cached) {
      device::BlockHash parent;
      for (int64_t b = 0; b < blocks; ++b) {
        const device::BlockHash hash = HashOf(group, b);
        router->directory().OnStored(i, hash, parent);
        parent = hash;
      }
    }
  }
}

}  // namespace scoville::tests
