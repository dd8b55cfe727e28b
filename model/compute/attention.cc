#include "model/compute/attention.h"

#include <algorithm>
#include <limits>

#include "model/compute/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/compute/attention.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "model/compute/vec16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace scoville::model::HWY_NAMESPACE {

// Query vectors whose sums fit the registers.
#if HWY_TARGET == HWY_AVX3_DL
inline constexpr int kQueriesAtOnce = kMaxQueries;
#else
inline constexpr int kQueriesAtOnce = kParts <= 2 ? 3 : 1;
#endif

// scores[q * stride + position] for all positions below `keys`, rounded up to a group.
template <int kQueries>
void ScoreKeys(const AttentionTask& t, int first, int64_t keys, float* scores, int64_t stride) {
  const int64_t block_size = t.kv->block_size();
  const float* query[kQueries];
  for (int q = 0; q < kQueries; ++q) query[q] = t.query[first + q];
  for (int64_t position = 0; position < keys; position += kKeyGroup) {
    const auto* k = reinterpret_cast<const uint16_t*>(t.kv->Page(t.blocks[position / block_size]) +
                                                      t.key_offset) +
                    position % block_size;
    V16 even[kQueries], odd[kQueries];
    for (int q = 0; q < kQueries; ++q) even[q] = odd[q] = Splat(0.0f);
    for (int64_t d = 0; d < t.head_size; d += 2) {
      const V16 k0 = LoadHalf16(k + d * block_size);
      const V16 k1 = LoadHalf16(k + (d + 1) * block_size);
#pragma GCC unroll 12
      for (int q = 0; q < kQueries; ++q) {
        even[q] = Fma(Splat(query[q][d]), k0, even[q]);
        odd[q] = Fma(Splat(query[q][d + 1]), k1, odd[q]);
      }
    }
    for (int q = 0; q < kQueries; ++q) Store16(even[q] + odd[q], scores + q * stride + position);
  }
}

// Scores to weights in place, zero from `keys` to `padded`; returns their sum.
float Softmax(float* scores, int64_t keys, int64_t padded) {
  const V16 lowest = Splat(-std::numeric_limits<float>::infinity());
  V16 largest = lowest;
  int64_t i = 0;
  for (; i + 16 <= keys; i += 16) largest = Max16(largest, Load16(scores + i));
  if (i < keys) largest = Max16(largest, FirstLanes(Load16(scores + i), lowest, keys - i));
  const V16 offset = Splat(MaxLane(largest));
  V16 sum = Splat(0.0f);
  for (i = 0; i + 16 <= keys; i += 16) {
    const V16 e = Exp16(Load16(scores + i) - offset);
    Store16(e, scores + i);
    sum = sum + e;
  }
  if (i < keys) {
    const V16 e = FirstLanes(Exp16(Load16(scores + i) - offset), Splat(0.0f), keys - i);
    Store16(e, scores + i);
    sum = sum + e;
    i += 16;
  }
  for (; i < padded; i += 16) Store16(Splat(0.0f), scores + i);
  return SumLanes(sum);
}

// Weighted sum of `kVectors` times sixteen dimensions from `dim` on.
template <int kQueries, int kVectors>
void Weigh(const AttentionTask& t, int first, int64_t keys, int64_t dim, const float* weights,
           int64_t stride, const float* inverse_sum) {
  const int64_t block_size = t.kv->block_size();
  V16 acc[kQueries][kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) acc[q][v] = Splat(0.0f);
  }
  for (int64_t start = 0; start < keys; start += block_size) {
    const auto* row = reinterpret_cast<const uint16_t*>(t.kv->Page(t.blocks[start / block_size]) +
                                                        t.value_offset) +
                      dim;
    const int64_t end = std::min(keys, start + block_size);
    for (int64_t j = start; j < end; ++j, row += t.head_size) {
      V16 value[kVectors];
      for (int v = 0; v < kVectors; ++v) value[v] = LoadHalf16(row + 16 * v);
#pragma GCC unroll 12
      for (int q = 0; q < kQueries; ++q) {
        const V16 w = Splat(weights[q * stride + j]);
        for (int v = 0; v < kVectors; ++v) acc[q][v] = Fma(w, value[v], acc[q][v]);
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    const V16 inverse = Splat(inverse_sum[q]);
    for (int v = 0; v < kVectors; ++v) {
      Store16(acc[q][v] * inverse, t.out[first + q] + dim + 16 * v);
    }
  }
}

template <int kQueries>
void AttendSome(const AttentionTask& t, int first, float* scratch) {
  int64_t keys = 0;
  for (int q = 0; q < kQueries; ++q) keys = std::max(keys, t.keys[first + q]);
  const int64_t padded = (keys + kKeyGroup - 1) / kKeyGroup * kKeyGroup;
  ScoreKeys<kQueries>(t, first, keys, scratch, padded);
  float inverse_sum[kQueries];
  for (int q = 0; q < kQueries; ++q) {
    inverse_sum[q] = 1.0f / Softmax(scratch + q * padded, t.keys[first + q], padded);
  }
  constexpr int kVectors = kParts <= 2 ? 2 : 1;
  int64_t dim = 0;
  for (; dim + 16 * kVectors <= t.head_size; dim += 16 * kVectors) {
    Weigh<kQueries, kVectors>(t, first, keys, dim, scratch, padded, inverse_sum);
  }
  for (; dim < t.head_size; dim += 16) {
    Weigh<kQueries, 1>(t, first, keys, dim, scratch, padded, inverse_sum);
  }
}

void AttendImpl(const AttentionTask& t, float* scratch) {
  int first = 0;
  for (; first + kQueriesAtOnce <= t.queries; first += kQueriesAtOnce) {
    AttendSome<kQueriesAtOnce>(t, first, scratch);
  }
  switch (t.queries - first) {
#define SCOVILLE_REST(n)                                         \
  case n:                                                        \
    AttendSome<(n < kQueriesAtOnce ? n : 1)>(t, first, scratch); \
    break;
    SCOVILLE_REST(1)
    SCOVILLE_REST(2)
    SCOVILLE_REST(3)
    SCOVILLE_REST(4)
    SCOVILLE_REST(5)
    SCOVILLE_REST(6)
    SCOVILLE_REST(7)
    SCOVILLE_REST(8)
    SCOVILLE_REST(9)
    SCOVILLE_REST(10)
    SCOVILLE_REST(11)
#undef SCOVILLE_REST
    default:
      break;
  }
}

}  // namespace scoville::model::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scoville::model {

HWY_EXPORT(AttendImpl);

void Attend(const AttentionTask& task, float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttendImpl)(task, scratch);
}

}  // namespace scoville::model
#endif  // HWY_ONCE
