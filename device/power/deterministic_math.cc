#include "device/power/deterministic_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace scoville::device {

namespace {

// ln 2 in two parts: the first has 32 bits, so its products with the small integers below are
// exact.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kOneOverLn2 = 0x1.71547652b82fep0;

// 1 / n! for n = 0 .. 13. On |r| <= ln 2 / 2 the first term left out is below 5e-18.
constexpr double kInverseFactorial[] = {1.0,
                                        1.0,
                                        1.0 / 2,
                                        1.0 / 6,
                                        1.0 / 24,
                                        1.0 / 120,
                                        1.0 / 720,
                                        1.0 / 5040,
                                        1.0 / 40320,
                                        1.0 / 362880,
                                        1.0 / 3628800,
                                        1.0 / 39916800,
                                        1.0 / 479001600,
                                        1.0 / 6227020800};
constexpr int kDegree = 13;
constexpr int kMantissaBits = 52;
constexpr int64_t kExponentBias = 1023;

}  // namespace

double DeterministicExp(double x) {
  if (x != x) {
    return x;
  }
  if (x < -708.0) {
    return 0.0;
  }
  if (x > 709.0) {
    return std::numeric_limits<double>::infinity();
  }
  // x = k ln 2 + r with |r| <= ln 2 / 2; e^x = 2^k e^r.
  const double k = std::floor(x * kOneOverLn2 + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double sum = kInverseFactorial[kDegree];
  for (int n = kDegree - 1; n >= 0; --n) {
    sum = sum * r + kInverseFactorial[n];
  }
  // -1022 <= k <= 1023, and 2^k is then a normal number.
  const uint64_t bits = static_cast<uint64_t>(static_cast<int64_t>(k) + kExponentBias)
                        << kMantissaBits;
  return sum * std::bit_cast<double>(bits);
}

}  // namespace scoville::device
