#include "model/compute/row_kernels.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "model/compute/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/compute/row_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "model/compute/vec16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace scoville::model::HWY_NAMESPACE {

// Sum of sixteen small integers held as floats; exact, so the order does not matter.
HWY_INLINE float SumIntegers(V16 a) {
  hn::Vec<FloatTag> s = a.part[0];
  for (int i = 1; i < kParts; ++i) s = hn::Add(s, a.part[i]);
  return hn::GetLane(hn::SumOfLanes(FloatTag(), s));
}

HWY_INLINE V16 RoundEven(V16 a) {
  const V16 magic = Splat(12582912.0f);
  return (a + magic) - magic;
}

// The integers of one block, which lie within +-127.
HWY_INLINE void StoreBytes(V16 a, V16 b, ActivationBlock* block, int row) {
  alignas(16) int8_t bytes[kBlockValues];
  StoreInt8x16(a, bytes);
  StoreInt8x16(b, bytes + 16);
  for (int g = 0; g < kBlockValues / 4; ++g) std::memcpy(&block->quads[g][row], bytes + 4 * g, 4);
  const float sum = SumIntegers(a + b);
  block->sum[row] = sum;
  block->offset[row] = -128 * static_cast<int32_t>(sum);
}

template <Precision kPrecision>
HWY_INLINE void QuantizeBlock(V16 a, V16 b, ActivationBlock* block, int row) {
  constexpr float kTop = kPrecision == Precision::kPair ? kPairBase * 127.0f + 127.0f : 127.0f;
  const float largest = MaxLane(Max16(Abs16(a), Abs16(b)));
  const float inverse = largest > 0.0f ? kTop / largest : 0.0f;
  // A subnormal `largest` would make the inverse infinite.
  const V16 inv = Splat(inverse <= std::numeric_limits<float>::max() ? inverse : 0.0f);
  const V16 top = Splat(kTop);
  const V16 qa = Max16(Min16(RoundEven(a * inv), top), Splat(-kTop));
  const V16 qb = Max16(Min16(RoundEven(b * inv), top), Splat(-kTop));
  if constexpr (kPrecision == Precision::kPair) {
    const V16 base = Splat(float{kPairBase});
    // The top itself is a tie, which would round up to 128.
    const V16 most = Splat(127.0f);
    const V16 least = Splat(-127.0f);
    const V16 ha = Max16(Min16(RoundEven(qa / base), most), least);
    const V16 hb = Max16(Min16(RoundEven(qb / base), most), least);
    StoreBytes(ha, hb, block, row);
    StoreBytes(qa - ha * base, qb - hb * base, block + 1, row);
    block->sum[row] = SumIntegers(qa + qb);
  } else {
    StoreBytes(qa, qb, block, row);
  }
  block->scale[row] = largest / kTop;
}

void QuantizeRowImpl(const float* x, int64_t values, ActivationBlock* blocks, int row_in_tile) {
  for (int64_t i = 0; i < values; i += kBlockValues) {
    QuantizeBlock<Precision::kByte>(Load16(x + i), Load16(x + i + 16), blocks++, row_in_tile);
  }
}

void NormQuantizeRowImpl(const float* x, const float* weight, int64_t values, float epsilon,
                         Precision precision, ActivationBlock* blocks, int row_in_tile) {
  V16 squares = Splat(0.0f);
  for (int64_t i = 0; i < values; i += 16) {
    const V16 v = Load16(x + i);
    squares = Fma(v, v, squares);
  }
  const float mean = SumLanes(squares) / static_cast<float>(values);
  const V16 scale = Splat(1.0f / std::sqrt(mean + epsilon));
  for (int64_t i = 0; i < values; i += kBlockValues) {
    const V16 a = Load16(x + i) * scale * Load16(weight + i);
    const V16 b = Load16(x + i + 16) * scale * Load16(weight + i + 16);
    if (precision == Precision::kPair) {
      QuantizeBlock<Precision::kPair>(a, b, blocks, row_in_tile);
      blocks += 2;
    } else {
      QuantizeBlock<Precision::kByte>(a, b, blocks++, row_in_tile);
    }
  }
}

HWY_INLINE V16 Silu(V16 x) {
  const V16 one = Splat(1.0f);
  return x / (one + Exp16(Splat(0.0f) - x));
}

void SiluQuantizeImpl(const float* gate, const float* up, int rows, ActivationBlock* block) {
  for (int r = 0; r < rows; ++r, gate += kBlockValues, up += kBlockValues) {
    const V16 a = Silu(Load16(gate)) * Load16(up);
    const V16 b = Silu(Load16(gate + 16)) * Load16(up + 16);
    QuantizeBlock<Precision::kByte>(a, b, block, r);
  }
}

void AddPanelImpl(const float* panel, int rows, float* x, int64_t stride) {
  for (int r = 0; r < rows; ++r) {
    Store16(Load16(x + r * stride) + Load16(panel + r * 16), x + r * stride);
  }
}

void RotatePanelImpl(const float* panel, int rows, const float* cosine, const float* sine,
                     int64_t stride, float scale, float* out, int64_t out_stride) {
  const V16 factor = Splat(scale);
  for (int r = 0; r < rows; ++r) {
    const V16 x = Load16(panel + r * 16);
    const V16 turned = SwapPairs(x) * Load16(sine + r * stride);
    Store16(Fma(x, Load16(cosine + r * stride), turned) * factor, out + r * out_stride);
  }
}

void StoreHalvesImpl(const float* x, uint16_t* out) { StoreHalf16(Load16(x), out); }

float MaxValueImpl(const float* x, int64_t count) {
  V16 m = Splat(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) m = Max16(m, Load16(x + i));
  float largest = MaxLane(m);
  for (; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// Pads the last group with `fill`.
HWY_INLINE V16 LoadTail(const float* x, int64_t count, float fill) {
  float t[16];
  for (int i = 0; i < 16; ++i) t[i] = i < count ? x[i] : fill;
  return Load16(t);
}

template <bool kStore>
float ExpSum(const float* x, int64_t count, float offset, float scale, float* out) {
  const V16 o = Splat(offset);
  const V16 s = Splat(scale);
  V16 sum = Splat(0.0f);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const V16 e = Exp16((Load16(x + i) - o) * s);
    if constexpr (kStore) Store16(e, out + i);
    sum = sum + e;
  }
  if (i < count) {
    const V16 e =
        FirstLanes(Exp16((LoadTail(x + i, count - i, offset) - o) * s), Splat(0.0f), count - i);
    float t[16];
    Store16(e, t);
    if constexpr (kStore) std::memcpy(out + i, t, static_cast<size_t>(count - i) * sizeof(float));
    sum = sum + e;
  }
  return SumLanes(sum);
}

float SumExpImpl(const float* x, int64_t count, float offset, float scale) {
  return ExpSum<false>(x, count, offset, scale, nullptr);
}

float ExpRowImpl(const float* x, int64_t count, float offset, float scale, float* out) {
  return ExpSum<true>(x, count, offset, scale, out);
}

// Whether any value is NaN: NaN is the only value that does not equal itself.
bool HasNanImpl(const float* x, int64_t count) {
  bool nan = false;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const V16 v = Load16(x + i);
    for (int p = 0; p < kParts; ++p) {
      nan |= !hn::AllTrue(FloatTag(), hn::Eq(v.part[p], v.part[p]));
    }
  }
  for (; i < count; ++i) nan |= x[i] != x[i];
  return nan;
}

// First index whose value equals `value`.
int64_t FindValueImpl(const float* x, int64_t count, float value) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const V16 v = Load16(x + i);
    bool found = false;
    for (int p = 0; p < kParts; ++p) {
      found |= !hn::AllFalse(FloatTag(), hn::Eq(v.part[p], hn::Set(FloatTag(), value)));
    }
    if (found) break;
  }
  for (; i < count; ++i) {
    if (x[i] == value) return i;
  }
  return -1;
}

}  // namespace scoville::model::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scoville::model {

HWY_EXPORT(QuantizeRowImpl);
HWY_EXPORT(NormQuantizeRowImpl);
HWY_EXPORT(SiluQuantizeImpl);
HWY_EXPORT(AddPanelImpl);
HWY_EXPORT(RotatePanelImpl);
HWY_EXPORT(StoreHalvesImpl);
HWY_EXPORT(MaxValueImpl);
HWY_EXPORT(SumExpImpl);
HWY_EXPORT(ExpRowImpl);
HWY_EXPORT(HasNanImpl);
HWY_EXPORT(FindValueImpl);

void QuantizeRow(const float* x, int64_t values, ActivationBlock* blocks, int row_in_tile) {
  HWY_DYNAMIC_DISPATCH(QuantizeRowImpl)(x, values, blocks, row_in_tile);
}

void NormQuantizeRow(const float* x, const float* weight, int64_t values, float epsilon,
                     Precision precision, ActivationBlock* blocks, int row_in_tile) {
  HWY_DYNAMIC_DISPATCH(NormQuantizeRowImpl)
  (x, weight, values, epsilon, precision, blocks, row_in_tile);
}

void SiluQuantize(const float* gate, const float* up, int rows, ActivationBlock* block) {
  HWY_DYNAMIC_DISPATCH(SiluQuantizeImpl)(gate, up, rows, block);
}

void AddPanel(const float* panel, int rows, float* x, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(AddPanelImpl)(panel, rows, x, stride);
}

void RotatePanel(const float* panel, int rows, const float* cosine, const float* sine,
                 int64_t stride, float scale, float* out, int64_t out_stride) {
  HWY_DYNAMIC_DISPATCH(RotatePanelImpl)
  (panel, rows, cosine, sine, stride, scale, out, out_stride);
}

void StoreHalves(const float* x, uint16_t* out) { HWY_DYNAMIC_DISPATCH(StoreHalvesImpl)(x, out); }

float MaxValue(const float* x, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(MaxValueImpl)(x, count);
}

float SumExp(const float* x, int64_t count, float offset, float scale) {
  return HWY_DYNAMIC_DISPATCH(SumExpImpl)(x, count, offset, scale);
}

float ExpRow(const float* x, int64_t count, float offset, float scale, float* out) {
  return HWY_DYNAMIC_DISPATCH(ExpRowImpl)(x, count, offset, scale, out);
}

int64_t ArgMax(const float* x, int64_t count) {
  if (count <= 0 || HWY_DYNAMIC_DISPATCH(HasNanImpl)(x, count)) return -1;
  return HWY_DYNAMIC_DISPATCH(FindValueImpl)(x, count, MaxValue(x, count));
}

}  // namespace scoville::model
#endif  // HWY_ONCE
