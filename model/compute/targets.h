// Which instruction sets the kernels are compiled for; include it first in every file with kernels.
//
// AVX3_DL (AVX-512 with VNNI) and AVX2 are written for speed, the baseline (SCALAR with
// GCC, EMU128 with clang) is the portable fallback. All give the same bits: see vec16-inl.h. SSE
// without FMA has no fused multiply-add and AVX-512 without VNNI would be a third copy of the AVX2
// code, so both run on what is below them.
#ifndef SCOVILLE_MODEL_COMPUTE_TARGETS_H_
#define SCOVILLE_MODEL_COMPUTE_TARGETS_H_

#define HWY_WANT_AVX3_DL 1
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3)

#endif  // SCOVILLE_MODEL_COMPUTE_TARGETS_H_
