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
  // Of prefill attention's work items: query rows of one, query heads that share a KV head, and up
  // to how many new tokens these heads share an item.
  int64_t item_queries = 128;
  int64_t group_heads = 1;
  int64_t packed_tokens = 0;
};

// The KV cache is read in tiles of so many rows by attention kernels (operator_cost.h).
inline constexpr int64_t kTileRows = 128;

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
  // Tiles of the context that ends with the last new token.
  int64_t kv_tiles() const { return (cached + new_tokens + kTileRows - 1) / kTileRows; }
  int64_t windowed_tiles(int64_t window) const {
    return (std::min(cached, window) + new_tokens + kTileRows - 1) / kTileRows;
  }
  // Work items of a prompt for each KV head.
  int64_t items(const ShapeRules& rules) const {
    const int64_t group = rules.group_heads;
    return new_tokens <= rules.packed_tokens ? Ceil(new_tokens * group, rules.item_queries)
                                             : group * Ceil(new_tokens, rules.item_queries);
  }
  // Keys that an item sees, mean of the first and the last one, times 2 x group_heads.
  int64_t item_rows(const ShapeRules& rules) const {
    const int64_t group = rules.group_heads;
    const int64_t context = kv_tiles() * kTileRows;
    const int64_t span =
        new_tokens <= rules.packed_tokens ? rules.item_queries : group * rules.item_queries;
    return group * (cached + context) + std::min(group * (context - cached), span);
  }
  // The same in a layer with a window: no item sees more than it and the item's own tokens.
  int64_t windowed_item_rows(const ShapeRules& rules) const {
    return std::min(item_rows(rules), 2 * rules.group_heads * (rules.window + rules.item_queries));
  }

 private:
  static int64_t Ceil(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }
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
  int64_t kv_tiles[kStepRoles] = {0, 0};
  int64_t windowed_tiles[kStepRoles] = {0, 0};
  int64_t items = 0;      // of prompts
  int64_t item_rows = 0;  // sum of items x their keys x 2 x group_heads
  int64_t windowed_item_rows = 0;
  int64_t output_rows = 0;
  // Longest cached context among the decodes, and longest context that a prompt's part ends.
  // Remove() leaves them, so they are bounds after removals.
  int64_t longest_decode = 0;
  int64_t longest_prompt = 0;

  int64_t total_sequences() const { return sequences[0] + sequences[1]; }
  int64_t total_tokens() const { return tokens[0] + tokens[1]; }

  void Add(const SequenceWork& work, const ShapeRules& rules) {
    Move(work, rules, 1);
    if (work.role == StepRole::kDecode) {
      longest_decode = std::max(longest_decode, work.cached);
    } else {
      longest_prompt = std::max(longest_prompt, work.cached + work.new_tokens);
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
    kv_tiles[role] += sign * work.kv_tiles();
    if (rules.window > 0) {
      windowed_pairs[role] += sign * work.windowed_pairs(rules.window);
      windowed_rows_read[role] += sign * work.windowed_rows_read(rules);
      windowed_tiles[role] += sign * work.windowed_tiles(rules.window);
    }
    if (work.role == StepRole::kPrefill) {
      const int64_t count = work.items(rules);
      expanded_rows += sign * work.cached;
      items += sign * count;
      item_rows += sign * count * work.item_rows(rules);
      if (rules.window > 0) {
        windowed_item_rows += sign * count * work.windowed_item_rows(rules);
      }
    }
    output_rows += sign * work.output_rows;
  }
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_STEP_SHAPE_H_
