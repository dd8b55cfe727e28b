#include "scheduler/forecast/overflow_forecast.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"

namespace scoville::scheduler {

int64_t NormalQuantile(int64_t epsilon_ppm) {
  CHECK(epsilon_ppm > 0 && epsilon_ppm <= 500'000);
  // Bisection on the upper tail, erfc(z / sqrt 2) / 2; made once, at construction.
  const double wanted = static_cast<double>(epsilon_ppm) * 1e-6;
  int64_t low = 0;
  int64_t high = OverflowForecast::kMostZ;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const double z = static_cast<double>(middle) / 65536.0;
    if (std::erfc(z / std::sqrt(2.0)) / 2 <= wanted) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

OverflowForecast::OverflowForecast(const OutputLengths* lengths, const OverflowOptions& options)
    : lengths_(lengths),
      options_(options),
      z_(options.epsilon_ppm == 0 ? 0 : NormalQuantile(options.epsilon_ppm) * kPpm) {
  CHECK_GE(options.block_size, 1);
  CHECK_GE(options.epsilon_ppm, 0);
  CHECK_GE(options.gain, 0);
}

int64_t OverflowForecast::StepsAt(int i, int64_t prefill_steps, int64_t left, int64_t previous) {
  const int64_t k = std::clamp<int64_t>(Horizon(i) - prefill_steps, 0, left);
  return k == left && previous < left - 1 ? left - 1 : k;
}

OverflowForecast::Demand OverflowForecast::Of(const ForecastRow& row) const {
  constexpr int64_t kOne = OutputLengths::kOne;
  Demand demand;
  demand.now = BlocksOf(row.known_tokens) - row.shared_blocks;
  const int64_t left = std::max<int64_t>(row.max_tokens - row.done, 0);
  if (row.strict || options_.epsilon_ppm == 0) {
    demand.strict = BlocksOf(row.known_tokens + left) - row.shared_blocks;
    demand.mean.fill(demand.strict * kOne);
    return demand;
  }
  int64_t previous = -1;
  for (int i = 0; i < kHorizons; ++i) {
    const int64_t k = StepsAt(i, row.prefill_steps, left, previous);
    previous = k;
    const int64_t alive = lengths_->Survival(row.key, row.done, k, row.max_tokens);
    const int64_t blocks = BlocksOf(row.known_tokens + k) - row.shared_blocks;
    demand.mean[static_cast<size_t>(i)] = alive * blocks;
    // S (1 - S) in Q32, brought to Q16 before and to Q8 after the square.
    demand.variance[static_cast<size_t>(i)] =
        ((alive * (kOne - alive) >> 16) * blocks >> 8) * blocks;
  }
  return demand;
}

void OverflowForecast::Rebuild(absl::Span<const ForecastRow> rows) {
  sums_ = Demand{};
  for (const ForecastRow& row : rows) {
    Add(Of(row));
  }
}

void OverflowForecast::Add(const Demand& demand) {
  sums_.now += demand.now;
  sums_.strict += demand.strict;
  for (size_t i = 0; i < kHorizons; ++i) {
    sums_.mean[i] += demand.mean[i];
    sums_.variance[i] += demand.variance[i];
  }
}

void OverflowForecast::Remove(const Demand& demand) {
  sums_.now -= demand.now;
  sums_.strict -= demand.strict;
  CHECK(sums_.now >= 0 && sums_.strict >= 0);
  for (size_t i = 0; i < kHorizons; ++i) {
    sums_.mean[i] -= demand.mean[i];
    sums_.variance[i] -= demand.variance[i];
    CHECK(sums_.mean[i] >= 0 && sums_.variance[i] >= 0);
  }
}

bool OverflowForecast::Admits(const Demand& candidate, int64_t capacity) const {
  return Binding(candidate, capacity) == kFits;
}

int OverflowForecast::Binding(const Demand& candidate, int64_t capacity) const {
  constexpr int kVarianceToQ32 = 24;
  if (sums_.now + candidate.now > capacity) {
    return kNow;
  }
  const __int128 z = this->z();
  for (int i = 0; i < kHorizons; ++i) {
    const size_t at = static_cast<size_t>(i);
    const int64_t slack = capacity * OutputLengths::kOne - sums_.mean[at] - candidate.mean[at];
    if (slack < 0) {
      return i;
    }
    // slack >= z sd, squared; both sides in Q32 (z^2 is Q32 and is brought to Q16 first).
    const __int128 variance = sums_.variance[at] + candidate.variance[at];
    const __int128 needed = ((z * z >> 16) * variance) << (kVarianceToQ32 - 16);
    if (static_cast<__int128>(slack) * slack < needed) {
      return i;
    }
  }
  return kFits;
}

void OverflowForecast::Observe(bool overflowed) {
  if (options_.epsilon_ppm == 0) {
    return;
  }
  z_ += options_.gain * (overflowed ? kPpm - options_.epsilon_ppm : -options_.epsilon_ppm);
  z_ = std::clamp<int64_t>(z_, 0, kMostZ * kPpm);
}

}  // namespace scoville::scheduler
