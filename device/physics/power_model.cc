#include "device/physics/power_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

// What a chip that waits for its links saves of its clock-tree power.
constexpr double kCommActivitySaving = 0.5;
constexpr double kBitsPerByte = 8.0;
// The temperature leakage is given for, and the coolest one the table of its factors begins at.
constexpr double kReferenceCelsius = 60.0;
constexpr double kCoolest = -40.0;

// The most that (a x + b y) / (x^p + y^p)^(1/p) can be: Hölder's bound, for the rates `a` and `b`
// of two resources that overlap with exponent p.
double WorstMix(double a, double b, double p) {
  if (p == 1) {
    return std::max(a, b);
  }
  if (p == std::numeric_limits<double>::infinity()) {
    return a + b;
  }
  const double dual = p / (p - 1.0);
  return std::pow(std::pow(a, dual) + std::pow(b, dual), 1.0 / dual);
}

// The best that any operator makes of the chip.
struct Extremes {
  double bandwidth_efficiency = 0;
  double attention_efficiency = 0;
  double overlap = 1;
};

Extremes ExtremesOf(const Profile& profile) {
  Extremes e;
  e.bandwidth_efficiency =
      std::max(profile.bandwidth_efficiency.value, profile.attention_bandwidth_efficiency.value);
  e.attention_efficiency = profile.attention_efficiency.value;
  e.overlap = profile.overlap.value;
  for (const GemmConstants& gemm : profile.operators.gemm) {
    if (gemm.given) {
      e.bandwidth_efficiency = std::max(e.bandwidth_efficiency, gemm.bandwidth_efficiency.value);
      e.overlap = std::max(e.overlap, gemm.overlap.value);
    }
  }
  if (profile.operators.decode.given) {
    e.overlap = std::max(e.overlap, 2.0);  // TimeDecodes
  }
  const PrefillConstants& prefill = profile.operators.prefill;
  if (prefill.given) {
    e.bandwidth_efficiency = std::max(e.bandwidth_efficiency, prefill.bandwidth_efficiency.value);
    e.attention_efficiency = std::max(e.attention_efficiency, prefill.efficiency_fp8.value);
    e.overlap = std::max(e.overlap, prefill.overlap.value);
  }
  return e;
}

// The most FLOPs a second of decodes that fill up their query rows, while memory sets the pace: two
// a row for each byte of an 8-bit cache.
double DecodeFlopRate(const Profile& profile, const Extremes& e) {
  const double rows = profile.decode_query_rows.value;
  return rows > 1 ? 2.0 * rows * e.bandwidth_efficiency * profile.hbm_bandwidth.value : 0.0;
}

}  // namespace

absl::string_view IdleStateName(IdleState state) {
  constexpr absl::string_view kNames[] = {"off", "parked", "warm", "hot"};
  return kNames[static_cast<int>(state)];
}

PowerModel::PowerModel(const Profile& profile, int64_t chips)
    : chips_(chips),
      retention_watts_(profile.retention_power.value),
      off_watts_(profile.off_power.value),
      parked_watts_(profile.parked_power.value),
      host_gap_activity_(profile.host_gap_activity.value),
      hbm_joules_per_byte_(kBitsPerByte * profile.hbm_energy_per_bit.value),
      link_joules_per_byte_(kBitsPerByte * profile.link_energy_per_bit.value) {
  CHECK_GE(chips, 1);
  for (double celsius = kCoolest; celsius <= profile.trip_temperature.value; celsius += 1.0) {
    leakage_factors_.push_back(
        std::exp(profile.leakage_slope.value * (celsius - kReferenceCelsius)));
  }
  const Extremes extremes = ExtremesOf(profile);
  const double memory =
      hbm_joules_per_byte_ * extremes.bandwidth_efficiency * profile.hbm_bandwidth.value;
  // Links add to a step only while it also waits for the share of the bytes that is not hidden.
  const double links =
      chips == 1 ? 0.0
                 : link_joules_per_byte_ *
                       std::max(profile.local_bandwidth.value, profile.global_bandwidth.value) /
                       (1.0 - profile.hidden_collectives.value);
  for (const PState& s : profile.pstates) {
    Row row;
    row.leakage = profile.leakage_power.value * s.leakage_ratio;
    row.activity = profile.activity_power.value * s.activity_ratio;
    double worst = links;
    for (int math = 0; math < kMathTypes; ++math) {
      const MathType type = static_cast<MathType>(math);
      row.energy_per_flop[math] = profile.EnergyPerFlop(type) * s.switching_ratio;
      const double efficiency = std::max(profile.Efficiency(type), extremes.attention_efficiency);
      const double compute =
          row.energy_per_flop[math] * efficiency * profile.Peak(type) / s.slowdown;
      worst = std::max(worst, WorstMix(compute, memory, extremes.overlap));
    }
    worst = std::max(worst, memory + row.energy_per_flop[static_cast<int>(MathType::kBf16)] *
                                         DecodeFlopRate(profile, extremes));
    row.worst_case = Static(row, TripLeakage()) + row.activity + worst;
    table_.push_back(row);
  }
}

const PowerModel::Row& PowerModel::At(int state) const {
  CHECK_GE(state, 0);
  CHECK_LT(state, states());
  return table_[state];
}

Power PowerModel::ToPower(double watts_per_chip) const {
  return Power(std::llround(watts_per_chip * static_cast<double>(chips_) * 1e3));
}

double PowerModel::LeakageFactor(double celsius) const {
  const double place =
      std::clamp(celsius - kCoolest, 0.0, static_cast<double>(leakage_factors_.size() - 1));
  const size_t below = std::min(static_cast<size_t>(place), leakage_factors_.size() - 2);
  const double share = place - static_cast<double>(below);
  return leakage_factors_[below] + share * (leakage_factors_[below + 1] - leakage_factors_[below]);
}

Power PowerModel::Idle(IdleState idle, int state, double leakage) const {
  switch (idle) {
    case IdleState::kOff:
      return ToPower(off_watts_);
    case IdleState::kParked:
      return ToPower(parked_watts_);
    case IdleState::kWarm:
      return ToPower(Static(At(0), leakage));
    case IdleState::kHot:
      return ToPower(Static(At(state), leakage) + At(state).activity);
  }
  CHECK(false);
}

Power PowerModel::HostGap(int state, double leakage) const {
  return ToPower(Static(At(state), leakage) + host_gap_activity_ * At(state).activity);
}

ForwardPower PowerModel::ForwardParts(const StepPrice& price, int state, double leakage) const {
  const Row& row = At(state);
  const double chips = static_cast<double>(chips_);
  ForwardPower parts;
  parts.floor = chips * (Static(row, leakage) +
                         (1.0 - kCommActivitySaving * price.comm_share) * row.activity);
  if (price.forward_seconds <= 0) {
    return parts;
  }
  const double per_second = 1.0 / price.forward_seconds;
  const auto flops = [&](const StepTerm& t) {
    return row.energy_per_flop[static_cast<int>(t.math)] * t.flops_executed * per_second;
  };
  const auto bytes = [&](const StepTerm& t) {
    return hbm_joules_per_byte_ * t.bytes_per_chip * chips * per_second;
  };
  parts.linear_flops = flops(price.linear) + flops(price.experts);
  parts.linear_bytes = bytes(price.linear) + bytes(price.experts);
  parts.attention_flops = flops(price.attention[0]) + flops(price.attention[1]);
  parts.attention_bytes = bytes(price.attention[0]) + bytes(price.attention[1]);
  parts.head_flops = flops(price.head);
  parts.head_bytes = bytes(price.head);
  parts.links = link_joules_per_byte_ * price.link_bytes_per_chip * chips * per_second;
  return parts;
}

Power PowerModel::Forward(const StepPrice& price, int state, double leakage) const {
  return Power(std::llround(ForwardParts(price, state, leakage).total() * 1e3));
}

Energy PowerModel::StepEnergy(const StepPrice& price, int state, double leakage) const {
  return HostGap(state, leakage) * price.host_gap + Forward(price, state, leakage) * price.forward;
}

Power PowerModel::WorstCase(int state) const {
  // Up to the next milliwatt, with a hair for the rounding of the sums.
  constexpr double kHair = 1e-6;
  return Power(static_cast<int64_t>(
      std::ceil(At(state).worst_case * static_cast<double>(chips_) * 1e3 + kHair)));
}

std::optional<int> PowerModel::HighestStateUnder(Power cap) const {
  for (int state = states() - 1; state >= 0; --state) {
    if (WorstCase(state) <= cap) {
      return state;
    }
  }
  return std::nullopt;
}

}  // namespace scoville::device
