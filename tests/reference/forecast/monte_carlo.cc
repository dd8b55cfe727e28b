#include "tests/reference/forecast/monte_carlo.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace scoville::tests {

using scheduler::ForecastRow;

int64_t SkewedLength(uint64_t bits, double log_mean, double log_spread) {
  // Four uniforms of 16 bits: mean 2, variance 1/3.
  double sum = 0;
  for (int i = 0; i < 4; ++i) {
    sum += static_cast<double>((bits >> (16 * i)) & 0xffff) / 65536.0;
  }
  const double normal = (sum - 2.0) * std::sqrt(3.0);
  return std::max<int64_t>(1, std::llround(std::exp(log_mean + log_spread * normal)));
}

namespace {

int64_t Blocks(int64_t tokens, int64_t block_size) {
  return (tokens + block_size - 1) / block_size;
}

// Tokens still to come, given that `done` were not the end.
int64_t LeftOf(const ForecastRow& row, const LengthDraw& draw, uint64_t seed, uint64_t stream) {
  for (uint64_t n = 0; n < 100'000; ++n) {
    const int64_t length = draw(RandomBits(seed, stream, n));
    if (length > row.done) {
      return std::min(length, row.max_tokens) - row.done;
    }
  }
  return 1;  // nobody gets so long: it must be at its end
}

}  // namespace

std::vector<int64_t> PeaksOf(const std::vector<ForecastRow>& rows, int64_t block_size,
                             const std::vector<LengthDraw>& lengths, int runs, uint64_t seed) {
  std::vector<int64_t> peaks;
  for (int run = 0; run < runs; ++run) {
    // Blocks taken less blocks given back, by step.
    std::vector<int64_t> change(1, 0);
    for (size_t i = 0; i < rows.size(); ++i) {
      const ForecastRow& row = rows[i];
      const uint64_t stream = static_cast<uint64_t>(run) * rows.size() + i;
      const int64_t left = LeftOf(row, lengths[static_cast<size_t>(row.key)], seed, stream);
      const size_t end = static_cast<size_t>(row.prefill_steps + left);
      change.resize(std::max(change.size(), end + 1), 0);
      int64_t held = Blocks(row.known_tokens, block_size) - row.shared_blocks;
      change[0] += held;
      for (int64_t token = 1; token < left; ++token) {
        const int64_t now = Blocks(row.known_tokens + token, block_size) - row.shared_blocks;
        change[static_cast<size_t>(row.prefill_steps + token)] += now - held;
        held = now;
      }
      change[end] -= held;
    }
    int64_t used = 0;
    int64_t peak = 0;
    for (const int64_t c : change) {
      used += c;
      peak = std::max(peak, used);
    }
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace scoville::tests
