#include "model/compute/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "model/compute/row_kernels.h"
#include "tests/unit/model_compute/each_target.h"
#include "tests/unit/model_compute/random_tensor.h"

namespace scoville::tests {
namespace {

struct AlignedBytes {
  explicit AlignedBytes(int64_t size)
      : data(static_cast<uint8_t*>(std::aligned_alloc(64, static_cast<size_t>(size)))) {}
  ~AlignedBytes() { std::free(data); }
  uint8_t* const data;
};

// Value of row `r`, input `i` as the packed form has it.
double Unpacked(const model::PackedMatrix& m, int64_t r, int64_t i) {
  const model::WeightFormat format = m.format();
  const bool four =
      format == model::WeightFormat::k4Half || format == model::WeightFormat::k4Single;
  const bool half = format == model::WeightFormat::k4Half || format == model::WeightFormat::k8Half;
  const int64_t lane = r % 16;
  const uint8_t* block = m.Panel(r / 16) + i / 32 * model::PanelBlockBytes(format);
  const int64_t quad = i % 32 / 4;
  const uint8_t byte = block[(four ? quad % 4 : quad) * 64 + lane * 4 + i % 4];
  const int q = !four ? byte - 128 : quad < 4 ? byte & 15 : byte >> 4;
  const auto scale = [&](int64_t which) {
    const uint8_t* at = block + (four ? 256 : 512) + (half ? 2 : 4) * (16 * which + lane);
    if (!half) {
      float value;
      std::memcpy(&value, at, 4);
      return static_cast<double>(value);
    }
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    return static_cast<double>(model::HalfToFloat(bits));
  };
  return scale(0) * q + (format == model::WeightFormat::k8Half ? 0.0 : scale(1));
}

TEST(PackedMatrix, KeepsWhatItSaysItKeeps) {
  for (const model::GgmlType type : kAllTypes) {
    SCOPED_TRACE(std::string(model::GgmlTypeName(type)));
    const RandomTensor tensor(type, 512, 24, 3);
    AlignedBytes memory(model::PackedMatrix::BytesFor(tensor.info));
    const auto packed = model::PackedMatrix::Pack(tensor.info, memory.data);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->panels(), 2);
    for (int64_t r = 0; r < 24; ++r) {
      for (int64_t i = 0; i < 512; ++i) {
        const double want = tensor.values[static_cast<size_t>(r * 512 + i)];
        double largest = 0.0;
        for (int64_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
          largest = std::max(
              largest,
              std::fabs(static_cast<double>(tensor.values[static_cast<size_t>(r * 512 + j)])));
        }
        // Kept: the same number but for the rounding of d * q + m to a float in the oracle.
        const double allowed =
            model::IsRequantised(type) ? largest / 254.0 * 1.0001 : largest * 1e-6;
        ASSERT_NEAR(Unpacked(*packed, r, i), want, allowed) << "row " << r << " input " << i;
      }
    }
    for (int64_t r = 24; r < 32; ++r) {
      // Rows that fill up the last panel multiply to zero.
      const double empty = Unpacked(*packed, r, 7);
      EXPECT_EQ(empty, 0.0);
    }
  }
}

TEST(PackedMatrix, RefusesWhatIsNotFinite) {
  RandomTensor tensor(model::GgmlType::kQ8_0, 64, 16, 3);
  RandomTensor::PutHalf(tensor.bytes.data() + 34 * 5, 0x7c00);
  AlignedBytes memory(model::PackedMatrix::BytesFor(tensor.info));
  EXPECT_EQ(model::PackedMatrix::Pack(tensor.info, memory.data).status().code(),
            absl::StatusCode::kInvalidArgument);
}

class Gemm : public ::testing::TestWithParam<std::tuple<model::GgmlType, model::Precision>> {};

TEST_P(Gemm, IsTheSumOfProductsOnEveryTargetAndForEveryRowCount) {
  constexpr int64_t kInputs = 768;
  const auto [type, precision] = GetParam();
  const bool pair = precision == model::Precision::kPair;
  const RandomTensor tensor(type, kInputs, 32, 11);
  AlignedBytes memory(model::PackedMatrix::BytesFor(tensor.info));
  const auto packed = model::PackedMatrix::Pack(tensor.info, memory.data);
  ASSERT_TRUE(packed.ok()) << packed.status();

  model::QuantizedRows rows(8, kInputs, precision);
  // Normalising with these weights leaves a row as it is, but for a factor.
  const std::vector<float> ones(kInputs, 1.0f);
  for (int r = 0; r < 8; ++r) {
    std::vector<float> x;
    for (int64_t i = 0; i < kInputs; ++i) {
      x.push_back(RandomFloat(20 + static_cast<uint64_t>(r), static_cast<uint64_t>(i)) * 3.0f);
    }
    // The extremes: all of the largest magnitude, of both signs.
    if (r == 6) x.assign(x.size(), 1.0f);
    if (r == 7) x.assign(x.size(), -1.0f);
    if (pair) {
      model::NormQuantizeRow(x.data(), ones.data(), kInputs, 0.0f, precision, rows.TileOfRow(0), r);
    } else {
      model::QuantizeRow(x.data(), kInputs, rows.TileOfRow(0), r);
    }
  }
  const auto activation = [&](int r, int64_t i) {
    const model::ActivationBlock* block = rows.Tile(0) + i / 32 * (pair ? 2 : 1);
    const auto byte = [&](const model::ActivationBlock& b) {
      int8_t bytes[4];
      std::memcpy(bytes, &b.quads[i % 32 / 4][r], 4);
      return static_cast<double>(bytes[i % 4]);
    };
    const double integer = pair ? 254.0 * byte(block[0]) + byte(block[1]) : byte(block[0]);
    return integer * static_cast<double>(block->scale[r]);
  };

  std::vector<float> first;  // of the first target: 2 panels of 8 rows
  ForEachTarget([&, precision = precision](const char* name) {
    SCOPED_TRACE(name);
    std::vector<float> all;
    for (int64_t panel = 0; panel < 2; ++panel) {
      float out[8 * 16];
      model::MultiplyTile(*packed, panel, rows.Tile(0), precision, 8, out, 16);
      for (int r = 0; r < 8; ++r) {
        for (int lane = 0; lane < 16; ++lane) {
          double want = 0.0;
          double magnitude = 0.0;
          for (int64_t i = 0; i < kInputs; ++i) {
            const double product = Unpacked(*packed, panel * 16 + lane, i) * activation(r, i);
            want += product;
            magnitude += std::fabs(product);
          }
          ASSERT_NEAR(out[r * 16 + lane], want, magnitude * 1e-5) << r << " " << lane;
        }
      }
      for (int count = 1; count < 8; ++count) {
        float some[8 * 20];
        model::MultiplyTile(*packed, panel, rows.Tile(0), precision, count, some, 20);
        for (int r = 0; r < count; ++r) {
          ASSERT_EQ(std::memcmp(some + r * 20, out + r * 16, 64), 0) << count << " rows, row " << r;
        }
      }
      all.insert(all.end(), out, out + 128);
    }
    if (first.empty()) first = all;
    EXPECT_EQ(std::memcmp(first.data(), all.data(), all.size() * sizeof(float)), 0);
  });
}

INSTANTIATE_TEST_SUITE_P(Types, Gemm,
                         ::testing::Combine(::testing::ValuesIn(kAllTypes),
                                            ::testing::Values(model::Precision::kByte,
                                                              model::Precision::kPair)),
                         [](const ::testing::TestParamInfo<Gemm::ParamType>& param) {
                           return std::string(model::GgmlTypeName(std::get<0>(param.param))) +
                                  (std::get<1>(param.param) == model::Precision::kPair ? "_Pair"
                                                                                       : "_Byte");
                         });

}  // namespace
}  // namespace scoville::tests
