#include "device/physics/energy_attribution.h"

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

// Sums of weights stay below 2^63 and energies below 2^63 pJ (9.2 MJ, far above any step), so a
// product fits 127 bits.
constexpr uint64_t kMaxWeight = uint64_t{1} << 63;

// Exact quotients by one divisor, without a division each: Möller and Granlund, "Improved division
// by invariant integers", IEEE Transactions on Computers 60 (2011), algorithm 4.
class Divisor {
 public:
  explicit Divisor(uint64_t divisor)
      : shift_(__builtin_clzll(divisor)),
        scaled_(divisor << shift_),
        reciprocal_(static_cast<uint64_t>(
            (static_cast<unsigned __int128>(~scaled_) << 64 | ~uint64_t{0}) / scaled_)) {}

  // Precondition: the quotient fits 64 bits.
  uint64_t Divide(unsigned __int128 dividend) const {
    dividend <<= shift_;
    const uint64_t high = static_cast<uint64_t>(dividend >> 64);
    const uint64_t low = static_cast<uint64_t>(dividend);
    const unsigned __int128 guess = static_cast<unsigned __int128>(reciprocal_) * high + dividend;
    uint64_t quotient = static_cast<uint64_t>(guess >> 64) + 1;
    uint64_t rest = low - quotient * scaled_;
    if (rest > static_cast<uint64_t>(guess)) {
      --quotient;
      rest += scaled_;
    }
    return quotient + (rest >= scaled_ ? 1 : 0);
  }

 private:
  const int shift_;
  const uint64_t scaled_;
  const uint64_t reciprocal_;
};

// The split itself, in picojoules: weight(i) for i in [0, count), give(i, share) once each, in
// order. Two passes, no storage; a zero sum makes all weights one.
template <typename Weight, typename Give>
void SplitOver(Energy energy, size_t count, Weight weight, Give give) {
  CHECK_GT(count, size_t{0});
  CHECK(energy.total_picojoules() >= 0 &&
        energy.total_picojoules() < static_cast<__int128>(kMaxWeight));
  const uint64_t total = static_cast<uint64_t>(energy.total_picojoules());
  uint64_t sum = 0;
  bool equal = true;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t w = weight(i);
    CHECK_LT(w, kMaxWeight - sum);
    sum += w;
    equal = equal && w == weight(0);
  }
  if (equal) {
    // The edges total x (i + 1) / count one after the other, by what each leaves over.
    uint64_t left = 0;
    for (size_t i = 0; i < count; ++i) {
      left += total % count;
      const uint64_t more = left >= count ? 1 : 0;
      left -= more * count;
      give(i, total / count + more);
    }
    return;
  }
  const Divisor by_sum(sum);
  uint64_t running = 0;
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    running += weight(i);
    const uint64_t edge = by_sum.Divide(static_cast<unsigned __int128>(total) * running);
    give(i, edge - last);
    last = edge;
  }
}

// A part of a power as a weight: nanowatts.
uint64_t PowerWeight(double watts) {
  return static_cast<uint64_t>(std::llround(std::fmax(0.0, watts) * 1e9));
}

// The groups a forward phase's energy is split into before it goes to owners.
enum Group { kStatic, kTokens, kPairs, kRows, kOutputs, kGroups };

void SplitForward(const ForwardPower& p, Energy forward, Energy (&groups)[kGroups]) {
  uint64_t weights[kGroups];
  weights[kStatic] = PowerWeight(p.floor);
  weights[kTokens] = PowerWeight(p.linear_flops + p.linear_bytes + p.links);
  weights[kPairs] = PowerWeight(p.attention_flops);
  weights[kRows] = PowerWeight(p.attention_bytes);
  weights[kOutputs] = PowerWeight(p.head_flops + p.head_bytes);
  SplitEnergy(forward, weights, absl::MakeSpan(groups));
}

// Seconds of a kind of work per unit of it.
double PerUnit(double seconds, int64_t units) {
  return units > 0 ? seconds / static_cast<double>(units) : 0.0;
}

// How much time (compute + memory, before overlap) each unit of work needs in this step.
struct UnitTimes {
  double token = 0;
  double pair = 0;
  double row = 0;
  double output = 0;
};

// Sums over the step that owners' shares are shares of.
struct Totals {
  int64_t tokens = 0;
  int64_t pairs = 0;
  int64_t rows = 0;
  int64_t outputs = 0;
};

// Weight of a query-key pair by its role, so that FLOPs are split as they were spent: sixteenths of
// the dearer kind's, which keeps sums of any real step below 2^63.
int64_t PairUnit(const ModelTiming& model, StepRole role) {
  const double dearer = std::fmax(model.flops_per_pair[0], model.flops_per_pair[1]);
  const double own = model.flops_per_pair[static_cast<int>(role)];
  return dearer > 0 ? std::llround(16.0 * own / dearer) : 1;
}

// What one sequence's share is measured by, and the share, in picojoules.
struct Owner {
  int64_t tokens = 0;
  int64_t pairs = 0;  // in sixteenths of the dearer kind
  int64_t rows = 0;
  int64_t outputs = 0;
  uint64_t femtoseconds = 0;
  uint64_t share = 0;  // six shares of less than 2^63 pJ together: the whole of any real step
};

// Attention FLOPs by kind of pair: a prompt's and a decode's cost differently in latent attention.
Owner OwnerOf(const ModelTiming& model, const SequenceWork& work,
              const int64_t (&pair_units)[kStepRoles]) {
  Owner owner;
  owner.tokens = work.new_tokens;
  owner.pairs = (model.full_layers * work.attention_pairs() +
                 model.windowed_layers * work.windowed_pairs(model.rules.window)) *
                pair_units[static_cast<int>(work.role)];
  owner.rows = model.full_layers * work.kv_rows_read(model.rules) +
               model.windowed_layers * work.windowed_rows_read(model.rules) +
               model.layers * work.new_tokens;
  owner.outputs = work.output_rows;
  return owner;
}

UnitTimes TimesPerUnit(const StepPrice& p, const Totals& t) {
  UnitTimes u;
  u.token = PerUnit(p.linear.compute_seconds + p.linear.memory_seconds + p.experts.compute_seconds +
                        p.experts.memory_seconds,
                    t.tokens);
  u.pair = PerUnit(p.attention[0].compute_seconds + p.attention[1].compute_seconds, t.pairs);
  u.row = PerUnit(p.attention[0].memory_seconds + p.attention[1].memory_seconds, t.rows);
  u.output = PerUnit(p.head.compute_seconds + p.head.memory_seconds, t.outputs);
  return u;
}

}  // namespace

void SplitEnergy(Energy energy, absl::Span<const uint64_t> weights, absl::Span<Energy> shares) {
  CHECK_EQ(weights.size(), shares.size());
  SplitOver(
      energy, weights.size(), [&](size_t i) { return weights[i]; },
      [&](size_t i, uint64_t share) { shares[i] = Energy::FromPicojoules(share); });
}

EnergyTerms SplitStepTerms(const PowerModel& power, const StepPrice& price, int state,
                           double leakage) {
  const ForwardPower p = power.ForwardParts(price, state, leakage);
  const uint64_t weights[] = {
      PowerWeight(p.linear_flops + p.attention_flops + p.head_flops),
      PowerWeight(p.linear_bytes + p.attention_bytes + p.head_bytes),
      PowerWeight(p.links),
      PowerWeight(p.floor),
  };
  Energy shares[4];
  SplitEnergy(power.Forward(price, state, leakage) * price.forward, weights,
              absl::MakeSpan(shares));
  return {shares[0], shares[1], shares[2],
          shares[3] + power.HostGap(state, leakage) * price.host_gap};
}

void AttributeStep(const PowerModel& power, const ModelTiming& model, const StepPrice& price,
                   int state, double leakage, absl::Span<const SequenceWork> work,
                   absl::Span<SequenceEnergy> out) {
  CHECK_EQ(work.size(), out.size());
  const size_t count = work.size();
  const int64_t pair_units[kStepRoles] = {PairUnit(model, StepRole::kPrefill),
                                          PairUnit(model, StepRole::kDecode)};
  Totals totals;
  std::vector<Owner> owners(count);
  for (size_t i = 0; i < count; ++i) {
    CHECK_GE(work[i].new_tokens, 1);
    CHECK(work[i].recomputed >= 0 && work[i].recomputed <= work[i].new_tokens);
    owners[i] = OwnerOf(model, work[i], pair_units);
    totals.tokens += owners[i].tokens;
    totals.pairs += owners[i].pairs;
    totals.rows += owners[i].rows;
    totals.outputs += owners[i].outputs;
  }
  const UnitTimes unit = TimesPerUnit(price, totals);
  for (Owner& owner : owners) {
    const double seconds = unit.token * static_cast<double>(owner.tokens) +
                           unit.pair * static_cast<double>(owner.pairs) +
                           unit.row * static_cast<double>(owner.rows) +
                           unit.output * static_cast<double>(owner.outputs);
    owner.femtoseconds = static_cast<uint64_t>(std::llround(seconds * 1e15));
  }

  Energy groups[kGroups];
  SplitForward(power.ForwardParts(price, state, leakage),
               power.Forward(price, state, leakage) * price.forward, groups);
  const auto split = [&](Energy energy, auto weight) {
    SplitOver(
        energy, count, [&](size_t i) { return static_cast<uint64_t>(weight(owners[i])); },
        [&](size_t i, uint64_t share) { owners[i].share += share; });
  };
  split(groups[kTokens], [](const Owner& o) { return o.tokens; });
  split(groups[kPairs], [](const Owner& o) { return o.pairs; });
  split(groups[kRows], [](const Owner& o) { return o.rows; });
  split(groups[kOutputs], [](const Owner& o) { return o.outputs; });
  split(groups[kStatic], [](const Owner& o) { return o.femtoseconds; });
  split(power.HostGap(state, leakage) * price.host_gap, [](const Owner&) { return 1; });

  for (size_t i = 0; i < count; ++i) {
    const Energy share = Energy::FromPicojoules(owners[i].share);
    Energy parts[2] = {Energy(), share};
    if (work[i].recomputed > 0) {
      const uint64_t weights[] = {static_cast<uint64_t>(work[i].recomputed),
                                  static_cast<uint64_t>(work[i].new_tokens - work[i].recomputed)};
      SplitEnergy(share, weights, absl::MakeSpan(parts));
    }
    out[i].waste = parts[0];
    out[i].prefill = work[i].role == StepRole::kPrefill ? parts[1] : Energy();
    out[i].decode = work[i].role == StepRole::kDecode ? parts[1] : Energy();
  }
}

}  // namespace scoville::device
