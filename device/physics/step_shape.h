// What a step costs depends on: sums over its sequences, kept up to date by whoever plans it.
//
// The sums move by deltas (Add, Remove), so a price never loops over sequences.
//
// Units: tokens and rows as counts. A "row" is one token's K and V of one layer. Ownership: plain
// values. Threading: none. Errors: negative counts or a step without a new token are CHECK failures
// where it is priced.
#ifndef SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_
#define SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_

#include <algorithm>
#include <cstdint>

namespace scoville::device {

// Whether a sequence's tokens of a step are its prompt (or are computed again) or continue it.
enum class StepRole : uint8_t { kPrefill = 0, kDecode = 1 };
inline constexpr int kStepRoles = 2;

// What the sums depend on besides the sequences.
struct ShapeRules {
  int64_t block_tokens = 16;  // KV moves in whole blocks
  int64_t query_tile = 128;   // query rows that share one pass over the KV cache
  int64_t window = 0;         // of the model's windowed layers; 0: it has none
};

// One sequence's part in a step.
struct SequenceWork {
  StepRole role = StepRole::kDecode;
  int64_t cached = 0;       // c: tokens whose KV is there before the step
  int64_t new_tokens = 0;   // q >= 1
  int64_t output_rows = 0;  // rows that sample (or want logits); 0 for a chunk amid a prompt
  // Of new_tokens, those that had been computed before a preemption: their energy is waste.
  int64_t recomputed = 0;

  // Query-key pairs in a layer that attends to everything: q (c + (q + 1) / 2), always whole.
  int64_t attention_pairs() const {
    return new_tokens * cached + new_tokens * (new_tokens + 1) / 2;
  }
  // In a layer with a window of w tokens: the sum of min(c + j, w) over j = 1 .. q.
  int64_t windowed_pairs(int64_t window) const {
    const int64_t growing = std::clamp<int64_t>(window - cached, 0, new_tokens);
    return growing * cached + growing * (growing + 1) / 2 + (new_tokens - growing) * window;
  }
  // KV rows read, once for every tile of queries: whole blocks.
  int64_t kv_rows_read(const ShapeRules& rules) const { return Rows(cached, rules); }
  int64_t windowed_rows_read(const ShapeRules& rules) const {
    return Rows(std::min(cached, rules.window), rules);
  }

 private:
  int64_t Rows(int64_t context, const ShapeRules& rules) const {
    const int64_t rows =
        (context + rules.block_tokens - 1) / rules.block_tokens * rules.block_tokens;
    return role == StepRole::kDecode
               ? rows
               : rows * ((new_tokens + rules.query_tile - 1) / rules.query_tile);
  }
};

struct StepShape {
  int64_t sequences[kStepRoles] = {0, 0};        // B, by StepRole
  int64_t tokens[kStepRoles] = {0, 0};           // n
  int64_t attention_pairs[kStepRoles] = {0, 0};  // sum of q (c + (q + 1) / 2)
  int64_t kv_rows_read[kStepRoles] = {0, 0};
  int64_t windowed_pairs[kStepRoles] = {0, 0};  // zero for models without a window
  int64_t windowed_rows_read[kStepRoles] = {0, 0};
  int64_t expanded_rows = 0;  // cached tokens below prefill chunks
  int64_t output_rows = 0;
  // Longest context among the decodes. Remove() leaves it, so it is a bound after removals.
  int64_t longest_decode = 0;

  int64_t total_sequences() const { return sequences[0] + sequences[1]; }
  int64_t total_tokens() const { return tokens[0] + tokens[1]; }

  void Add(const SequenceWork& work, const ShapeRules& rules) {
    Move(work, rules, 1);
    if (work.role == StepRole::kDecode) {
      longest_decode = std::max(longest_decode, work.cached);
    }
  }
  void Remove(const SequenceWork& work, const ShapeRules& rules) { Move(work, rules, -1); }

  friend bool operator==(const StepShape&, const StepShape&) = default;

 private:
  void Move(const SequenceWork& work, const ShapeRules& rules, int64_t sign) {
    const int role = static_cast<int>(work.role);
    sequences[role] += sign;
    tokens[role] += sign * work.new_tokens;
    attention_pairs[role] += sign * work.attention_pairs();
    kv_rows_read[role] += sign * work.kv_rows_read(rules);
    if (rules.window > 0) {
      windowed_pairs[role] += sign * work.windowed_pairs(rules.window);
      windowed_rows_read[role] += sign * work.windowed_rows_read(rules);
    }
    if (work.role == StepRole::kPrefill) {
      expanded_rows += sign * work.cached;
    }
    output_rows += sign * work.output_rows;
  }
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_
