// Divides energy between those who caused it, to the last picojoule.
//
// Rules for a step: weight FLOPs, weight and activation bytes and links by the owner's tokens;
// attention FLOPs by its query-key pairs, KV bytes by the rows it reads and writes; the head by its
// sampled rows; static power by the time its work needs (compute + memory, before overlap); the
// host gap equally. Shares are integers cut from running sums, in slot order, so they always sum to
// the whole and do not depend on the machine.
//
// Units: Energy, exact. Ownership: plain values; `out` spans are the caller's and no call
// allocates. Threading: none. Errors: spans of different lengths, energy below zero, weights that
// sum beyond 2^63 are CHECK failures.
#ifndef SCOVILLE_DEVICE_PHYSICS_ENERGY_ATTRIBUTION_H_
#define SCOVILLE_DEVICE_PHYSICS_ENERGY_ATTRIBUTION_H_

#include <cstdint>

#include "absl/types/span.h"
#include "base/units.h"
#include "device/physics/power_model.h"
#include "device/physics/step_cost.h"
#include "device/physics/step_shape.h"

namespace scoville::device {

// Splits `energy` over `weights` into `shares` (same length, not empty): share i is
// floor(E W_i / W) - floor(E W_(i-1) / W) with W_i the running sums. All weights zero: equally.
void SplitEnergy(Energy energy, absl::Span<const uint64_t> weights, absl::Span<Energy> shares);

// Energy by what drew it.
struct EnergyTerms {
  Energy compute;  // switching of the matrix units
  Energy memory;   // HBM traffic
  Energy link;     // traffic between chips
  Energy static_;  // retention, leakage, clock trees, all of the host gap, idle

  Energy total() const { return compute + memory + link + static_; }
  EnergyTerms& operator+=(const EnergyTerms& o) {
    compute += o.compute;
    memory += o.memory;
    link += o.link;
    static_ += o.static_;
    return *this;
  }
};

// Splits PowerModel::StepEnergy(price, state) into its terms.
EnergyTerms SplitStepTerms(const PowerModel& power, const StepPrice& price, int state,
                           double leakage = 1.0);

// One sequence's part of a step's energy. waste: its recomputed tokens' share.
struct SequenceEnergy {
  Energy prefill;
  Energy decode;
  Energy waste;

  Energy total() const { return prefill + decode + waste; }
};

// Splits PowerModel::StepEnergy(price, state, leakage) over the step's sequences, in slot order.
// `work` is what the priced shape was summed from; `out` has the same length.
void AttributeStep(const PowerModel& power, const ModelTiming& model, const StepPrice& price,
                   int state, double leakage, absl::Span<const SequenceWork> work,
                   absl::Span<SequenceEnergy> out);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_ENERGY_ATTRIBUTION_H_
