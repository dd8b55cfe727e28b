#include "model/gguf/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <vector>

#include "base/random.h"
#include "model/gguf/half.h"

namespace scoville::model {
namespace {

std::vector<uint8_t> ReadGoldens() {
  std::ifstream in(SCOVILLE_SOURCE_DIR "/tests/data/dequantize_goldens.bin", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

uint32_t Word(const std::vector<uint8_t>& bytes, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, 4);
  return word;
}

TEST(DequantizeTest, EveryTypeIsTheReferenceBitForBit) {
  const std::vector<uint8_t> goldens = ReadGoldens();
  std::set<uint32_t> seen;
  for (size_t at = 0; at + 12 <= goldens.size();) {
    const uint32_t type = Word(goldens, at);
    const uint32_t bytes = Word(goldens, at + 4);
    const uint32_t values = Word(goldens, at + 8);
    at += 12;
    ASSERT_LE(at + bytes + 4 * values, goldens.size());
    std::vector<float> row(values);
    const absl::Status status = DequantizeRow(static_cast<GgmlType>(type),
                                              {goldens.data() + at, bytes}, absl::MakeSpan(row));
    ASSERT_TRUE(status.ok()) << status;
    at += bytes;
    for (uint32_t i = 0; i < values; ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, &row[i], 4);
      ASSERT_EQ(bits, Word(goldens, at + 4 * i)) << GgmlTypeName(type) << " value " << i;
    }
    at += size_t{4} * values;
    seen.insert(type);
  }
  EXPECT_EQ(seen, (std::set<uint32_t>{0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 30}));
}

TEST(DequantizeTest, SizesThatDoNotFitAreRefused) {
  std::vector<uint8_t> bytes(40);
  std::vector<float> values(64);
  EXPECT_TRUE(DequantizeRow(GgmlType::kQ4_1, bytes, absl::MakeSpan(values)).ok());
  EXPECT_FALSE(DequantizeRow(GgmlType::kQ4_1, {bytes.data(), 39}, absl::MakeSpan(values)).ok());
  EXPECT_FALSE(DequantizeRow(GgmlType::kQ4_1, bytes, absl::MakeSpan(values).subspan(0, 63)).ok());
  EXPECT_FALSE(DequantizeRow(GgmlType::kQ4_1, bytes, absl::MakeSpan(values).subspan(0, 32)).ok());
  EXPECT_FALSE(DequantizeRow(static_cast<GgmlType>(10), bytes, absl::MakeSpan(values)).ok());
}

TEST(DequantizeTest, ScalesThatAreNotFiniteAreRefused) {
  for (const GgmlType type :
       {GgmlType::kF16, GgmlType::kQ8_0, GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ5_0,
        GgmlType::kQ5_1, GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K}) {
    TensorInfo tensor;
    tensor.name = "t";
    tensor.type = type;
    tensor.dims = {2 * GgmlBlockSize(type)};
    std::vector<uint8_t> bytes(static_cast<size_t>(2 * GgmlBlockBytes(type)));
    tensor.data = bytes;
    EXPECT_TRUE(CheckFinite(tensor).ok());
    const size_t scale = type == GgmlType::kQ6_K ? 208 : 0;
    bytes[bytes.size() / 2 + scale + 1] = 0x7e;  // NaN in the second block
    EXPECT_FALSE(CheckFinite(tensor).ok()) << GgmlTypeName(type);
    std::vector<float> row(static_cast<size_t>(2 * GgmlBlockSize(type)));
    EXPECT_FALSE(DequantizeRow(type, bytes, absl::MakeSpan(row)).ok()) << GgmlTypeName(type);
  }
}

TEST(HalfTest, EveryFiniteHalfComesBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const auto bits = static_cast<uint16_t>(half);
    if (!HalfIsFinite(bits)) {
      EXPECT_FALSE(std::isfinite(HalfToFloat(bits)));
      continue;
    }
    ASSERT_EQ(FloatToHalf(HalfToFloat(bits)), bits);
  }
}

TEST(HalfTest, RoundsToTheNearestAndTiesToEven) {
  // The neighbours of a float by brute force over the ordered positive halves.
  for (uint64_t i = 0; i < 500; ++i) {
    const float x = std::ldexp(static_cast<float>(RandomUniform(5, 0, i)) + 1.0f,
                               static_cast<int>(RandomBelow(5, 1, i, 44)) - 28);
    uint16_t best = 0;
    for (uint16_t half = 0; half < 0x7c00; ++half) {
      const double d = std::abs(static_cast<double>(HalfToFloat(half)) - static_cast<double>(x));
      const double b = std::abs(static_cast<double>(HalfToFloat(best)) - static_cast<double>(x));
      if (d < b || (d == b && half % 2 == 0)) best = half;
    }
    if (x >= 65'520.0f) continue;
    ASSERT_EQ(FloatToHalf(x), best) << x;
  }
  EXPECT_EQ(FloatToHalf(65'519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65'520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::quiet_NaN()) & 0x7c00, 0x7c00);
  EXPECT_EQ(FloatToHalf(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(FloatToHalf(1.0f + 3 * 0x1p-11f), 0x3c02);
}

}  // namespace
}  // namespace scoville::model
