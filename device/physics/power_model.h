// What a device draws, idle and in each phase of a step.
//
// Per chip: retention + leakage(V, T) + clock trees(f, V) + energy of the work over the phase; a
// device is `chips` of them. Leakage follows the junction's temperature, which the caller samples
// at the start of a phase and passes as LeakageFactor; 1 is 60 degrees C.
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
  double linear_bytes = 0;  // weights and activations; experts' too
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

  // e^(slope (T - 60)), from a table made at construction, linear in between; T is clamped to
  // [-40, trip].
  double LeakageFactor(double celsius) const;
  double TripLeakage() const { return leakage_factors_.back(); }

  // `state` matters for hot alone.
  Power Idle(IdleState idle, int state, double leakage = 1.0) const;
  Power Warm(double leakage = 1.0) const { return Idle(IdleState::kWarm, 0, leakage); }
  // The most that a chip draws without anyone's decision: warm idle at the trip temperature.
  Power Tail() const { return Warm(TripLeakage()); }
  Power HostGap(int state, double leakage = 1.0) const;
  Power Forward(const StepPrice& price, int state, double leakage = 1.0) const;
  ForwardPower ForwardParts(const StepPrice& price, int state, double leakage = 1.0) const;
  // Exactly HostGap x host_gap + Forward x forward.
  Energy StepEnergy(const StepPrice& price, int state, double leakage = 1.0) const;

  // The most any phase of any step can draw at `state`, at the trip temperature: the floor plus the
  // worst mix of matrix and memory work that the overlap allows, at the costliest rate.
  Power WorstCase(int state) const;
  // The highest state whose worst case is at or below `cap`; none if even the lowest is above it.
  std::optional<int> HighestStateUnder(Power cap) const;

 private:
  struct Row {
    double leakage = 0;   // at 60 degrees C, W per chip
    double activity = 0;  // clock trees, W per chip
    double energy_per_flop[kMathTypes] = {};
    double worst_case = 0;  // W per chip
  };

  Power ToPower(double watts_per_chip) const;
  const Row& At(int state) const;

  // Retention + leakage, W per chip.
  double Static(const Row& row, double leakage) const {
    return retention_watts_ + row.leakage * leakage;
  }

  int64_t chips_;
  double retention_watts_;
  double off_watts_;
  double parked_watts_;
  double host_gap_activity_;
  double hbm_joules_per_byte_;
  double link_joules_per_byte_;
  std::vector<Row> table_;
  std::vector<double> leakage_factors_;  // one a degree, from kCoolest to the trip temperature
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_POWER_MODEL_H_
