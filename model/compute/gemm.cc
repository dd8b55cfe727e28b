#include "model/compute/gemm.h"

#include "model/compute/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/compute/gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "model/compute/vec16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace scoville::model::HWY_NAMESPACE {

template <Precision kPrecision>
inline constexpr int kPlanes = kPrecision == Precision::kPair ? 2 : 1;

// Scales of one block, sixteen rows.
template <WeightFormat kFormat>
struct Scales {
  static constexpr bool kFour =
      kFormat == WeightFormat::k4Half || kFormat == WeightFormat::k4Single;
  static constexpr bool kHalf = kFormat == WeightFormat::k4Half || kFormat == WeightFormat::k8Half;
  static constexpr bool kHasMin = kFormat != WeightFormat::k8Half;
  static constexpr int kInts = kFour ? 256 : 512;
  static constexpr int kBytes = kInts + (kHalf ? 32 : 64) * (kHasMin ? 2 : 1);

  static HWY_INLINE V16 D(const uint8_t* block) { return At(block + kInts); }
  static HWY_INLINE V16 M(const uint8_t* block) { return At(block + kInts + (kHalf ? 32 : 64)); }
  static HWY_INLINE V16 At(const uint8_t* p) {
    if constexpr (kHalf) {
      return LoadHalf16(reinterpret_cast<const uint16_t*>(p));
    } else {
      return Load16(reinterpret_cast<const float*>(p));
    }
  }
};

#if HWY_TARGET == HWY_AVX3_DL

// Rows at once: as many as the tile has.
inline constexpr int kMaxRows = kTileRows;

// Highway means VNNI by this target (it asks the processor for it) but does not tell the compiler.
#define SCOVILLE_VNNI __attribute__((target(HWY_TARGET_STR ",avx512vnni")))

// Sixteen outputs' dot products of one block and row.
template <bool kFour>
SCOVILLE_VNNI HWY_INLINE __m512i Dot(const __m512i (&w)[8], const ActivationBlock& act, int row) {
  __m512i dot = kFour ? _mm512_setzero_si512() : _mm512_set1_epi32(act.offset[row]);
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    dot = _mm512_dpbusd_epi32(dot, w[g], _mm512_set1_epi32(act.quads[g][row]));
  }
  return dot;
}

template <WeightFormat kFormat, Precision kPrecision, int kRows>
SCOVILLE_VNNI void Multiply(const uint8_t* block, int64_t blocks, const ActivationBlock* act,
                            int first_row, float* out, int64_t stride) {
  using S = Scales<kFormat>;
  __m512 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = _mm512_setzero_ps();
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t b = 0; b < blocks; ++b, block += S::kBytes, act += kPlanes<kPrecision>) {
    __m512i w[8];
    if constexpr (S::kFour) {
      for (int g = 0; g < 4; ++g) {
        const __m512i both = _mm512_loadu_si512(block + g * 64);
        w[g] = _mm512_and_si512(both, low);
        w[g + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
      }
    } else {
      for (int g = 0; g < 8; ++g) w[g] = _mm512_loadu_si512(block + g * 64);
    }
    const __m512 d = S::D(block).part[0].raw;
    [[maybe_unused]] __m512 m;
    if constexpr (S::kHasMin) m = S::M(block).part[0].raw;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const int row = first_row + r;
      __m512 product = _mm512_cvtepi32_ps(Dot<S::kFour>(w, *act, row));
      if constexpr (kPrecision == Precision::kPair) {
        product = _mm512_fmadd_ps(product, _mm512_set1_ps(kPairBase),
                                  _mm512_cvtepi32_ps(Dot<S::kFour>(w, act[1], row)));
      }
      __m512 t = _mm512_mul_ps(product, d);
      if constexpr (S::kHasMin) t = _mm512_fmadd_ps(m, _mm512_set1_ps(act->sum[row]), t);
      acc[r] = _mm512_fmadd_ps(t, _mm512_set1_ps(act->scale[row]), acc[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) _mm512_storeu_ps(out + r * stride, acc[r]);
}

#elif HWY_TARGET == HWY_AVX2

// Sixteen registers: half a panel (eight outputs) times four rows.
inline constexpr int kMaxRows = 4;

// Adds the products of four bytes each; `w` is 0 to 15, so that eight of the 16-bit sums fit.
HWY_INLINE __m256i AddFour(__m256i acc16, __m256i w, __m256i a) {
  return _mm256_add_epi16(acc16, _mm256_maddubs_epi16(w, a));
}

// Eight outputs' dot products of one block and some rows.
template <bool kFour, int kRows>
HWY_INLINE void DotHalf(const uint8_t* ints, const ActivationBlock& act, int first_row,
                        __m256i (&dot)[kRows]) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int r = 0; r < kRows; ++r) dot[r] = _mm256_setzero_si256();
  if constexpr (kFour) {
    const __m256i low = _mm256_set1_epi8(15);
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ints + g * 64));
      const __m256i w0 = _mm256_and_si256(both, low);
      const __m256i w1 = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        dot[r] = AddFour(dot[r], w0, _mm256_set1_epi32(act.quads[g][first_row + r]));
        dot[r] = AddFour(dot[r], w1, _mm256_set1_epi32(act.quads[g + 4][first_row + r]));
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) dot[r] = _mm256_madd_epi16(dot[r], ones);
  } else {
    const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const __m256i w = _mm256_xor_si256(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ints + g * 64)), flip);
      const __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i a = _mm256_sign_epi8(_mm256_set1_epi32(act.quads[g][first_row + r]), w);
        dot[r] =
            _mm256_add_epi32(dot[r], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, a), ones));
      }
    }
  }
}

template <WeightFormat kFormat, Precision kPrecision, int kRows, int kHalf>
void MultiplyHalf(const uint8_t* block, int64_t blocks, const ActivationBlock* act, int first_row,
                  float* out, int64_t stride) {
  using S = Scales<kFormat>;
  __m256 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = _mm256_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b, block += S::kBytes, act += kPlanes<kPrecision>) {
    __m256i dot[kRows];
    DotHalf<S::kFour, kRows>(block + kHalf * 32, *act, first_row, dot);
    __m256 product[kRows];
    for (int r = 0; r < kRows; ++r) product[r] = _mm256_cvtepi32_ps(dot[r]);
    if constexpr (kPrecision == Precision::kPair) {
      DotHalf<S::kFour, kRows>(block + kHalf * 32, act[1], first_row, dot);
      for (int r = 0; r < kRows; ++r) {
        product[r] =
            _mm256_fmadd_ps(product[r], _mm256_set1_ps(kPairBase), _mm256_cvtepi32_ps(dot[r]));
      }
    }
    const __m256 d = S::D(block).part[kHalf].raw;
    [[maybe_unused]] __m256 m;
    if constexpr (S::kHasMin) m = S::M(block).part[kHalf].raw;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const int row = first_row + r;
      __m256 t = _mm256_mul_ps(product[r], d);
      if constexpr (S::kHasMin) t = _mm256_fmadd_ps(m, _mm256_set1_ps(act->sum[row]), t);
      acc[r] = _mm256_fmadd_ps(t, _mm256_set1_ps(act->scale[row]), acc[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) _mm256_storeu_ps(out + r * stride + kHalf * 8, acc[r]);
}

template <WeightFormat kFormat, Precision kPrecision, int kRows>
void Multiply(const uint8_t* block, int64_t blocks, const ActivationBlock* act, int first_row,
              float* out, int64_t stride) {
  MultiplyHalf<kFormat, kPrecision, kRows, 0>(block, blocks, act, first_row, out, stride);
  MultiplyHalf<kFormat, kPrecision, kRows, 1>(block, blocks, act, first_row, out, stride);
}

#else  // portable

inline constexpr int kMaxRows = 1;

template <bool kFour>
int32_t DotLane(const uint8_t* ints, const ActivationBlock& act, int row) {
  int32_t dot = 0;
  for (int i = 0; i < kBlockValues; ++i) {
    int8_t a[4];
    std::memcpy(a, &act.quads[i / 4][row], 4);
    const int byte = ints[i / 4 % (kFour ? 4 : 8) * 64 + i % 4];
    dot += (!kFour ? byte - 128 : i < 16 ? byte & 15 : byte >> 4) * a[i % 4];
  }
  return dot;
}

template <WeightFormat kFormat, Precision kPrecision, int kRows>
void Multiply(const uint8_t* block, int64_t blocks, const ActivationBlock* act, int first_row,
              float* out, int64_t) {
  using S = Scales<kFormat>;
  static_assert(kRows == 1);
  V16 acc = Splat(0.0f);
  for (int64_t b = 0; b < blocks; ++b, block += S::kBytes, act += kPlanes<kPrecision>) {
    float dots[16];
    for (int lane = 0; lane < 16; ++lane) {
      dots[lane] = static_cast<float>(DotLane<S::kFour>(block + lane * 4, *act, first_row));
      if constexpr (kPrecision == Precision::kPair) {
        const int32_t lows = DotLane<S::kFour>(block + lane * 4, act[1], first_row);
        dots[lane] = std::fma(dots[lane], float{kPairBase}, static_cast<float>(lows));
      }
    }
    V16 t = Load16(dots) * S::D(block);
    if constexpr (S::kHasMin) t = Fma(S::M(block), Splat(act->sum[first_row]), t);
    acc = Fma(t, Splat(act->scale[first_row]), acc);
  }
  Store16(acc, out);
}

#endif

template <WeightFormat kFormat, Precision kPrecision>
void MultiplyRows(const uint8_t* panel, int64_t blocks, const ActivationBlock* tile, int rows,
                  float* out, int64_t stride) {
  int first = 0;
  for (; first + kMaxRows <= rows; first += kMaxRows) {
    Multiply<kFormat, kPrecision, kMaxRows>(panel, blocks, tile, first, out + first * stride,
                                            stride);
  }
  float* rest = out + first * stride;
  switch (rows - first) {
#define SCOVILLE_REST(n)                                                                    \
  case n:                                                                                   \
    Multiply<kFormat, kPrecision, (n < kMaxRows ? n : 1)>(panel, blocks, tile, first, rest, \
                                                          stride);                          \
    break;
    SCOVILLE_REST(1)
    SCOVILLE_REST(2)
    SCOVILLE_REST(3)
    SCOVILLE_REST(4)
    SCOVILLE_REST(5)
    SCOVILLE_REST(6)
    SCOVILLE_REST(7)
#undef SCOVILLE_REST
    default:
      break;
  }
}

template <WeightFormat kFormat>
void MultiplyFormat(const PackedMatrix& weights, int64_t panel, const ActivationBlock* tile,
                    Precision precision, int rows, float* out, int64_t stride) {
  const uint8_t* p = weights.Panel(panel);
  const auto multiply = precision == Precision::kPair ? MultiplyRows<kFormat, Precision::kPair>
                                                      : MultiplyRows<kFormat, Precision::kByte>;
  multiply(p, weights.blocks(), tile, rows, out, stride);
}

void MultiplyTileImpl(const PackedMatrix& weights, int64_t panel, const ActivationBlock* tile,
                      Precision precision, int rows, float* out, int64_t stride) {
  switch (weights.format()) {
    case WeightFormat::k4Half:
      return MultiplyFormat<WeightFormat::k4Half>(weights, panel, tile, precision, rows, out,
                                                  stride);
    case WeightFormat::k4Single:
      return MultiplyFormat<WeightFormat::k4Single>(weights, panel, tile, precision, rows, out,
                                                    stride);
    case WeightFormat::k8Half:
      return MultiplyFormat<WeightFormat::k8Half>(weights, panel, tile, precision, rows, out,
                                                  stride);
    case WeightFormat::k8Single:
      return MultiplyFormat<WeightFormat::k8Single>(weights, panel, tile, precision, rows, out,
                                                    stride);
  }
}

}  // namespace scoville::model::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scoville::model {

HWY_EXPORT(MultiplyTileImpl);

void MultiplyTile(const PackedMatrix& weights, int64_t panel, const ActivationBlock* tile,
                  Precision precision, int rows, float* out, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyTileImpl)(weights, panel, tile, precision, rows, out, stride);
}

}  // namespace scoville::model
#endif  // HWY_ONCE
