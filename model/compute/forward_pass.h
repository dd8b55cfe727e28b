// One lane's walk through one forward pass.
//
// Stages between barriers: [normalise], q k v with rotation and KV store, attention, output
// projection, [normalise], gate and up, down. Every stage is split over the lanes by output columns
// or by (sequence, head) items, never along a sum.
//
// Ownership: borrows everything for the length of Run. Threading: one object per lane.
#ifndef SCOVILLE_MODEL_COMPUTE_FORWARD_PASS_H_
#define SCOVILLE_MODEL_COMPUTE_FORWARD_PASS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "base/compute_pool.h"
#include "model/compute/transformer.h"
#include "model/compute/weights.h"
#include "model/compute/workspace.h"

namespace scoville::model {

class ForwardPass {
 public:
  ForwardPass(const Weights& weights, absl::Span<const BatchSequence> batch,
              Transformer::Workspace& workspace, Team& team, int lane);

  void Run(Transformer::RowConsumer consumer);

 private:
  struct Range {
    int64_t begin;
    int64_t end;
  };
  // This lane's part of `count` equal items.
  Range Share(int64_t count) const;

  // Lane 0 checks the batch and lays out rows, outputs and attention items.
  void Plan();
  void PlanAttention();
  // The position's angles and the token's embedding.
  void BeginRow(int64_t row);

  // Normalised, quantised x; may meet the other lanes.
  const QuantizedRows& Normalise(const std::vector<float>& weight, Precision precision);
  void QueryKeyValue(int64_t layer, const QuantizedRows& in);
  void QueryPanel(int64_t panel, int64_t tile, const float* out, int rows);
  void KeyPanel(int64_t layer, int64_t panel, int64_t tile, const float* out, int rows);
  void ValuePanel(int64_t layer, int64_t panel, int64_t tile, const float* out, int rows);
  void Attention(int64_t layer);
  void AttendItem(int64_t layer, const Transformer::Workspace::AttentionItem& item);
  void QuantiseAttended();
  void AddProduct(const PackedMatrix& matrix, const QuantizedRows& in);
  void GateUp(const LayerWeights& layer, const QuantizedRows& in);
  void Head(Transformer::RowConsumer consumer);

  // Bytes from a page's start to the K (which = 0) or V (1) of a layer and KV head.
  int64_t PageOffset(int64_t layer, int64_t kv_head, int which, int64_t block_size) const;
  uint16_t* Page(int64_t row, int64_t layer, int64_t kv_head, int which) const;
  int64_t Tiles() const { return (ws_.row_count + kTileRows - 1) / kTileRows; }
  int RowsOfTile(int64_t tile) const;

  const Weights& weights_;
  const ModelConfig& config_;
  const absl::Span<const BatchSequence> batch_;
  Transformer::Workspace& ws_;
  Transformer::Workspace::Lane& mine_;
  Team& team_;
  const int lane_;
  const int lanes_;
  float query_scale_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_FORWARD_PASS_H_
