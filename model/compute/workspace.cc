#include "model/compute/workspace.h"

#include <algorithm>

#include "base/status_macros.h"
#include "model/compute/attention.h"
#include "model/compute/packed_matrix.h"

namespace scoville::model {

Transformer::Workspace::Lane::Lane(const ModelConfig& config, int64_t redundant_rows)
    : normed(redundant_rows, config.width, Precision::kByte),
      normed_pairs(redundant_rows, config.width, Precision::kPair),
      tile(kTileRows * kBlockValues),
      second_tile(kTileRows * kBlockValues),
      // Not initialised: memory that no context reaches is never touched.
      scores(new float[static_cast<size_t>(AttentionScratch(config.context))]) {}

Transformer::Workspace::Workspace(const ModelConfig& config, int64_t max_rows, int lanes)
    : normed(max_rows, config.width, Precision::kByte),
      normed_pairs(max_rows, config.width, Precision::kPair),
      attended_quantized(max_rows, config.heads * config.head_size, Precision::kByte),
      ffn_quantized(max_rows, config.ffn_width, Precision::kByte),
      output_pairs(std::min(max_rows, kOutputRows), config.width, Precision::kPair),
      logits_stride((config.vocabulary + kPanelRows - 1) / kPanelRows * kPanelRows),
      max_rows_(max_rows) {
  CHECK_GT(max_rows, 0);
  CHECK_GT(lanes, 0);
  const auto n = static_cast<size_t>(max_rows);
  const auto q_values = n * static_cast<size_t>(config.heads * config.head_size);
  rows.resize(n);
  items.reserve(n * static_cast<size_t>(config.heads));
  first_item.resize(static_cast<size_t>(lanes) + 1);
  outputs.reserve(n);
  x.resize(n * static_cast<size_t>(config.width));
  q.resize(q_values);
  attended.resize(q_values);
  cosine.resize(n * static_cast<size_t>(config.head_size));
  sine.resize(n * static_cast<size_t>(config.head_size));
  logits.resize(static_cast<size_t>(std::min(max_rows, kOutputRows) * logits_stride));
  for (int i = 0; i < lanes; ++i) lane.emplace_back(config, kRedundantRows);
}

}  // namespace scoville::model
