// What the fleet's power policy knows of one device at one instant, and the policy's own numbers.
//
// A view is gathered from the device (caps, curve, how long a lowered cap takes) and from the
// scheduler (what runs on it); everything that plans works on views alone, so a dry run and the
// real thing see the same.
//
// Units: milliwatts, thousandths of tokens per second, nanoseconds. Ownership: plain values.
// Threading: any. Errors: none.
#ifndef SCOVILLE_SCHEDULER_POWER_DEVICE_POWER_VIEW_H_
#define SCOVILLE_SCHEDULER_POWER_DEVICE_POWER_VIEW_H_

#include <array>
#include <cstdint>

#include "base/units.h"
#include "scheduler/power/throughput_curve.h"

namespace scoville::scheduler {

// Service classes in the order of ServiceClass: interactive, standard, batch.
inline constexpr int kTierCount = 3;
inline constexpr int kStandardTier = 1;
inline constexpr int kBatchTier = 2;

// "Nobody knows when."
inline constexpr Duration kUnknownTime = Duration(INT64_MAX / 4);

// What the scheduler knows of a device's work.
struct DeviceLoadView {
  std::array<int64_t, kTierCount> millitokens_per_second{};  // now, by tier
  std::array<int32_t, kTierCount> running{};                 // sequences, by tier
  int64_t batch_prefill_millitokens_per_second = 0;          // prompt tokens of the batch tier
  // Until what runs has ended if nothing new comes; zero when idle.
  Duration drain_time;

  bool idle() const {
    for (const int32_t count : running) {
      if (count > 0) return false;
    }
    return true;
  }
};

struct DevicePowerView {
  ThroughputCurve curve;  // tokens/s of the present mix
  Power min_cap;          // least at which one sequence at the lowest clock fits
  Power full_chunk_cap;   // least at which today's largest prefill chunk fits; >= min_cap
  Power max_cap;          // of the device or its operator; >= full_chunk_cap
  Power cap;              // last sent
  Power counted;          // in the books
  Power parked_power;     // at most this when parked
  Duration cap_delay;     // longest that a lowered cap takes to hold
  bool parkable = false;
  bool parked = false;
  bool draining = false;  // takes nothing new already
  bool lost = false;      // does not answer; keeps `counted` until it is fenced
  DeviceLoadView load;
};

struct FleetPowerPolicy {
  // Worth of a token by tier, 0 to 1,000.
  std::array<int64_t, kTierCount> tier_weight = {4, 2, 1};
  // Of every budget, for what the model does not see; parts per million.
  int64_t reserve_ppm = 50'000;
  // Devices the ladder leaves running whatever the budget.
  int32_t min_running = 1;
  // Width of a stair when a budget falls along a ramp.
  Duration stair = Seconds(1);
  // Wall power = (sum of devices + overhead per device) x PUE; PUE in thousandths.
  int64_t pue_milli = 1'000;
  Power overhead_per_device;
};

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_POWER_DEVICE_POWER_VIEW_H_
