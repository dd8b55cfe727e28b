#include "tests/reference/routing/reference_router.h"

#include <algorithm>

namespace scoville::tests {

using scheduler::DeviceView;
using scheduler::Placement;

double ReferenceCost(const DeviceView& v, int64_t lambda_ns_per_joule) {
  double ns = static_cast<double>(v.queue.value());
  ns += static_cast<double>(v.wake_time.value());
  ns += static_cast<double>(v.prefill_time.value());
  for (int64_t resident = 0; resident < v.resident_decodes; ++resident) {
    const double longer = static_cast<double>((v.step_with - v.step_now).value());
    ns += std::max(0.0, longer) * static_cast<double>(v.expected_output);
  }
  ns += static_cast<double>(v.step_with.value()) * static_cast<double>(v.expected_output);
  ns += v.energy_delta.joules() * static_cast<double>(lambda_ns_per_joule);
  return ns;
}

int32_t ReferenceChoice(const std::vector<DeviceView>& views, const std::vector<uint64_t>& booked,
                        const Placement& placement, int64_t lambda_ns_per_joule) {
  bool room = false;
  int32_t best = -1;
  double least = 0;
  for (size_t i = 0; i < views.size(); ++i) {
    const DeviceView& v = views[i];
    if (!v.ready || v.running + 1 > placement.max_running ||
        placement.total_blocks > v.used_blocks + v.free_blocks ||
        placement.blocks > v.free_blocks - v.running) {
      continue;
    }
    room = true;
    const Duration latency =
        v.queue + v.wake_time + v.prefill_time + v.step_with * v.expected_output;
    if (latency > placement.time_left) {
      continue;
    }
    const double cost = ReferenceCost(v, lambda_ns_per_joule);
    const bool longer_ago = best >= 0 && booked[i] < booked[static_cast<size_t>(best)];
    if (best < 0 || cost < least || (cost == least && longer_ago)) {
      best = static_cast<int32_t>(i);
      least = cost;
    }
  }
  return best >= 0 ? best : room ? -2 : -1;
}

std::vector<int64_t> ReferenceDirectory::Hits(
    const std::vector<device::BlockHash>& prompt,
    const std::function<bool(int64_t index)>& counts) const {
  std::vector<int64_t> hits;
  for (const std::set<device::BlockHash>& held : held_) {
    int64_t hit = 0;
    for (size_t i = 0; i < prompt.size() && held.contains(prompt[i]); ++i) {
      hit = counts(static_cast<int64_t>(i)) ? static_cast<int64_t>(i) + 1 : hit;
    }
    hits.push_back(hit);
  }
  return hits;
}

}  // namespace scoville::tests
