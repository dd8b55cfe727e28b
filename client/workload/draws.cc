#include "client/workload/draws.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/status_macros.h"

namespace scoville::client {

namespace {

// ln 2, and split in two so that k * kLn2High is exact for |k| < 2^11.
constexpr double kLn2 = 0.693147180559945309417;
constexpr double kLn2High = 0x1.62e42fefap-1;
constexpr double kLn2Low = 0x1.cf79abc9e3b39p-40;

// In (0, 1): either end would be infinite below.
double OpenUniform(uint64_t seed, uint64_t stream, uint64_t index) {
  return std::max(RandomUniform(seed, stream, index), 0x1.0p-53);
}

}  // namespace

double PortableLog(double x) {
  CHECK_GT(x, 0.0);
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    exponent -= 1;
  }
  // log m = 2 artanh(s), |s| < 0.172: eleven terms reach the last bit.
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) {
    sum = sum * s2 + 1.0 / k;
  }
  return static_cast<double>(exponent) * kLn2 + 2 * s * sum;
}

double PortableExp(double x) {
  CHECK_GE(x, -700.0);
  CHECK_LE(x, 700.0);
  const double k = std::floor(x / kLn2 + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  // |r| < 0.347: fourteen terms reach the last bit.
  double sum = 1;
  for (int n = 14; n >= 1; --n) {
    sum = 1 + sum * r / n;
  }
  return std::ldexp(sum, static_cast<int>(k));
}

double NormalQuantile(double p) {
  CHECK_GT(p, 0.0);
  CHECK_LT(p, 1.0);
  // Acklam's rational approximation.
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  constexpr double kTail = 0.02425;
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  if (p < kTail) {
    return tail(std::sqrt(-2 * PortableLog(p)));
  }
  if (p > 1 - kTail) {
    return -tail(std::sqrt(-2 * PortableLog(1 - p)));
  }
  const double q = p - 0.5;
  const double r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

double DrawExponential(uint64_t seed, uint64_t stream, uint64_t index) {
  return -PortableLog(OpenUniform(seed, stream, index));
}

double DrawNormal(uint64_t seed, uint64_t stream, uint64_t index) {
  return NormalQuantile(OpenUniform(seed, stream, index));
}

double DrawGamma(uint64_t seed, uint64_t stream, uint64_t index, double shape) {
  CHECK_GE(shape, 1e-3);
  CHECK_LE(shape, 1e6);
  constexpr uint64_t kNext = uint64_t{1} << 32;
  // Below 1: gamma(shape + 1) times a uniform to the power 1 / shape.
  double boost = 1;
  double k = shape;
  if (shape < 1) {
    const double exponent = PortableLog(OpenUniform(seed, stream + kNext, index)) / shape;
    boost = exponent < -700 ? 0 : PortableExp(exponent);
    k = shape + 1;
  }
  // Marsaglia and Tsang, "A simple method for generating gamma variables" (2000): a try is accepted
  // with probability above 0.95, so the bound on tries is never reached in practice.
  constexpr uint64_t kTries = 64;
  const double d = k - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (uint64_t attempt = 0; attempt < kTries; ++attempt) {
    const double x = DrawNormal(seed, stream + kNext * (2 + 2 * attempt), index);
    const double u = OpenUniform(seed, stream + kNext * (3 + 2 * attempt), index);
    const double t = 1 + c * x;
    if (t <= 0) {
      continue;
    }
    const double v = t * t * t;
    if (PortableLog(u) < 0.5 * x * x + d - d * v + d * PortableLog(v)) {
      return boost * d * v;
    }
  }
  return boost * d;
}

}  // namespace scoville::client
