// Whether a device's KV blocks will suffice for what runs there and one request more.
//
// At ten horizons (8, 16, .. 4096 steps ahead) the demand of row i in blocks is a Bernoulli
// variable: B_i(h), what its table holds after h steps beyond the blocks it shares, with
// probability S_i(h | done), else 0. A row that is at its longest between two horizons is counted
// so at the second: outputs of one length, which all end at once, would else be seen nowhere at
// their peak. Rows are independent, so mean = sum S B and variance = sum S
// (1 - S) B^2. The candidate is admitted while
//
//   mean + z x sqrt(variance) <= N      at each horizon, and surely now.
//
// N: usable blocks less those that rows share, which the caller counts once. A row of the strict
// kind takes its blocks to completion at every horizon, for certain; so strict rows never overflow,
// whatever the lengths turn out to be. With epsilon = 0 all rows are strict.
//
// The peak of the demand may fall between two horizons, and one of them is exceeded more often than
// each: overflows are more frequent than epsilon by a factor that tests hold below 3. Hence the
// controller: z begins at the normal quantile of 1 - epsilon and follows what happens (Gibbs,
// Candes, "Adaptive conformal inference under distribution shift", NeurIPS 2021): each observed
// overflow adds gain x (1 - epsilon), each quiet observation takes gain x epsilon. Over T
// observations the observed rate is then within (range of z) / (gain x T) of epsilon, as long as z
// is not at a bound [0, 6].
//
// Integers: mean in Q16 blocks, variance in Q8 blocks^2, z in Q16; the comparison squares in 128
// bits. Ownership: borrows the lengths. Threading: engine thread. Admits O(10), Add O(10), no
// allocation. Errors: what is taken out and was not put in is a CHECK where it shows.
#ifndef SCOVILLE_SCHEDULER_FORECAST_OVERFLOW_FORECAST_H_
#define SCOVILLE_SCHEDULER_FORECAST_OVERFLOW_FORECAST_H_

#include <array>
#include <cstdint>

#include "absl/types/span.h"
#include "scheduler/forecast/output_lengths.h"

namespace scoville::scheduler {

struct OverflowOptions {
  int64_t block_size = 16;       // tokens
  int64_t epsilon_ppm = 20'000;  // accepted probability of an overflow; 0: strict. At most 500,000
  int64_t gain = 3277;           // of z's controller, Q16 (0.05); 0: z stays
};

// A running sequence or one that might.
struct ForecastRow {
  int32_t key = 0;            // of OutputLengths
  int64_t known_tokens = 0;   // prompt and output: what its table has to hold
  int64_t done = 0;           // output tokens
  int64_t max_tokens = 0;     // most output tokens
  int64_t shared_blocks = 0;  // of its table, counted by the caller
  int64_t prefill_steps = 0;  // before its next token
  bool strict = false;        // must be able to complete
};

class OverflowForecast {
 public:
  static constexpr int kHorizons = 10;
  static constexpr int64_t kFirstHorizon = 8;
  static constexpr int64_t kMostZ = 6 << 16;

  // Steps ahead at which a row with `left` tokens to come is looked at for horizon i: the horizon,
  // but once the last moment before its certain end. `previous`: those of the horizon before, -1
  // for the first.
  static int64_t StepsAt(int i, int64_t prefill_steps, int64_t left, int64_t previous);

  // What a row adds to the sums.
  struct Demand {
    int64_t now = 0;     // blocks
    int64_t strict = 0;  // blocks to completion
    std::array<int64_t, kHorizons> mean{};
    std::array<int64_t, kHorizons> variance{};
  };

  OverflowForecast(const OutputLengths* lengths, const OverflowOptions& options);

  static constexpr int64_t Horizon(int i) { return kFirstHorizon << i; }

  Demand Of(const ForecastRow& row) const;
  // Rows age: a caller rebuilds every few steps. Between two rebuilds it may add what it admits and
  // take out what ended, by the same Demand.
  void Rebuild(absl::Span<const ForecastRow> rows);
  void Add(const Demand& demand);
  void Remove(const Demand& demand);

  bool Admits(const ForecastRow& candidate, int64_t capacity) const {
    return Admits(Of(candidate), capacity);
  }
  bool Admits(const Demand& candidate, int64_t capacity) const;
  // The horizon that refuses: 0 .. kHorizons - 1, kNow, or kFits.
  static constexpr int kNow = -1;
  static constexpr int kFits = -2;
  int Binding(const Demand& candidate, int64_t capacity) const;

  // One per period of the caller's choice (an admission and what came of it): did blocks run out?
  void Observe(bool overflowed);
  int64_t z() const { return z_ / kPpm; }
  const Demand& sums() const { return sums_; }

 private:
  static constexpr int64_t kPpm = 1'000'000;

  int64_t BlocksOf(int64_t tokens) const {
    return (tokens + options_.block_size - 1) / options_.block_size;
  }

  const OutputLengths* const lengths_;
  const OverflowOptions options_;
  int64_t z_;  // in millionths of Q16, so that no small step is lost
  Demand sums_;
};

// The standard normal quantile of 1 - epsilon in Q16, for epsilon in (0, 500,000] ppm.
int64_t NormalQuantile(int64_t epsilon_ppm);

}  // namespace scoville::scheduler

#endif  // SCOVILLE_SCHEDULER_FORECAST_OVERFLOW_FORECAST_H_
