#include "model/gguf/dequantize.h"

#include <bit>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "model/gguf/half.h"

namespace scoville::model {

namespace {

// Files are little-endian and blocks are not aligned, hence byte by byte.
uint16_t Load16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }
uint32_t Load32(const uint8_t* p) {
  return static_cast<uint32_t>(Load16(p)) | (static_cast<uint32_t>(Load16(p + 2)) << 16);
}
float LoadHalf(const uint8_t* p) { return HalfToFloat(Load16(p)); }

void Q8_0(const uint8_t* b, float* y) {
  const float d = LoadHalf(b);
  for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(static_cast<int8_t>(b[2 + i])) * d;
}

void Q4_0(const uint8_t* b, float* y) {
  const float d = LoadHalf(b);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b[2 + i] & 0xf) - 8);
    y[i + 16] = d * static_cast<float>((b[2 + i] >> 4) - 8);
  }
}

void Q4_1(const uint8_t* b, float* y) {
  const float d = LoadHalf(b);
  const float m = LoadHalf(b + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(b[4 + i] & 0xf) + m;
    y[i + 16] = d * static_cast<float>(b[4 + i] >> 4) + m;
  }
}

// The fifth bit of value i is bit i of the block's 32-bit word.
int Fifth(uint32_t bits, int i) { return static_cast<int>((bits >> i) & 1u) << 4; }

void Q5_0(const uint8_t* b, float* y) {
  const float d = LoadHalf(b);
  const uint32_t high = Load32(b + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(((b[6 + i] & 0xf) | Fifth(high, i)) - 16);
    y[i + 16] = d * static_cast<float>(((b[6 + i] >> 4) | Fifth(high, i + 16)) - 16);
  }
}

void Q5_1(const uint8_t* b, float* y) {
  const float d = LoadHalf(b);
  const float m = LoadHalf(b + 2);
  const uint32_t high = Load32(b + 4);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b[8 + i] & 0xf) | Fifth(high, i)) + m;
    y[i + 16] = d * static_cast<float>((b[8 + i] >> 4) | Fifth(high, i + 16)) + m;
  }
}

// Scale and minimum of sub-block j (0 to 7) out of the twelve bytes that hold sixteen 6-bit values.
struct ScaleMin {
  float scale;
  float min;
};
ScaleMin KScaleMin(const uint8_t* s, int j) {
  if (j < 4) return {static_cast<float>(s[j] & 0x3f), static_cast<float>(s[j + 4] & 0x3f)};
  const int scale = (s[j + 4] & 0x0f) | ((s[j - 4] >> 2) & 0x30);
  const int min = (s[j + 4] >> 4) | ((s[j] >> 2) & 0x30);
  return {static_cast<float>(scale), static_cast<float>(min)};
}

// Sub-blocks 2k and 2k + 1 are the low and the high nibbles of 32 bytes; Q5_K adds bit j of 32
// further bytes to sub-block j.
void KBlock(const uint8_t* header, const uint8_t* high, const uint8_t* low, float* y) {
  const float d = LoadHalf(header);
  const float dmin = LoadHalf(header + 2);
  for (int j = 0; j < 8; ++j) {
    const ScaleMin sm = KScaleMin(header + 4, j);
    const float scale = d * sm.scale;
    const float min = dmin * sm.min;
    const uint8_t* nibbles = low + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      int q = (nibbles[i] >> (4 * (j & 1))) & 0xf;
      if (high != nullptr) q |= ((high[i] >> j) & 1) << 4;
      y[32 * j + i] = scale * static_cast<float>(q) - min;
    }
  }
}

void Q4_K(const uint8_t* b, float* y) { KBlock(b, nullptr, b + 16, y); }
void Q5_K(const uint8_t* b, float* y) { KBlock(b, b + 16, b + 48, y); }

// Two halves of 128 values; in each, four groups of 32: nibbles of 64 bytes (low nibbles first),
// and two bits of 32 bytes.
void Q6_K(const uint8_t* b, float* y) {
  const uint8_t* scales = b + 192;
  const float d = LoadHalf(b + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = b + 64 * half;
    const uint8_t* high = b + 128 + 32 * half;
    for (int group = 0; group < 4; ++group) {
      for (int i = 0; i < 32; ++i) {
        const int index = 128 * half + 32 * group + i;
        const int nibble = (low[32 * (group & 1) + i] >> (4 * (group >> 1))) & 0xf;
        const int q = (nibble | (((high[i] >> (2 * group)) & 3) << 4)) - 32;
        const float scale = d * static_cast<float>(static_cast<int8_t>(scales[index / 16]));
        y[index] = scale * static_cast<float>(q);
      }
    }
  }
}

void DequantizeBlock(GgmlType type, const uint8_t* b, float* y) {
  switch (type) {
    case GgmlType::kF32:
      *y = std::bit_cast<float>(Load32(b));
      return;
    case GgmlType::kF16:
      *y = LoadHalf(b);
      return;
    case GgmlType::kBF16:
      *y = BFloat16ToFloat(Load16(b));
      return;
    case GgmlType::kQ8_0:
      return Q8_0(b, y);
    case GgmlType::kQ4_0:
      return Q4_0(b, y);
    case GgmlType::kQ4_1:
      return Q4_1(b, y);
    case GgmlType::kQ5_0:
      return Q5_0(b, y);
    case GgmlType::kQ5_1:
      return Q5_1(b, y);
    case GgmlType::kQ4_K:
      return Q4_K(b, y);
    case GgmlType::kQ5_K:
      return Q5_K(b, y);
    case GgmlType::kQ6_K:
      return Q6_K(b, y);
  }
}

bool BlockIsFinite(GgmlType type, const uint8_t* b) {
  switch (type) {
    case GgmlType::kF32:
      return std::isfinite(std::bit_cast<float>(Load32(b)));
    case GgmlType::kBF16:
      return std::isfinite(BFloat16ToFloat(Load16(b)));
    case GgmlType::kF16:
    case GgmlType::kQ8_0:
    case GgmlType::kQ4_0:
    case GgmlType::kQ5_0:
      return HalfIsFinite(Load16(b));
    case GgmlType::kQ4_1:
    case GgmlType::kQ5_1:
    case GgmlType::kQ4_K:
    case GgmlType::kQ5_K:
      return HalfIsFinite(Load16(b)) && HalfIsFinite(Load16(b + 2));
    case GgmlType::kQ6_K:
      return HalfIsFinite(Load16(b + 208));
  }
  return false;
}

}  // namespace

absl::Status DequantizeRow(GgmlType type, absl::Span<const uint8_t> src, absl::Span<float> dst) {
  const auto block_bytes = static_cast<size_t>(GgmlBlockBytes(type));
  const auto block_size = static_cast<size_t>(GgmlBlockSize(type));
  if (block_bytes == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor type ", static_cast<uint32_t>(type), " cannot be dequantized"));
  }
  const size_t blocks = src.size() / block_bytes;
  if (src.size() % block_bytes != 0 || dst.size() % block_size != 0 ||
      dst.size() / block_size != blocks) {
    return absl::InvalidArgumentError(absl::StrCat(src.size(), " bytes of ", GgmlTypeName(type),
                                                   " are not ", dst.size(), " values"));
  }
  for (size_t i = 0; i < blocks; ++i) {
    const uint8_t* block = src.data() + i * block_bytes;
    if (!BlockIsFinite(type, block)) {
      return absl::InvalidArgumentError(absl::StrCat("block ", i, " of ", GgmlTypeName(type),
                                                     " has a scale or value that is not finite"));
    }
    DequantizeBlock(type, block, dst.data() + i * block_size);
  }
  return absl::OkStatus();
}

absl::Status CheckFinite(const TensorInfo& tensor) {
  const auto block_bytes = static_cast<size_t>(GgmlBlockBytes(tensor.type));
  for (size_t at = 0; at + block_bytes <= tensor.data.size(); at += block_bytes) {
    if (!BlockIsFinite(tensor.type, tensor.data.data() + at)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, ": block ", at / block_bytes, " of ",
                       GgmlTypeName(tensor.type), " has a scale or value that is not finite"));
    }
  }
  return absl::OkStatus();
}

}  // namespace scoville::model
