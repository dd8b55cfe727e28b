// What a device reports of each step: the one source of every figure of time, power and tokens
// above this folder.
//
// Units: in the types; counts otherwise. Ownership: plain values. Threading: any.
// All times and energies are emulated: they follow from the profile and not from the host.
#ifndef SCOVILLE_DEVICE_RECORDS_H_
#define SCOVILLE_DEVICE_RECORDS_H_

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/units.h"
#include "device/physics/energy_attribution.h"
#include "device/physics/step_cost.h"
#include "device/power/cap_policy.h"
#include "device/power/power_phase.h"

namespace scoville::device {

// Where energy went, by beneficiary. The sum is the device's meter, to the picojoule, after every
// event.
struct EnergyBuckets {
  Energy prefill;  // attributed to requests
  Energy decode;   // attributed to requests
  Energy idle;     // between steps
  Energy waste;    // tokens computed a second time, steps lost

  Energy total() const { return prefill + decode + idle + waste; }
  EnergyBuckets& operator+=(const EnergyBuckets& o) {
    prefill += o.prefill;
    decode += o.decode;
    idle += o.idle;
    waste += o.waste;
    return *this;
  }
};

struct StepRecord {
  DeviceId device;
  int64_t step = 0;   // counts the device's steps from 1
  TimePoint start;    // engine time
  TimePoint end;      // engine time: start + duration + lag
  Duration duration;  // device time
  Duration lag;       // what the host needed beyond it; no part of device time or energy
  int32_t sequences = 0;
  int64_t prefill_tokens = 0;     // prompt tokens computed for the first time
  int64_t recomputed_tokens = 0;  // computed before and lost to a preemption
  int64_t decode_tokens = 0;      // rows that continued an output
  int64_t output_tokens = 0;      // tokens sampled
  int64_t draft_tokens = 0;       // guessed ones that were computed beside decode rows
  int64_t accepted_draft_tokens = 0;
  int32_t pstate = 0;
  int64_t clock_hertz = 0;
  bool lost = false;       // void: the device died or was given up on; all of its energy is waste
  bool throttled = false;  // the cap or heat kept the clock below the one wanted
  CapExplanation why;      // of the cap, if it did
  Power power;             // mean over the step
  PowerPhase phases[2];    // host gap, forward: sum of power x duration is the energy
  EnergyBuckets energy;    // of this step: idle is zero
  EnergyTerms terms;
  StallTimes stalls;
  double model_flops = 0;   // for MFU
  double hbm_bytes = 0;     // for MBU, all chips
  uint64_t plan_hash = 0;   // of (request, cached, count) of every sequence, in slot order
  uint64_t token_hash = 0;  // of the sampled tokens, in slot order
};

// Time and energy without a step, by what the device was doing. Parts of EnergyBuckets::idle.
struct IdleTotals {
  Duration warm;
  Duration parked;
  Duration cap_wait;  // a step was ready and the cap or heat did not admit it
  Energy warm_energy;
  Energy parked_energy;
  Energy cap_wait_energy;

  Duration duration() const { return warm + parked + cap_wait; }
  Energy energy() const { return warm_energy + parked_energy + cap_wait_energy; }
};

enum class DeviceState : uint8_t {
  kStarting,
  kReady,
  kDraining,
  kDrained,
  kFaulted,
  kLost,
  kRemoved,  // no more: what it had done, for sums that must not fall
};

// A device as it stands, settled to the last step's end.
struct DeviceStatus {
  DeviceId id;
  DeviceState state = DeviceState::kReady;
  bool busy = false;
  bool parked = false;
  Power power;  // of the phase it is in: the step's mean, or idle
  Power cap;
  Power min_cap;  // the least it could keep
  int64_t clock_hertz = 0;
  double temperature_celsius = 0;
  EnergyBuckets energy;
  EnergyTerms terms;
  IdleTotals idle;
  std::string explanation;  // why a step was last slowed or delayed; empty: never
  StallTimes stalls;
  Duration busy_time;
  Duration idle_time;  // busy_time + idle_time is the device's time
  Duration lag;
  int64_t steps = 0;
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;
  int64_t kv_blocks_cached = 0;   // hold a prefix nobody uses now, not the pinned ones
  int64_t kv_blocks_pinned = 0;   // likewise, kept until their pin expires
  int64_t kv_blocks_bad = 0;      // their page is lost; not in the total
  int64_t kv_blocks_evicted = 0;  // so far
  int64_t host_blocks_total = 0;  // of the second tier
  int64_t host_blocks_held = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_RECORDS_H_
