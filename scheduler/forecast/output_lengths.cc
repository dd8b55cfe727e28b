#include "scheduler/forecast/output_lengths.h"

#include <algorithm>

#include "base/status_macros.h"

namespace scoville::scheduler {
namespace {

constexpr int64_t kDecayQ16 = 60'097;  // 2^(-1/8)
constexpr int64_t kDecaysPerHalfLife = 8;

// Bits of a positive number.
int WidthOf(int64_t value) { return 64 - __builtin_clzll(static_cast<uint64_t>(value)); }

// The value at `length` of a curve that is given at the first length of each bin, linear between.
// Bins are powers of two wide. What is given is at most 2^42, a bin at most 2^15: no overflow.
int64_t ValueAt(const std::array<int64_t, OutputLengths::kBins + 1>& curve, int64_t length) {
  const int bin = OutputLengths::BinOf(length);
  const size_t b = static_cast<size_t>(bin);
  const int log_width = bin < 4 ? 0 : bin / 4 - 1;
  return curve[b] +
         ((curve[b + 1] - curve[b]) * (length - OutputLengths::FirstOf(bin)) >> log_width);
}

}  // namespace

OutputLengths::OutputLengths(const OutputLengthsOptions& options)
    : decay_every_(options.half_life / kDecaysPerHalfLife),
      prior_weight_(options.prior_weight),
      curves_(static_cast<size_t>(options.keys)) {
  CHECK_GE(decay_every_, 1);
  CHECK_GE(prior_weight_, 1);
  // Weights stay below 2^42, so that their products with probabilities fit 64 bits.
  CHECK_LE(options.half_life, int64_t{1} << 24);
  CHECK_LE(options.prior_weight, int64_t{1} << 24);
  for (Curve& curve : curves_) {
    Derive(curve);
  }
}

int OutputLengths::BinOf(int64_t length) {
  if (length < 4) {
    return static_cast<int>(length);
  }
  const int exponent = WidthOf(length) - 1;
  const int bin = 4 * (exponent - 1) + static_cast<int>((length >> (exponent - 2)) & 3);
  return std::min(bin, kBins - 1);
}

int64_t OutputLengths::FirstOf(int bin) {
  return bin < 4 ? bin : int64_t{4 + bin % 4} << (bin / 4 - 1);
}

const OutputLengths::Curve& OutputLengths::Of(int32_t key) const {
  CHECK(key >= 0 && static_cast<size_t>(key) < curves_.size());
  return curves_[static_cast<size_t>(key)];
}

void OutputLengths::Record(int32_t key, int64_t length, bool cut) {
  Of(key);
  CHECK_GE(length, 0);
  Curve& curve = curves_[static_cast<size_t>(key)];
  if (++curve.since_decay == decay_every_) {
    curve.since_decay = 0;
    Decay(curve);
  }
  (cut ? curve.cut : curve.ended)[static_cast<size_t>(BinOf(length))] += kOneRecord;
  Derive(curve);
}

void OutputLengths::Decay(Curve& curve) {
  for (int64_t& weight : curve.ended) {
    weight = weight * kDecayQ16 >> 16;
  }
  for (int64_t& weight : curve.cut) {
    weight = weight * kDecayQ16 >> 16;
  }
}

void OutputLengths::Derive(Curve& curve) {
  curve.at_risk[kBins] = 0;
  for (size_t bin = kBins; bin-- > 0;) {
    curve.at_risk[bin] = curve.at_risk[bin + 1] + curve.ended[bin] + curve.cut[bin];
  }
  curve.survival[0] = kSurvivalOne;
  for (size_t bin = 0; bin < kBins; ++bin) {
    // Those cut inside the bin were there for half of it (the life-table estimate).
    const int64_t risk = curve.at_risk[bin] - curve.cut[bin] / 2;
    const int64_t reached = curve.survival[bin];
    curve.survival[bin + 1] = risk == 0 ? reached
                                        : static_cast<int64_t>(static_cast<__int128>(reached) *
                                                               (risk - curve.ended[bin]) / risk);
  }
}

int64_t OutputLengths::Reaches(const Curve& curve, int64_t length) {
  return length < FirstOf(kBins) ? ValueAt(curve.survival, length) : curve.survival[kBins];
}

int64_t OutputLengths::AtRisk(const Curve& curve, int64_t length) {
  return length < FirstOf(kBins) ? ValueAt(curve.at_risk, length) : 0;
}

int64_t OutputLengths::Survival(int32_t key, int64_t done, int64_t k, int64_t max_tokens) const {
  const int64_t left = max_tokens - done;
  if (k >= left) {
    return 0;
  }
  if (k <= 0) {
    return kOne;
  }
  const Curve& curve = Of(key);
  const int64_t uniform = kOne * (left - k) / left;
  const int64_t reached = Reaches(curve, done + 1);
  const int64_t seen = AtRisk(curve, done + 1);
  if (reached == 0 || seen == 0) {
    return uniform;
  }
  const int64_t observed = Reaches(curve, done + k + 1) * kOne / reached;
  const int64_t prior = prior_weight_ * kOneRecord;
  return (observed * seen + uniform * prior) / (seen + prior);
}

int64_t OutputLengths::Quantile(int32_t key, int64_t done, int64_t q, int64_t max_tokens) const {
  int64_t low = 0;
  int64_t high = std::max<int64_t>(max_tokens - done, 0);  // enough for sure
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (Survival(key, done, middle, max_tokens) <= kOne - q) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

int64_t OutputLengths::Expected(int32_t key, int64_t done, int64_t max_tokens) const {
  // The sum of S over 0 .. left - 1; S is linear wherever `reached` is, but for rounding.
  const int64_t left = std::max<int64_t>(max_tokens - done, 0);
  __int128 twice = 0;
  int64_t begin = 0;
  while (begin < left) {
    const int64_t at = done + begin + 1;
    const int64_t next = at < FirstOf(kBins) ? FirstOf(BinOf(at) + 1) : at + left;
    const int64_t end = std::min(left, begin + next - at);
    twice += static_cast<__int128>(end - begin) *
             (Survival(key, done, begin, max_tokens) + Survival(key, done, end - 1, max_tokens));
    begin = end;
  }
  return static_cast<int64_t>((twice + 2 * kOne - 1) / (2 * kOne));
}

int64_t OutputLengths::weight(int32_t key) const { return Of(key).at_risk[0] / kOneRecord; }

}  // namespace scoville::scheduler
