// Attention of a few query vectors over the pages of one sequence and one KV head.
//
// A page holds, per layer and KV head, the keys as [dimension][token] and the values as
// [token][dimension], all halves; so sixteen keys' scores are sixteen lanes and no load gathers.
// A query's result depends on its own vector and its own keys alone: scores sum over even and odd
// dimensions in order, the softmax takes the exact maximum and sums sixteen lanes by position, the
// values are added in the order of positions.
//
// Threading: pure, apart from the caller's scratch.
#ifndef SCOVILLE_MODEL_COMPUTE_ATTENTION_H_
#define SCOVILLE_MODEL_COMPUTE_ATTENTION_H_

#include <cstdint>

#include "model/compute/kv_storage.h"

namespace scoville::model {

// Blocks hold a multiple of this many tokens.
inline constexpr int kKeyGroup = 16;
inline constexpr int kMaxQueries = 12;

struct AttentionTask {
  const KvStorage* kv = nullptr;
  const uint32_t* blocks = nullptr;
  int64_t key_offset = 0;    // bytes from the page's start
  int64_t value_offset = 0;  // likewise
  int64_t head_size = 0;     // a multiple of 16
  int queries = 0;
  const float* query[kMaxQueries] = {};  // already scaled
  int64_t keys[kMaxQueries] = {};        // each sees positions 0 .. keys - 1; at least one
  float* out[kMaxQueries] = {};          // head_size floats
};

// Floats of scratch that a task with at most `keys` keys needs.
inline int64_t AttentionScratch(int64_t keys) {
  return kMaxQueries * ((keys + kKeyGroup - 1) / kKeyGroup * kKeyGroup);
}

void Attend(const AttentionTask& task, float* scratch);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_ATTENTION_H_
