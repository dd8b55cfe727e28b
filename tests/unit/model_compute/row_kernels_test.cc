#include "model/compute/row_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model/gguf/half.h"
#include "tests/unit/model_compute/each_target.h"
#include "tests/unit/model_compute/random_tensor.h"

namespace scoville::tests {
namespace {

std::vector<float> RandomRow(uint64_t seed, int64_t count, float scale) {
  std::vector<float> x;
  for (int64_t i = 0; i < count; ++i) {
    x.push_back(RandomFloat(seed, static_cast<uint64_t>(i)) * scale);
  }
  return x;
}

int8_t ByteAt(const model::ActivationBlock& block, int row, int i) {
  int8_t bytes[4];
  std::memcpy(bytes, &block.quads[i / 4][row], 4);
  return bytes[i % 4];
}

TEST(QuantizeRow, RoundsToTheNearestOf255Levels) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    for (const float scale : {1e-30f, 1e-3f, 1.0f, 7e4f, 1e30f}) {
      const std::vector<float> x = RandomRow(4, 64, scale);
      model::ActivationBlock blocks[2];
      model::QuantizeRow(x.data(), 64, blocks, 3);
      for (int b = 0; b < 2; ++b) {
        float largest = 0.0f;
        int sum = 0;
        for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[32 * b + i]));
        EXPECT_EQ(blocks[b].scale[3], largest / 127.0f);
        for (int i = 0; i < 32; ++i) {
          const int q = ByteAt(blocks[b], 3, i);
          sum += q;
          EXPECT_LE(std::abs(q), 127);
          EXPECT_NEAR(q, x[32 * b + i] / largest * 127.0f, 0.5001);
        }
        EXPECT_EQ(blocks[b].sum[3], static_cast<float>(sum));
        EXPECT_EQ(blocks[b].offset[3], -128 * sum);
      }
    }
  });
}

TEST(QuantizeRow, ZeroAndSubnormalRowsAreZero) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    std::vector<float> x(32, 0.0f);
    x[5] = std::numeric_limits<float>::denorm_min();
    model::ActivationBlock block;
    for (int round = 0; round < 2; ++round) {
      model::QuantizeRow(x.data(), 32, &block, 0);
      for (int i = 0; i < 32; ++i) EXPECT_EQ(ByteAt(block, 0, i), 0);
      EXPECT_EQ(block.sum[0], 0.0f);
      x[5] = 0.0f;
    }
  });
}

TEST(NormQuantizeRow, DividesByTheRootMeanSquare) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    const std::vector<float> x = RandomRow(5, 96, 20.0f);
    const std::vector<float> weight = RandomRow(6, 96, 1.0f);
    double squares = 0.0;
    for (const float v : x) squares += static_cast<double>(v) * v;
    const double scale = 1.0 / std::sqrt(squares / 96 + 1e-5);
    model::ActivationBlock blocks[3], pairs[6];
    model::NormQuantizeRow(x.data(), weight.data(), 96, 1e-5f, model::Precision::kByte, blocks, 1);
    model::NormQuantizeRow(x.data(), weight.data(), 96, 1e-5f, model::Precision::kPair, pairs, 1);
    float sums[3] = {};
    for (int i = 0; i < 96; ++i) {
      const double want = x[i] * scale * weight[i];
      const model::ActivationBlock& block = blocks[i / 32];
      EXPECT_NEAR(ByteAt(block, 1, i % 32) * block.scale[1], want, block.scale[1] * 0.501);
      const model::ActivationBlock& high = pairs[i / 32 * 2];
      const int pair = 254 * ByteAt(high, 1, i % 32) + ByteAt(pairs[i / 32 * 2 + 1], 1, i % 32);
      EXPECT_NEAR(pair * high.scale[1], want, high.scale[1] * 0.52);
      EXPECT_LT(high.scale[1] * 250, block.scale[1]);
      sums[i / 32] += static_cast<float>(pair);
    }
    for (int b = 0; b < 3; ++b) EXPECT_EQ(pairs[2 * b].sum[1], sums[b]);
  });
}

TEST(SiluQuantize, MultipliesGateAndUp) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    const std::vector<float> gate = RandomRow(7, 96, 30.0f);
    const std::vector<float> up = RandomRow(8, 96, 2.0f);
    model::ActivationBlock block;
    model::SiluQuantize(gate.data(), up.data(), 3, &block);
    for (int r = 0; r < 3; ++r) {
      for (int i = 0; i < 32; ++i) {
        const double g = gate[32 * r + i];
        const double want = g / (1.0 + std::exp(-g)) * up[32 * r + i];
        EXPECT_NEAR(ByteAt(block, r, i) * block.scale[r], want, block.scale[r] * 0.501);
      }
    }
  });
}

TEST(RotatePanel, TurnsPairs) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    const std::vector<float> x = RandomRow(9, 32, 5.0f);
    std::vector<float> cosine(32), sine(32), out(32);
    for (int i = 0; i < 32; i += 2) {
      cosine[i] = cosine[i + 1] = std::cos(0.3f * static_cast<float>(i));
      sine[i + 1] = std::sin(0.3f * static_cast<float>(i));
      sine[i] = -sine[i + 1];
    }
    model::RotatePanel(x.data(), 2, cosine.data(), sine.data(), 16, 0.5f, out.data(), 16);
    for (int i = 0; i < 32; i += 2) {
      const double c = cosine[i];
      const double s = sine[i + 1];
      EXPECT_NEAR(out[i], 0.5 * (x[i] * c - x[i + 1] * s), 1e-5);
      EXPECT_NEAR(out[i + 1], 0.5 * (x[i] * s + x[i + 1] * c), 1e-5);
    }
  });
}

TEST(StoreHalves, RoundsAsTheScalarConversion) {
  std::vector<float> x = {0.0f,     -0.0f,     1.0f,     -1.0f / 3.0f, 65503.9f,  1e9f,    -1e9f,
                          2049.0f,  2051.0f,   6.0e-8f,  2.9e-8f,      -5.96e-8f, 6.1e-5f, 1e-20f,
                          0.33325f, 1.000488f, 65519.0f, 3.14159f,     -1e-7f,    12.5f};
  for (uint64_t i = 0; x.size() < 4096; ++i) {
    x.push_back(RandomFloat(10, i) * std::ldexp(1.0f, static_cast<int>(i % 40) - 24));
  }
  ForEachTarget([&](const char* name) {
    SCOPED_TRACE(name);
    for (size_t i = 0; i + 16 <= x.size(); i += 16) {
      uint16_t out[16];
      model::StoreHalves(x.data() + i, out);
      for (size_t j = 0; j < 16; ++j) {
        const float value = std::min(65504.0f, std::max(-65504.0f, x[i + j]));
        EXPECT_EQ(out[j], model::FloatToHalf(value)) << value;
      }
    }
  });
}

TEST(ExpRow, IsExpToAFewUlp) {
  std::vector<float> x;
  for (int i = -8800; i <= 8800; ++i) x.push_back(static_cast<float>(i) * 0.009f);
  std::vector<float> first;
  ForEachTarget([&](const char* name) {
    SCOPED_TRACE(name);
    std::vector<float> out(x.size());
    const float sum =
        model::ExpRow(x.data(), static_cast<int64_t>(x.size()), 0.5f, 1.0f, out.data());
    double want_sum = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::exp(static_cast<double>(x[i] - 0.5f));
      want_sum += want;
      if (x[i] - 0.5f >= -87.0f) {
        EXPECT_NEAR(out[i] / want, 1.0, 4e-7) << x[i];
      } else {
        EXPECT_EQ(out[i], 0.0f);
      }
    }
    EXPECT_NEAR(sum / want_sum, 1.0, 1e-5);
    EXPECT_EQ(sum, model::SumExp(x.data(), static_cast<int64_t>(x.size()), 0.5f, 1.0f));
    if (first.empty()) first = out;
    EXPECT_EQ(std::memcmp(first.data(), out.data(), out.size() * sizeof(float)), 0);
  });
}

TEST(ArgMax, IsTheFirstOfTheLargest) {
  ForEachTarget([](const char* name) {
    SCOPED_TRACE(name);
    for (const int64_t count : {1, 15, 16, 17, 100, 1000}) {
      std::vector<float> x = RandomRow(11, count, 1.0f);
      for (const int64_t at : {int64_t{0}, count / 2, count - 1}) {
        std::vector<float> y = x;
        y[static_cast<size_t>(at)] = 5.0f;
        y[static_cast<size_t>(count - 1)] = 5.0f;
        EXPECT_EQ(model::ArgMax(y.data(), count), at);
        EXPECT_EQ(model::MaxValue(y.data(), count), 5.0f);
        y[static_cast<size_t>(at)] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(model::ArgMax(y.data(), count), -1);
      }
    }
    EXPECT_EQ(model::ArgMax(nullptr, 0), -1);
  });
}

}  // namespace
}  // namespace scoville::tests
