// A weight matrix in the order in which the integer kernels read it.
//
// Sixteen output rows make a panel; a panel is one block per 32 inputs, and blocks of a panel and
// panels of a matrix follow each other, so that a lane reads one stream. In a block, 64 bytes hold
// four inputs of each of the sixteen rows:
//   k4*: four such vectors; low nibbles are inputs 0 to 15, high ones 16 to 31, value d * q + m;
//   k8*: eight such vectors of bytes with 128 added, value d * (q - 128) (+ m);
// then sixteen d, and sixteen m where the format has one. A row count that is no multiple of
// sixteen is filled up with rows of zero.
//
// Formats. Nothing is lost for Q4_0, Q4_1, Q8_0 (16-bit scales as stored) and Q4_K, Q5_0, Q5_1,
// Q5_K (32-bit scales, the exact products). F32, F16, BF16 and Q6_K have no such form and are
// **requantised** to 8 bits per 32 values with one 32-bit scale: a loss, told by IsRequantised.
//
// Ownership: borrows the memory it was packed into. Threading: immutable after Pack. Errors: Pack
// names the tensor whose values are not finite or whose shape does not fit.
#ifndef SCOVILLE_MODEL_COMPUTE_PACKED_MATRIX_H_
#define SCOVILLE_MODEL_COMPUTE_PACKED_MATRIX_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "model/gguf/gguf_file.h"

namespace scoville::model {

inline constexpr int kPanelRows = 16;

enum class WeightFormat : uint8_t {
  k4Half,    // 4 bits, half d and m
  k4Single,  // 4 bits, float d and m
  k8Half,    // 8 bits, half d, no m
  k8Single,  // 8 bits, float d and m
};

WeightFormat WeightFormatOf(GgmlType type);
// True where the stored values do not survive exactly.
bool IsRequantised(GgmlType type);
// Bytes of one panel's block of 32 inputs.
int64_t PanelBlockBytes(WeightFormat format);

class PackedMatrix {
 public:
  PackedMatrix() = default;

  // Bytes that Pack needs for `tensor`, a multiple of 64.
  static int64_t BytesFor(const TensorInfo& tensor);
  // `memory` has BytesFor(tensor) bytes, aligned to 64, and outlives the result.
  static absl::StatusOr<PackedMatrix> Pack(const TensorInfo& tensor, uint8_t* memory);

  WeightFormat format() const { return format_; }
  int64_t rows() const { return rows_; }
  int64_t panels() const { return (rows_ + kPanelRows - 1) / kPanelRows; }
  int64_t blocks() const { return blocks_; }  // per panel
  const uint8_t* Panel(int64_t panel) const { return data_ + panel * blocks_ * block_bytes_; }
  int64_t panel_bytes() const { return blocks_ * block_bytes_; }

 private:
  const uint8_t* data_ = nullptr;
  int64_t rows_ = 0;
  int64_t blocks_ = 0;
  int64_t block_bytes_ = 0;
  WeightFormat format_ = WeightFormat::k4Half;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_PACKED_MATRIX_H_
