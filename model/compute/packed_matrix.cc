#include "model/compute/packed_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/compute/quantized_rows.h"
#include "model/gguf/dequantize.h"
#include "model/gguf/half.h"

namespace scoville::model {

namespace {

// 32 stored values as integers and their scale: value i is d * q[i] + m, with q unsigned.
struct Group {
  uint8_t q[kBlockValues];
  float d = 0.0f;
  float m = 0.0f;
};

uint16_t Read16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }
uint32_t Read32(const uint8_t* p) {
  return static_cast<uint32_t>(Read16(p)) | (static_cast<uint32_t>(Read16(p + 2)) << 16);
}

void ReadNibbles(const uint8_t* nibbles, Group& g) {
  for (int i = 0; i < 16; ++i) {
    g.q[i] = nibbles[i] & 0xf;
    g.q[i + 16] = nibbles[i] >> 4;
  }
}

void AddFifthBits(uint32_t bits, Group& g) {
  for (int i = 0; i < kBlockValues; ++i) g.q[i] |= static_cast<uint8_t>(((bits >> i) & 1) << 4);
}

// Group `j` (0 to 7) of a block of Q4_K or Q5_K.
Group ReadK(GgmlType type, const uint8_t* b, int j) {
  Group g;
  const uint8_t* s = b + 4;
  int scale, min;
  if (j < 4) {
    scale = s[j] & 0x3f;
    min = s[j + 4] & 0x3f;
  } else {
    scale = (s[j + 4] & 0x0f) | ((s[j - 4] >> 2) & 0x30);
    min = (s[j + 4] >> 4) | ((s[j] >> 2) & 0x30);
  }
  g.d = HalfToFloat(Read16(b)) * static_cast<float>(scale);
  g.m = -(HalfToFloat(Read16(b + 2)) * static_cast<float>(min));
  const bool five = type == GgmlType::kQ5_K;
  const uint8_t* nibbles = b + (five ? 48 : 16) + 32 * (j / 2);
  for (int i = 0; i < kBlockValues; ++i) {
    g.q[i] = (nibbles[i] >> (4 * (j & 1))) & 0xf;
    if (five) g.q[i] |= static_cast<uint8_t>(((b[16 + i] >> j) & 1) << 4);
  }
  return g;
}

// Group `index` of a row of a type that keeps its values.
Group ReadGroup(GgmlType type, const uint8_t* row, int64_t index) {
  if (type == GgmlType::kQ4_K || type == GgmlType::kQ5_K) {
    return ReadK(type, row + index / 8 * GgmlBlockBytes(type), static_cast<int>(index % 8));
  }
  const uint8_t* b = row + index * GgmlBlockBytes(type);
  Group g;
  g.d = HalfToFloat(Read16(b));
  switch (type) {
    case GgmlType::kQ4_0:
      ReadNibbles(b + 2, g);
      g.m = -8.0f * g.d;
      break;
    case GgmlType::kQ4_1:
      ReadNibbles(b + 4, g);
      g.m = HalfToFloat(Read16(b + 2));
      break;
    case GgmlType::kQ5_0:
      ReadNibbles(b + 6, g);
      AddFifthBits(Read32(b + 2), g);
      g.m = -16.0f * g.d;
      break;
    case GgmlType::kQ5_1:
      ReadNibbles(b + 8, g);
      AddFifthBits(Read32(b + 4), g);
      g.m = HalfToFloat(Read16(b + 2));
      break;
    default:  // Q8_0, whose bytes are kept with 128 added
      for (int i = 0; i < kBlockValues; ++i) g.q[i] = b[2 + i] ^ 0x80;
      break;
  }
  return g;
}

// Nearest of 255 levels over the largest magnitude.
Group Requantise(const float* x) {
  float largest = 0.0f;
  for (int i = 0; i < kBlockValues; ++i) largest = std::max(largest, std::fabs(x[i]));
  Group g;
  g.d = largest / 127.0f;
  for (int i = 0; i < kBlockValues; ++i) {
    const float scaled = g.d > 0.0f ? std::nearbyint(x[i] / g.d) : 0.0f;
    g.q[i] = static_cast<uint8_t>(static_cast<int>(std::clamp(scaled, -127.0f, 127.0f)) + 128);
  }
  return g;
}

bool IsFourBit(WeightFormat f) { return f == WeightFormat::k4Half || f == WeightFormat::k4Single; }

// Types whose integers are below 32 and unsigned, but that go into bytes with 128 added.
bool IsFiveBit(GgmlType type) {
  return type == GgmlType::kQ5_0 || type == GgmlType::kQ5_1 || type == GgmlType::kQ5_K;
}

void PutScale(bool half, uint8_t* at, int lane, float value) {
  if (half) {
    const uint16_t bits = FloatToHalf(value);
    std::memcpy(at + lane * 2, &bits, 2);
  } else {
    std::memcpy(at + lane * 4, &value, 4);
  }
}

// Writes one row's share of a panel's block.
void PutGroup(WeightFormat format, const Group& g, int lane, uint8_t* block) {
  uint8_t* end;
  if (IsFourBit(format)) {
    for (int v = 0; v < 4; ++v) {
      uint8_t* out = block + v * 64 + lane * 4;
      for (int j = 0; j < 4; ++j) {
        out[j] = static_cast<uint8_t>(g.q[4 * v + j] | (g.q[16 + 4 * v + j] << 4));
      }
    }
    end = block + 256;
  } else {
    for (int v = 0; v < 8; ++v) std::memcpy(block + v * 64 + lane * 4, g.q + 4 * v, 4);
    end = block + 512;
  }
  const bool half = format == WeightFormat::k4Half || format == WeightFormat::k8Half;
  PutScale(half, end, lane, g.d);
  if (format != WeightFormat::k8Half) PutScale(half, end + (half ? 32 : 64), lane, g.m);
}

}  // namespace

WeightFormat WeightFormatOf(GgmlType type) {
  switch (type) {
    case GgmlType::kQ4_0:
    case GgmlType::kQ4_1:
      return WeightFormat::k4Half;
    case GgmlType::kQ4_K:
      return WeightFormat::k4Single;
    case GgmlType::kQ8_0:
      return WeightFormat::k8Half;
    default:
      return WeightFormat::k8Single;
  }
}

bool IsRequantised(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16 ||
         type == GgmlType::kQ6_K;
}

int64_t PanelBlockBytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::k4Half:
      return 256 + 2 * 32;
    case WeightFormat::k4Single:
      return 256 + 2 * 64;
    case WeightFormat::k8Half:
      return 512 + 32;
    case WeightFormat::k8Single:
      return 512 + 2 * 64;
  }
  return 0;
}

int64_t PackedMatrix::BytesFor(const TensorInfo& tensor) {
  const int64_t panels = (tensor.rows() + kPanelRows - 1) / kPanelRows;
  const int64_t blocks = tensor.row_length() / kBlockValues;
  return (panels * blocks * PanelBlockBytes(WeightFormatOf(tensor.type)) + 63) / 64 * 64;
}

absl::StatusOr<PackedMatrix> PackedMatrix::Pack(const TensorInfo& tensor, uint8_t* memory) {
  if (tensor.row_length() % kBlockValues != 0) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, ": row length ",
                                                   tensor.row_length(), " is no multiple of ",
                                                   kBlockValues));
  }
  RETURN_IF_ERROR(CheckFinite(tensor));
  PackedMatrix m;
  m.data_ = memory;
  m.rows_ = tensor.rows();
  m.blocks_ = tensor.row_length() / kBlockValues;
  m.format_ = WeightFormatOf(tensor.type);
  m.block_bytes_ = PanelBlockBytes(m.format_);
  std::memset(memory, 0, static_cast<size_t>(BytesFor(tensor)));

  const bool requantise = IsRequantised(tensor.type);
  const int64_t row_bytes =
      tensor.row_length() / GgmlBlockSize(tensor.type) * GgmlBlockBytes(tensor.type);
  std::vector<float> values(requantise ? static_cast<size_t>(tensor.row_length()) : 0);
  for (int64_t r = 0; r < m.rows_; ++r) {
    const absl::Span<const uint8_t> row =
        tensor.data.subspan(static_cast<size_t>(r * row_bytes), static_cast<size_t>(row_bytes));
    if (requantise) {
      RETURN_IF_ERROR(DequantizeRow(tensor.type, row, absl::MakeSpan(values)));
    }
    uint8_t* panel = memory + r / kPanelRows * m.panel_bytes();
    for (int64_t b = 0; b < m.blocks_; ++b) {
      Group g = requantise ? Requantise(values.data() + b * kBlockValues)
                           : ReadGroup(tensor.type, row.data(), b);
      if (IsFiveBit(tensor.type)) {
        for (uint8_t& q : g.q) q = static_cast<uint8_t>(q + 128);
      }
      if (tensor.type == GgmlType::kQ4_0 && std::fabs(g.m) > 65504.0f) {
        return absl::InvalidArgumentError(
            absl::StrCat("tensor ", tensor.name, ": scale ", g.d, " of row ", r, " is too large"));
      }
      PutGroup(m.format_, g, static_cast<int>(r % kPanelRows), panel + b * m.block_bytes_);
    }
  }
  return m;
}

}  // namespace scoville::model
