// What a step costs depends on: sums over its sequences, kept up to date by whoever plans it.
//
// The sums move by deltas (Add, Remove), so a price never loops over sequences.
//
// Units: tokens and rows as counts. A "row" is one token's K and V of one layer. Ownership: plain
// values. Threading: none. Errors: negative counts or a step without a new token are CHECK failures
// where it is priced.
#ifndef SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_
#define SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_

#include <cstdint>

namespace scoville::device {

// Whether a sequence's tokens of a step are its prompt (or are computed again) or continue it.
enum class StepRole : uint8_t { kPrefill = 0, kDecode = 1 };
inline constexpr int kStepRoles = 2;

// One sequence's part in a step.
struct SequenceWork {
  StepRole role = StepRole::kDecode;
  int64_t cached = 0;       // c: tokens whose KV is there before the step
  int64_t new_tokens = 0;   // q >= 1
  int64_t output_rows = 0;  // rows that sample (or want logits); 0 for a chunk amid a prompt
  // Of new_tokens, those that had been computed before a preemption: their energy is waste.
  int64_t recomputed = 0;

  // Query-key pairs: q (c + (q + 1) / 2), always whole.
  int64_t attention_pairs() const {
    return new_tokens * cached + new_tokens * (new_tokens + 1) / 2;
  }
  // KV rows read: whole blocks, once for every tile of queries.
  int64_t kv_rows_read(int64_t block_tokens, int64_t query_tile) const {
    const int64_t rows = (cached + block_tokens - 1) / block_tokens * block_tokens;
    return role == StepRole::kDecode ? rows : rows * ((new_tokens + query_tile - 1) / query_tile);
  }
};

struct StepShape {
  int64_t sequences = 0;                         // B
  int64_t tokens[kStepRoles] = {0, 0};           // n, by StepRole
  int64_t attention_pairs[kStepRoles] = {0, 0};  // sum of q (c + (q + 1) / 2)
  int64_t kv_rows_read[kStepRoles] = {0, 0};
  int64_t output_rows = 0;

  int64_t total_tokens() const { return tokens[0] + tokens[1]; }

  void Add(const SequenceWork& work, int64_t block_tokens, int64_t query_tile) {
    Move(work, block_tokens, query_tile, 1);
  }
  void Remove(const SequenceWork& work, int64_t block_tokens, int64_t query_tile) {
    Move(work, block_tokens, query_tile, -1);
  }

  friend bool operator==(const StepShape&, const StepShape&) = default;

 private:
  void Move(const SequenceWork& work, int64_t block_tokens, int64_t query_tile, int64_t sign) {
    const int role = static_cast<int>(work.role);
    sequences += sign;
    tokens[role] += sign * work.new_tokens;
    attention_pairs[role] += sign * work.attention_pairs();
    kv_rows_read[role] += sign * work.kv_rows_read(block_tokens, query_tile);
    output_rows += sign * work.output_rows;
  }
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_
