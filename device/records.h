// What a device reports of each step: the one source of every figure of time, power and tokens
// above this folder.
//
// Units: in the types; counts otherwise. Ownership: plain values. Threading: any.
// All times and energies are emulated: they follow from the profile and not from the host.
#ifndef SCOVILLE_DEVICE_RECORDS_H_
#define SCOVILLE_DEVICE_RECORDS_H_

#include <cstdint>

#include "base/ids.h"
#include "base/units.h"
#include "device/physics/energy_attribution.h"
#include "device/physics/step_cost.h"

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
  int32_t pstate = 0;
  int64_t clock_hertz = 0;
  bool throttled = false;  // the cap kept the clock below the one wanted
  Power power;             // mean over the step
  EnergyBuckets energy;    // of this step: idle is zero
  EnergyTerms terms;
  StallTimes stalls;
  double model_flops = 0;   // for MFU
  double hbm_bytes = 0;     // for MBU, all chips
  uint64_t plan_hash = 0;   // of (request, cached, count) of every sequence, in slot order
  uint64_t token_hash = 0;  // of the sampled tokens, in slot order
};

enum class DeviceState : uint8_t { kStarting, kReady, kDraining, kDrained, kFaulted, kLost };

// A device as it stands, settled to the last step's end.
struct DeviceStatus {
  DeviceId id;
  DeviceState state = DeviceState::kReady;
  bool busy = false;
  Power power;  // of the phase it is in: the step's mean, or idle
  Power cap;
  int64_t clock_hertz = 0;
  double temperature_celsius = 0;
  EnergyBuckets energy;
  EnergyTerms terms;
  StallTimes stalls;
  Duration busy_time;
  Duration idle_time;  // busy_time + idle_time is the device's time
  Duration lag;
  int64_t steps = 0;
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_RECORDS_H_
