// Quantised activations times packed weights: the integer matrix product under everything.
//
// For each output, blocks of 32 inputs are taken in order; in a block the integer dot product is
// exact (of pairs: Fma(dot of highs, 254, dot of lows)), and
// acc = Fma(Fma(m, sum, dot * d), scale, acc). A result depends on the weight row and
// the activation row alone.
//
// Threading: pure; lanes share the inputs and write different panels.
#ifndef SCOVILLE_MODEL_COMPUTE_GEMM_H_
#define SCOVILLE_MODEL_COMPUTE_GEMM_H_

#include <cstdint>

#include "model/compute/packed_matrix.h"
#include "model/compute/quantized_rows.h"

namespace scoville::model {

// out[r * stride + i] for i < 16: outputs of `panel` for the first `rows` (1 to 8) rows of `tile`,
// which is of the given precision.
void MultiplyTile(const PackedMatrix& weights, int64_t panel, const ActivationBlock* tile,
                  Precision precision, int rows, float* out, int64_t stride);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_GEMM_H_
