// A vector of sixteen floats that has the same meaning, and the same bits, on every target.
//
// Each target builds it of as many registers as it needs. All operations are exact IEEE ones, Fma
// rounds once everywhere, sums over the lanes are one written tree, and Exp is our own polynomial;
// so a kernel written with V16 alone gives equal results on all targets.
//
// Included once per target (foreach_target.h), hence the toggling guard.
#if defined(SCOVILLE_MODEL_COMPUTE_VEC16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SCOVILLE_MODEL_COMPUTE_VEC16_INL_H_
#undef SCOVILLE_MODEL_COMPUTE_VEC16_INL_H_
#else
#define SCOVILLE_MODEL_COMPUTE_VEC16_INL_H_
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "model/gguf/half.h"

// The fallback, without fused multiply-add and halves of its own.
#undef SCOVILLE_PORTABLE
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
#define SCOVILLE_PORTABLE 1
#else
#define SCOVILLE_PORTABLE 0
#endif

HWY_BEFORE_NAMESPACE();
namespace scoville::model::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::CappedTag<float, 16>;
using IntTag = hn::RebindToSigned<FloatTag>;
inline constexpr int kStep = static_cast<int>(hn::MaxLanes(FloatTag()));
inline constexpr int kParts = 16 / kStep;

struct V16 {
  hn::Vec<FloatTag> part[kParts];
};

HWY_INLINE V16 Splat(float x) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Set(FloatTag(), x);
  return r;
}

HWY_INLINE V16 Load16(const float* p) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::LoadU(FloatTag(), p + i * kStep);
  return r;
}

HWY_INLINE void Store16(V16 v, float* p) {
  for (int i = 0; i < kParts; ++i) hn::StoreU(v.part[i], FloatTag(), p + i * kStep);
}

HWY_INLINE V16 operator+(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Add(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 operator-(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Sub(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 operator*(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Mul(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 operator/(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Div(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 Max16(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Max(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 Min16(V16 a, V16 b) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Min(a.part[i], b.part[i]);
  return r;
}

HWY_INLINE V16 Abs16(V16 a) {
  V16 r;
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Abs(a.part[i]);
  return r;
}

// a * b + c with one rounding.
HWY_INLINE V16 Fma(V16 a, V16 b, V16 c) {
  V16 r;
#if SCOVILLE_PORTABLE
  float x[16], y[16], z[16];
  Store16(a, x);
  Store16(b, y);
  Store16(c, z);
  for (int i = 0; i < 16; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  r = Load16(z);
#else
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::MulAdd(a.part[i], b.part[i], c.part[i]);
#endif
  return r;
}

// Swaps the two values of each pair.
HWY_INLINE V16 SwapPairs(V16 a) {
  V16 r;
#if SCOVILLE_PORTABLE
  float x[16], y[16];
  Store16(a, x);
  for (int i = 0; i < 16; ++i) y[i] = x[i ^ 1];
  r = Load16(y);
#else
  for (int i = 0; i < kParts; ++i) r.part[i] = hn::Shuffle2301(a.part[i]);
#endif
  return r;
}

// The largest lane; exact, so the order does not matter. No NaN.
HWY_INLINE float MaxLane(V16 a) {
  hn::Vec<FloatTag> m = a.part[0];
  for (int i = 1; i < kParts; ++i) m = hn::Max(m, a.part[i]);
  return hn::GetLane(hn::MaxOfLanes(FloatTag(), m));
}

// Lane i is added to lane i + 8, then i + 4, i + 2, i + 1.
HWY_INLINE float SumLanes(V16 a) {
  float t[16];
  Store16(a, t);
  for (int i = 0; i < 8; ++i) t[i] += t[i + 8];
  for (int i = 0; i < 4; ++i) t[i] += t[i + 4];
  return (t[0] + t[2]) + (t[1] + t[3]);
}

// Lanes below `count` of `a`, the others of `b`.
HWY_INLINE V16 FirstLanes(V16 a, V16 b, int64_t count) {
  alignas(64) static constexpr float kIndex[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  V16 r;
  const hn::Vec<FloatTag> n = hn::Set(FloatTag(), static_cast<float>(count));
  for (int i = 0; i < kParts; ++i) {
    const auto keep = hn::Lt(hn::LoadU(FloatTag(), kIndex + i * kStep), n);
    r.part[i] = hn::IfThenElse(keep, a.part[i], b.part[i]);
  }
  return r;
}

// exp(x), relative error about 2 ulp; 0 below -87, and x is capped at 88.
HWY_INLINE V16 Exp16(V16 x) {
  // Adding 1.5 * 2^23 rounds to an integer (ties to even) and leaves it in the low bits.
  const V16 magic = Splat(12582912.0f);
  const V16 capped = Min16(Max16(x, Splat(-87.0f)), Splat(88.0f));
  const V16 shifted = Fma(capped, Splat(1.44269504088896341f), magic);
  const V16 n = shifted - magic;
  V16 r = Fma(n, Splat(-0.693359375f), capped);
  r = Fma(n, Splat(2.12194440e-4f), r);
  V16 p = Splat(1.9875691500e-4f);
  p = Fma(p, r, Splat(1.3981999507e-3f));
  p = Fma(p, r, Splat(8.3334519073e-3f));
  p = Fma(p, r, Splat(4.1665795894e-2f));
  p = Fma(p, r, Splat(1.6666665459e-1f));
  p = Fma(p, r, Splat(5.0000001201e-1f));
  p = Fma(p, r * r, r) + Splat(1.0f);
  V16 out;
  for (int i = 0; i < kParts; ++i) {
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(IntTag(), shifted.part[i]));
    const auto scaled = hn::Add(hn::BitCast(IntTag(), p.part[i]), exponent);
    const auto tiny = hn::Lt(x.part[i], hn::Set(FloatTag(), -87.0f));
    out.part[i] = hn::IfThenElse(tiny, hn::Zero(FloatTag()), hn::BitCast(FloatTag(), scaled));
  }
  return out;
}

// Sixteen IEEE halves to floats.
HWY_INLINE V16 LoadHalf16(const uint16_t* p) {
  V16 r;
#if SCOVILLE_PORTABLE
  float t[16];
  for (int i = 0; i < 16; ++i) t[i] = HalfToFloat(p[i]);
  r = Load16(t);
#else
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  for (int i = 0; i < kParts; ++i) {
    const auto* h = reinterpret_cast<const hwy::float16_t*>(p + i * kStep);
    r.part[i] = hn::PromoteTo(FloatTag(), hn::LoadU(dh, h));
  }
#endif
  return r;
}

// Floats to halves, to nearest, ties to even; what is too large becomes the largest half, so that
// no infinity reaches a page.
HWY_INLINE void StoreHalf16(V16 v, uint16_t* p) {
  v = Max16(Min16(v, Splat(65504.0f)), Splat(-65504.0f));
#if SCOVILLE_PORTABLE
  float t[16];
  Store16(v, t);
  for (int i = 0; i < 16; ++i) p[i] = FloatToHalf(t[i]);
#else
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  for (int i = 0; i < kParts; ++i) {
    auto* h = reinterpret_cast<hwy::float16_t*>(p + i * kStep);
    hn::StoreU(hn::DemoteTo(dh, v.part[i]), dh, h);
  }
#endif
}

// Rounds to the nearest integer (ties to even) and writes bytes; |v| must be at most 127.
HWY_INLINE void StoreInt8x16(V16 v, int8_t* out) {
#if SCOVILLE_PORTABLE
  float t[16];
  Store16(v, t);
  for (int i = 0; i < 16; ++i) {
    const float rounded = (t[i] + 12582912.0f) - 12582912.0f;
    out[i] = static_cast<int8_t>(rounded);
  }
#else
  const hn::Rebind<int8_t, FloatTag> d8;
  for (int i = 0; i < kParts; ++i) {
    hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(v.part[i])), d8, out + i * kStep);
  }
#endif
}

}  // namespace scoville::model::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // SCOVILLE_MODEL_COMPUTE_VEC16_INL_H_
