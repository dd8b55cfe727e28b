#include "device/physics/energy_attribution.h"

#include <cmath>
#include <cstddef>

#include "base/status_macros.h"

namespace scoville::device {

namespace {

// Sums of weights stay below 2^63 and energies below 2^63 pJ (9.2 MJ, far above any step), so a
// product fits 127 bits.
constexpr uint64_t kMaxWeight = uint64_t{1} << 63;

// The split itself: weight(i) for i in [0, count), give(i, share) once each, in order. Two passes,
// no storage; a zero sum makes all weights one.
template <typename Weight, typename Give>
void SplitOver(Energy energy, size_t count, Weight weight, Give give) {
  CHECK_GT(count, size_t{0});
  const __int128 total = energy.total_picojoules();
  CHECK(total >= 0 && total < static_cast<__int128>(kMaxWeight));
  uint64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t w = weight(i);
    CHECK_LT(w, kMaxWeight - sum);
    sum += w;
  }
  const bool equal = sum == 0;
  if (equal) {
    sum = count;
  }
  uint64_t running = 0;
  __int128 last = 0;
  for (size_t i = 0; i < count; ++i) {
    running += equal ? 1 : weight(i);
    const __int128 edge = total * running / sum;
    give(i, Energy::FromPicojoules(edge - last));
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
      [&](size_t i, Energy share) { shares[i] = share; });
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
  const auto rows = [&](size_t i) {
    return model.full_layers * work[i].kv_rows_read(model.rules) +
           model.windowed_layers * work[i].windowed_rows_read(model.rules) +
           model.layers * work[i].new_tokens;
  };
  // Attention FLOPs by kind of pair: a prompt's and a decode's cost differently in latent
  // attention.
  const auto pairs = [&](size_t i) {
    const int64_t units = model.full_layers * work[i].attention_pairs() +
                          model.windowed_layers * work[i].windowed_pairs(model.rules.window);
    return units * PairUnit(model, work[i].role);
  };
  Totals totals;
  for (size_t i = 0; i < count; ++i) {
    CHECK_GE(work[i].new_tokens, 1);
    CHECK(work[i].recomputed >= 0 && work[i].recomputed <= work[i].new_tokens);
    totals.tokens += work[i].new_tokens;
    totals.pairs += pairs(i);
    totals.rows += rows(i);
    totals.outputs += work[i].output_rows;
    out[i] = SequenceEnergy();
  }

  Energy groups[kGroups];
  SplitForward(power.ForwardParts(price, state, leakage),
               power.Forward(price, state, leakage) * price.forward, groups);
  // Each owner's whole share gathers in `prefill` first.
  const auto give = [&](size_t i, Energy share) { out[i].prefill += share; };
  const auto count_of = [](int64_t value) { return static_cast<uint64_t>(value); };
  SplitOver(
      groups[kTokens], count, [&](size_t i) { return count_of(work[i].new_tokens); }, give);
  SplitOver(
      groups[kPairs], count, [&](size_t i) { return count_of(pairs(i)); }, give);
  SplitOver(
      groups[kRows], count, [&](size_t i) { return count_of(rows(i)); }, give);
  SplitOver(
      groups[kOutputs], count, [&](size_t i) { return count_of(work[i].output_rows); }, give);
  const UnitTimes unit = TimesPerUnit(price, totals);
  const auto femtoseconds = [&](size_t i) {
    const double seconds = unit.token * static_cast<double>(work[i].new_tokens) +
                           unit.pair * static_cast<double>(pairs(i)) +
                           unit.row * static_cast<double>(rows(i)) +
                           unit.output * static_cast<double>(work[i].output_rows);
    return static_cast<uint64_t>(std::llround(seconds * 1e15));
  };
  SplitOver(groups[kStatic], count, femtoseconds, give);
  SplitOver(
      power.HostGap(state, leakage) * price.host_gap, count, [](size_t) { return uint64_t{1}; },
      give);

  for (size_t i = 0; i < count; ++i) {
    const uint64_t weights[] = {count_of(work[i].recomputed),
                                count_of(work[i].new_tokens - work[i].recomputed)};
    Energy parts[2];
    SplitEnergy(out[i].prefill, weights, absl::MakeSpan(parts));
    out[i].waste = parts[0];
    out[i].prefill = work[i].role == StepRole::kPrefill ? parts[1] : Energy();
    out[i].decode = work[i].role == StepRole::kDecode ? parts[1] : Energy();
  }
}

}  // namespace scoville::device
