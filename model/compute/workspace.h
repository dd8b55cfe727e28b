// Scratch memory of one forward pass, and the pass's plan.
//
// Everything is allocated when it is made, for `max_rows` tokens; a pass allocates nothing.
// Ownership: the caller of Forward owns it; one batch at a time. Threading: lanes write disjoint
// parts, between barriers.
#ifndef SCOVILLE_MODEL_COMPUTE_WORKSPACE_H_
#define SCOVILLE_MODEL_COMPUTE_WORKSPACE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "model/compute/quantized_rows.h"
#include "model/compute/transformer.h"
#include "model/model_config.h"

namespace scoville::model {

class Transformer::Workspace {
 public:
  Workspace(const ModelConfig& config, int64_t max_rows, int lanes);

  int64_t max_rows() const { return max_rows_; }
  int lanes() const { return static_cast<int>(lane.size()); }

  struct Row {
    int sequence;
    int64_t position;
  };
  // Rows of one sequence times some query heads of one KV head: what one lane attends to at once.
  struct AttentionItem {
    int sequence;
    int64_t row;  // of the batch
    int rows;
    int64_t head;  // first query head
    int heads;
  };
  struct Output {
    int sequence;
    int64_t row;        // within the sequence
    int64_t batch_row;  // within the batch
  };
  // Head rows computed at once, so that the logits of a long prompt need no memory of its length.
  static constexpr int64_t kOutputRows = 64;

  // Written by lane 0 at the start of a pass.
  int64_t row_count = 0;
  std::vector<Row> rows;
  std::vector<AttentionItem> items;
  std::vector<size_t> first_item;  // per lane, and the end
  std::vector<Output> outputs;

  // Shared activations.
  std::vector<float> x;             // [row][width], the residual stream
  std::vector<float> q;             // [row][heads * head_size]
  std::vector<float> attended;      // likewise
  std::vector<float> cosine, sine;  // [row][head_size]
  QuantizedRows normed, normed_pairs, attended_quantized, ffn_quantized, output_pairs;
  int64_t logits_stride;
  std::vector<float> logits;  // [kOutputRows][logits_stride]

  struct Lane {
    Lane(const ModelConfig& config, int64_t redundant_rows);
    QuantizedRows normed, normed_pairs;  // this lane's own copies when the batch is small
    std::vector<float> tile, second_tile;
    // Scores of one attention task; grows no further than the context.
    std::unique_ptr<float[]> scores;
  };
  std::vector<Lane> lane;
  // Up to so many rows each lane normalises all rows for itself, which is cheaper than to meet.
  static constexpr int64_t kRedundantRows = 4;

 private:
  const int64_t max_rows_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_WORKSPACE_H_
