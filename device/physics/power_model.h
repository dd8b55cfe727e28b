// What a device draws, idle and in each phase of a step.
//
// Per chip: retention + leakage(V, T) + clock trees(f, V) + energy of the work over the phase; a
// device is `chips` of them. The junction stands at 60 degrees C, the temperature the leakage is
// given for: there is no thermal model here yet, so nothing heats, throttles or trips.
//
// Units: milliwatts of the whole device, rounded once. Ownership: by value; copies what it needs of
// the profile. Threading: immutable after construction. Errors: a state out of range is a CHECK
// failure.
#ifndef SCOVILLE_DEVICE_PHYSICS_POWER_MODEL_H_
#define SCOVILLE_DEVICE_PHYSICS_POWER_MODEL_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/units.h"
#include "device/physics/profile.h"
#include "device/physics/step_cost.h"

namespace scoville::device {

// What an idle device holds ready. off: nothing. parked: weights in self-refresh, clocks off.
// warm: ready at the lowest voltage. hot: the clock held, no work.
enum class IdleState : uint8_t { kOff = 0, kParked = 1, kWarm = 2, kHot = 3 };

absl::string_view IdleStateName(IdleState state);

// The forward phase's power in watts of the whole device, by what draws it.
struct ForwardPower {
  double floor = 0;  // retention, leakage, clock trees
  double linear_flops = 0;
  double linear_bytes = 0;  // weights and activations
  double attention_flops = 0;
  double attention_bytes = 0;  // KV
  double head_flops = 0;
  double head_bytes = 0;
  double links = 0;

  double total() const {
    return floor + linear_flops + linear_bytes + attention_flops + attention_bytes + head_flops +
           head_bytes + links;
  }
};

class PowerModel {
 public:
  PowerModel(const Profile& profile, int64_t chips);

  int states() const { return static_cast<int>(table_.size()); }
  int64_t chips() const { return chips_; }

  // `state` matters for hot alone.
  Power Idle(IdleState idle, int state) const;
  Power Warm() const { return Idle(IdleState::kWarm, 0); }
  Power HostGap(int state) const;
  Power Forward(const StepPrice& price, int state) const;
  ForwardPower ForwardParts(const StepPrice& price, int state) const;
  // Exactly HostGap x host_gap + Forward x forward.
  Energy StepEnergy(const StepPrice& price, int state) const;

  // The most any phase of any step can draw at `state`: the floor plus the worst mix of matrix and
  // memory work that the overlap allows, at the costliest rate.
  Power WorstCase(int state) const;
  // The highest state whose worst case is at or below `cap`; none if even the lowest is above it.
  std::optional<int> HighestStateUnder(Power cap) const;

 private:
  struct Row {
    double busy_static = 0;  // retention + leakage, W per chip
    double activity = 0;     // clock trees, W per chip
    double energy_per_flop[kMathTypes] = {};
    double worst_case = 0;  // W per chip
  };

  Power ToPower(double watts_per_chip) const;
  const Row& At(int state) const;

  int64_t chips_;
  double off_watts_;
  double parked_watts_;
  double host_gap_activity_;
  double hbm_joules_per_byte_;
  double link_joules_per_byte_;
  std::vector<Row> table_;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_POWER_MODEL_H_
