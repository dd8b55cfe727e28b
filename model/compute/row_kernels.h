// Arithmetic on rows of floats: normalisation, quantisation, rotation, activation, and what the
// sampler needs of a row of logits.
//
// All give the same bits on every instruction set. Threading: pure functions.
#ifndef SCOVILLE_MODEL_COMPUTE_ROW_KERNELS_H_
#define SCOVILLE_MODEL_COMPUTE_ROW_KERNELS_H_

#include <cstdint>

#include "model/compute/quantized_rows.h"

namespace scoville::model {

// Quantises `values` floats (a multiple of 32) into row `row_in_tile` of blocks[0 ..].
void QuantizeRow(const float* x, int64_t values, ActivationBlock* blocks, int row_in_tile);

// x / rms(x) * weight, quantised to the given precision.
void NormQuantizeRow(const float* x, const float* weight, int64_t values, float epsilon,
                     Precision precision, ActivationBlock* blocks, int row_in_tile);

// silu(gate) * up of 32 columns, quantised into one block; gate and up are [rows][32].
void SiluQuantize(const float* gate, const float* up, int rows, ActivationBlock* block);

// x[r * stride + i] += panel[r * 16 + i].
void AddPanel(const float* panel, int rows, float* x, int64_t stride);

// Rotates each pair (2i, 2i + 1) of panel [rows][16] and multiplies by `scale`. cosine and sine
// hold one value per dimension, rows `stride` apart, the sine of even dimensions negated.
void RotatePanel(const float* panel, int rows, const float* cosine, const float* sine,
                 int64_t stride, float scale, float* out, int64_t out_stride);

// Sixteen floats to halves.
void StoreHalves(const float* x, uint16_t* out);

// Index of the largest value, the lowest on ties; -1 if a value is NaN or there are none.
int64_t ArgMax(const float* x, int64_t count);
// Largest value. count > 0, no NaN.
float MaxValue(const float* x, int64_t count);
// Sum of exp((x - offset) * scale).
float SumExp(const float* x, int64_t count, float offset, float scale);
// out = exp((x - offset) * scale), in place allowed; returns the sum.
float ExpRow(const float* x, int64_t count, float offset, float scale, float* out);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_ROW_KERNELS_H_
