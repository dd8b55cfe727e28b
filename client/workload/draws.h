// Random numbers of the usual distributions, each a pure function of (seed, stream, index).
//
// Logarithm and exponential are computed here with + - * / alone, since those of a C library may
// differ in the last bit between machines; a drawn arrival must not.
//
// Threading: pure functions. Errors: parameters outside the ranges written here are CHECK failures.
#ifndef SCOVILLE_CLIENT_WORKLOAD_DRAWS_H_
#define SCOVILLE_CLIENT_WORKLOAD_DRAWS_H_

#include <cstdint>

namespace scoville::client {

// Within a few units in the last place; x > 0 and finite.
double PortableLog(double x);
// Likewise; x from -700 to 700.
double PortableExp(double x);
// Inverse of the normal distribution's integral, relative error below 1.2e-9; 0 < p < 1.
double NormalQuantile(double p);

// Mean 1.
double DrawExponential(uint64_t seed, uint64_t stream, uint64_t index);
// Mean 0, standard deviation 1.
double DrawNormal(uint64_t seed, uint64_t stream, uint64_t index);
// Mean `shape`, variance `shape`; shape from 1e-3 to 1e6. Uses the streams (stream + 2^32 k), k >
// 0.
double DrawGamma(uint64_t seed, uint64_t stream, uint64_t index, double shape);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_WORKLOAD_DRAWS_H_
