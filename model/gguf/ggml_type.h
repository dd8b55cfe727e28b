// The storage formats of GGUF tensors that are read, and the shape of their blocks.
#ifndef SCOVILLE_MODEL_GGUF_GGML_TYPE_H_
#define SCOVILLE_MODEL_GGUF_GGML_TYPE_H_

#include <cstdint>

namespace scoville::model {

// Numbers as in the GGUF specification.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_GGML_TYPE_H_
