// The storage formats of GGUF tensors that are read, and the shape of their blocks.
//
// Units: block sizes in values, block bytes in bytes. Threading: pure functions. Errors: none; a
// number that is not one of the enumerators is answered by IsKnownGgmlType.
#ifndef SCOVILLE_MODEL_GGUF_GGML_TYPE_H_
#define SCOVILLE_MODEL_GGUF_GGML_TYPE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

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

bool IsKnownGgmlType(uint32_t number);
// `Q4_1`; for numbers that are not read, the specification's name or an empty string.
absl::string_view GgmlTypeName(uint32_t number);
inline absl::string_view GgmlTypeName(GgmlType type) {
  return GgmlTypeName(static_cast<uint32_t>(type));
}

// Values in one block; rows are whole blocks.
int64_t GgmlBlockSize(GgmlType type);
// Bytes of one block.
int64_t GgmlBlockBytes(GgmlType type);

// "F32, F16, Q4_0, …", for error messages.
absl::string_view KnownGgmlTypeNames();

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_GGML_TYPE_H_
