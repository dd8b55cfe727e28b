#include "device/energy_terms.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "device/physics/energy_attribution.h"

namespace scoville::device {

namespace {

// Watts as integer weights; a microwatt is far below what a rounded milliwatt can tell.
uint64_t Weight(double watts) { return static_cast<uint64_t>(std::max(0.0, watts) * 1e6); }

}  // namespace

EnergyTerms StepTerms(const PowerModel& power, const StepPrice& price, int state) {
  const ForwardPower parts = power.ForwardParts(price, state);
  const std::array<uint64_t, 4> weights = {
      Weight(parts.linear_flops + parts.attention_flops + parts.head_flops),
      Weight(parts.linear_bytes + parts.attention_bytes + parts.head_bytes), Weight(parts.links),
      Weight(parts.floor)};
  std::array<Energy, 4> shares;
  SplitEnergy(power.Forward(price, state) * price.forward, weights, absl::MakeSpan(shares));
  EnergyTerms terms;
  terms.compute = shares[0];
  terms.memory = shares[1];
  terms.link = shares[2];
  terms.static_ = shares[3] + power.HostGap(state) * price.host_gap;
  return terms;
}

}  // namespace scoville::device
