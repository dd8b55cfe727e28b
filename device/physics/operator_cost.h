// What single operators cost on one chip: the shape efficiency of matrix products.
//
// A product runs in tiles of row_tile x column_tile results, compute_units of them at once; rows
// and columns are rounded up to tiles (executed FLOPs: time and energy), and tiles to whole waves
// (time alone: an idle unit waits).
//
// Units: FLOPs and seconds of one chip at the top clock. Ownership: plain values. Threading: pure.
// Errors: none; sizes are positive.
#ifndef SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_
#define SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_

#include "device/physics/profile.h"

namespace scoville::device {

struct GemmCost {
  double flops_executed = 0;
  double compute_seconds = 0;
};

// `copies` products y[rows, columns] = x[rows, inner] w[inner, columns] of one shape that run side
// by side (1, or one for each expert).
GemmCost PriceGemm(const Profile& profile, MathType math, double rows, double columns, double inner,
                   double copies);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_
