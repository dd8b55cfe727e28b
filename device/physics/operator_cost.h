// What single operators cost on one chip: matrix products, attention, collectives.
//
// Two forms. The simple one (PriceGemm) rounds rows and columns up to tiles (executed FLOPs: time
// and energy) and tiles to whole waves (time alone: an idle unit waits); memory, overlap and
// latencies are the caller's. The operator form holds where the profile has a group of constants
// for the operator; time = latency + serial + Overlap(compute, memory, exponent), where compute is
// waves of work items over the chip's units:
//
//   product    the fastest of three tiles and of four splits of the inner dimension, or the tile
//              that the rows choose; conversion of the rows first where the kernel does it
//   decodes    (sequence, KV head) pairs over the units, a context split over units while there
//              are too few pairs; against the traffic of whole context tiles
//   prompts    tiles of query rows, each over the keys it sees; the heads of a group packed into
//              one tile or not
//   one launch prompts and decodes as items of one call: a decode then takes a whole query tile
//              for each head, and its context is not split
//   all-reduce every rank reads all, or reduce-scatter and all-gather, whichever is faster
//
// The forms and their constants were fitted to published tables of measured calls with heads of 128
// values and judged on the rows left out: tests/validation/README.md.
//
// Units: FLOPs, bytes and seconds of one chip; compute and serial at the top clock. Ownership:
// plain values. Threading: pure. Errors: none; sizes are positive, and a form that the profile has
// no constants for is not asked for.
#ifndef SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_
#define SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_

#include "device/physics/profile.h"

namespace scoville::device {

// (x^p + y^p)^(1/p) for p in {1, 2, 4, infinity}: two resources that overlap partly.
double Overlap(double x, double y, double p);

struct GemmCost {
  double flops_executed = 0;
  double compute_seconds = 0;
};

// The simple form. `copies` products y[rows, columns] = x[rows, inner] w[inner, columns] of one
// shape that run side by side (1, or one for each expert).
GemmCost PriceGemm(const Profile& profile, MathType math, double rows, double columns, double inner,
                   double copies);

// One call in the operator form.
struct OperatorTime {
  double compute_seconds = 0;  // follows the clock
  double memory_seconds = 0;
  double serial_seconds = 0;   // follows the clock, overlaps with nothing
  double latency_seconds = 0;  // launch, prologue, epilogue
  double overlap = 1;
  double flops_executed = 0;  // products only
  double bytes = 0;           // HBM

  double Seconds() const {
    return latency_seconds + serial_seconds + Overlap(compute_seconds, memory_seconds, overlap);
  }
};

struct GemmShape {
  double rows = 0;
  double columns = 0;
  double inner = 0;
  double copies = 1;
  double weight_bytes = 0;  // of a stored weight; 0: as wide as the product's type
};

// Needs profile.Gemm(math).
OperatorTime TimeGemm(const Profile& profile, MathType math, const GemmShape& shape);

// Attention of one layer on one chip.
struct AttentionShape {
  double heads = 0;
  double kv_heads = 0;
  double head_size = 0;
  double kv_bytes = 2;  // of one K or V value
};

// Rows of the KV cache are read in tiles of so many.
inline constexpr double kKvTile = 128.0;

// Sums over the sequences that decode, one new token each.
struct DecodeSums {
  double sequences = 0;
  double tiles = 0;          // of their contexts
  double longest_tiles = 0;  // of the longest context
};

// Needs the group `decode`.
OperatorTime TimeDecodes(const Profile& profile, const AttentionShape& shape,
                         const DecodeSums& decodes);

// Sums over prompts, or parts of them. An item is a tile of query rows of one KV head.
struct PrefillSums {
  double tokens = 0;
  double cached = 0;
  double tiles = 0;         // of the contexts that the tokens end
  double longest_rows = 0;  // the longest of these contexts, rounded up to tiles
  double items = 0;
  double item_rows = 0;  // keys that the items see
};

// One prompt's part of the sums: `tokens` after `cached`.
PrefillSums PrefillOf(const Profile& profile, const AttentionShape& shape, double tokens,
                      double cached);

// Needs the group `prefill`.
OperatorTime TimePrefill(const Profile& profile, const AttentionShape& shape,
                         const PrefillSums& prompts);

// One call for both, where the group says so; the sums of the two parts' compute and memory are the
// call's, its latency stands with the prompts.
struct LaunchTime {
  OperatorTime prompts;
  OperatorTime decodes;

  double Seconds() const {
    return prompts.latency_seconds + Overlap(prompts.compute_seconds + decodes.compute_seconds,
                                             prompts.memory_seconds + decodes.memory_seconds,
                                             prompts.overlap);
  }
};

LaunchTime TimeOneLaunch(const Profile& profile, const AttentionShape& shape,
                         const PrefillSums& prompts, const DecodeSums& decodes);

struct AllReduceTime {
  double latency_seconds = 0;
  double transfer_seconds = 0;
};

// `link`: B/s of one direction. Needs the group `all_reduce`.
AllReduceTime TimeAllReduce(const Profile& profile, double ranks, double bytes, double link);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_OPERATOR_COST_H_
