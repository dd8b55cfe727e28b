// Tensors of every storage type with random, finite content.
#ifndef SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_RANDOM_TENSOR_H_
#define SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_RANDOM_TENSOR_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "model/gguf/dequantize.h"
#include "model/gguf/gguf_file.h"
#include "model/gguf/half.h"

namespace scoville::tests {

inline constexpr model::GgmlType kAllTypes[] = {
    model::GgmlType::kF32,  model::GgmlType::kF16,  model::GgmlType::kBF16, model::GgmlType::kQ4_0,
    model::GgmlType::kQ4_1, model::GgmlType::kQ5_0, model::GgmlType::kQ5_1, model::GgmlType::kQ8_0,
    model::GgmlType::kQ4_K, model::GgmlType::kQ5_K, model::GgmlType::kQ6_K};

// Uniform in [-1, 1).
inline float RandomFloat(uint64_t seed, uint64_t index) {
  return static_cast<float>(RandomUniform(seed, 77, index) * 2.0 - 1.0);
}

struct RandomTensor {
  RandomTensor(model::GgmlType type, int64_t row_length, int64_t rows, uint64_t seed) {
    const int64_t blocks = rows * row_length / model::GgmlBlockSize(type);
    const int64_t block_bytes = model::GgmlBlockBytes(type);
    bytes.resize(static_cast<size_t>(blocks * block_bytes));
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<uint8_t>(RandomBits(seed, 1, i));
    }
    for (int64_t b = 0; b < blocks; ++b) {
      uint8_t* block = bytes.data() + b * block_bytes;
      const auto key = static_cast<uint64_t>(2 * b);
      switch (type) {
        case model::GgmlType::kF32: {
          const float value = RandomFloat(seed, key);
          std::memcpy(block, &value, 4);
          break;
        }
        case model::GgmlType::kBF16:
          PutHalf(block, 0x3f80);
          block[0] = static_cast<uint8_t>(RandomBits(seed, 2, key));
          break;
        case model::GgmlType::kQ6_K:
          PutHalf(block + 208, model::FloatToHalf(RandomFloat(seed, key) * 0.01f));
          break;
        default:
          PutHalf(block, model::FloatToHalf(RandomFloat(seed, key)));
          if (type == model::GgmlType::kQ4_1 || type == model::GgmlType::kQ5_1 ||
              type == model::GgmlType::kQ4_K || type == model::GgmlType::kQ5_K) {
            PutHalf(block + 2, model::FloatToHalf(RandomFloat(seed, key + 1)));
          }
          break;
      }
    }
    info.name = "random";
    info.type = type;
    info.dims = {row_length, rows};
    info.data = bytes;
    values.resize(static_cast<size_t>(rows * row_length));
    CHECK(model::DequantizeRow(type, bytes, absl::MakeSpan(values)).ok());
  }

  static void PutHalf(uint8_t* at, uint16_t bits) { std::memcpy(at, &bits, 2); }

  std::vector<uint8_t> bytes;
  model::TensorInfo info;
  std::vector<float> values;  // dequantised
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_MODEL_COMPUTE_RANDOM_TENSOR_H_
