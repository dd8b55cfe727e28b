// Stored blocks to 32-bit floats, bit for bit as the GGUF reference (`gguf.quants.dequantize`).
//
// Units: values and bytes. Threading: pure functions. Errors: kInvalidArgument for sizes that do
// not fit each other and for a scale or value that is not finite.
#ifndef SCOVILLE_MODEL_GGUF_DEQUANTIZE_H_
#define SCOVILLE_MODEL_GGUF_DEQUANTIZE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/gguf/ggml_type.h"
#include "model/gguf/gguf_file.h"

namespace scoville::model {

// `src` holds whole blocks and `dst` exactly as many values as they stand for.
absl::Status DequantizeRow(GgmlType type, absl::Span<const uint8_t> src, absl::Span<float> dst);

// Reads the scales (for float types, the values) of every block and refuses NaN and infinity, for
// those who use blocks without dequantizing them. Names the tensor and the first bad block.
absl::Status CheckFinite(const TensorInfo& tensor);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_DEQUANTIZE_H_
