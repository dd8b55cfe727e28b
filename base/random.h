// Randomness as a function: Draw(key..., counter) gives the same bits wherever and whenever it is
// asked.
//
// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11). A
// counter-based generator has no state to carry, so a sampled token depends on (seed, stream,
// position) alone and not on what was drawn before.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_BASE_RANDOM_H_
#define SCOVILLE_BASE_RANDOM_H_

#include <array>
#include <cstdint>

namespace scoville {

// The raw block function: 128 bits of counter and 64 of key to 128 random bits.
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// 64 random bits of (seed, stream, index).
uint64_t RandomBits(uint64_t seed, uint64_t stream, uint64_t index);

// Uniform in [0, 1) with 53 bits.
double RandomUniform(uint64_t seed, uint64_t stream, uint64_t index);

// Uniform integer in [0, n), n > 0, by the multiply-shift of 64 random bits (bias below n / 2^64).
uint64_t RandomBelow(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

}  // namespace scoville

#endif  // SCOVILLE_BASE_RANDOM_H_
