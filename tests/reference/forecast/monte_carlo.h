// How often a population of sequences runs out of blocks, by playing it out many times.
#ifndef SCOVILLE_TESTS_REFERENCE_FORECAST_MONTE_CARLO_H_
#define SCOVILLE_TESTS_REFERENCE_FORECAST_MONTE_CARLO_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "scheduler/forecast/overflow_forecast.h"

namespace scoville::tests {

// Draws the output length of a fresh request, at least 1, from 64 random bits.
using LengthDraw = std::function<int64_t(uint64_t bits)>;

// Mixture of log-normal-like lengths without a library's distribution: exp of a sum of uniforms.
int64_t SkewedLength(uint64_t bits, double log_mean, double log_spread);

// For each of `runs` futures of the rows, the most blocks that are ever in use at once (those they
// share not counted). Nothing is admitted meanwhile; a row whose length is not above `done` in a
// draw is drawn again, and all end at max_tokens.
std::vector<int64_t> PeaksOf(const std::vector<scheduler::ForecastRow>& rows, int64_t block_size,
                             const std::vector<LengthDraw>& lengths, int runs, uint64_t seed);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_FORECAST_MONTE_CARLO_H_
