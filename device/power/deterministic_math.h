// The exponential function with the same bits on every machine.
//
// std::exp differs by a last bit between C libraries, and a last bit of a temperature can decide a
// milliwatt. This one is made of + - * and scaling by powers of two, which IEEE 754 fixes; the
// project is built without contraction into fused products.
//
// Units: none. Threading: pure. Errors: none; NaN in, NaN out.
#ifndef SCOVILLE_DEVICE_POWER_DETERMINISTIC_MATH_H_
#define SCOVILLE_DEVICE_POWER_DETERMINISTIC_MATH_H_

namespace scoville::device {

// e^x within 4e-16 of the true value, relative (two units in the last place). Below -708, where
// the result would lose digits as a subnormal, exactly 0; above 709 infinity.
double DeterministicExp(double x);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_POWER_DETERMINISTIC_MATH_H_
