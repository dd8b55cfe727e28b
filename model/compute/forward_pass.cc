#include "model/compute/forward_pass.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "model/compute/attention.h"
#include "model/compute/gemm.h"
#include "model/compute/row_kernels.h"

namespace scoville::model {

namespace {

// Panels multiplied with one tile of rows before the next tile: few enough that their weights stay
// in the second-level cache.
constexpr int64_t kPanelGroup = 8;

}  // namespace

ForwardPass::ForwardPass(const Weights& weights, absl::Span<const BatchSequence> batch,
                         Transformer::Workspace& workspace, Team& team, int lane)
    : weights_(weights),
      config_(weights.config()),
      batch_(batch),
      ws_(workspace),
      mine_(workspace.lane[static_cast<size_t>(lane)]),
      team_(team),
      lane_(lane),
      lanes_(team.lanes()),
      query_scale_(1.0f / std::sqrt(static_cast<float>(config_.head_size))) {}

ForwardPass::Range ForwardPass::Share(int64_t count) const {
  return {count * lane_ / lanes_, count * (lane_ + 1) / lanes_};
}

int ForwardPass::RowsOfTile(int64_t tile) const {
  return static_cast<int>(std::min<int64_t>(kTileRows, ws_.row_count - tile * kTileRows));
}

void ForwardPass::Run(Transformer::RowConsumer consumer) {
  if (lane_ == 0) Plan();
  team_.Barrier();
  const Range mine = Share(ws_.row_count);
  for (int64_t r = mine.begin; r < mine.end; ++r) BeginRow(r);
  team_.Barrier();
  for (int64_t i = 0; i < config_.layers; ++i) {
    const LayerWeights& layer = weights_.layer(i);
    QueryKeyValue(i, Normalise(layer.attention_norm, Precision::kPair));
    team_.Barrier();
    Attention(i);
    team_.Barrier();
    AddProduct(layer.attention_output, ws_.attended_quantized);
    team_.Barrier();
    GateUp(layer, Normalise(layer.ffn_norm, Precision::kByte));
    team_.Barrier();
    AddProduct(layer.down, ws_.ffn_quantized);
    team_.Barrier();
  }
  Head(consumer);
}

void ForwardPass::Plan() {
  CHECK_LE(lanes_, ws_.lanes());
  ws_.row_count = 0;
  ws_.outputs.clear();
  for (size_t s = 0; s < batch_.size(); ++s) {
    const BatchSequence& seq = batch_[s];
    const auto count = static_cast<int64_t>(seq.tokens.size());
    CHECK_GT(count, 0);
    CHECK_LE(ws_.row_count + count, ws_.max_rows());
    CHECK_LE(seq.position + count, config_.context);
    CHECK_LE(seq.position + count, static_cast<int64_t>(seq.blocks.size()) * seq.kv->block_size());
    for (const uint32_t block : seq.blocks) {
      CHECK_LT(static_cast<int64_t>(block), seq.kv->num_blocks());
    }
    for (int64_t i = 0; i < count; ++i) {
      const int32_t token = seq.tokens[static_cast<size_t>(i)];
      CHECK_GE(token, 0);
      CHECK_LT(static_cast<int64_t>(token), config_.vocabulary);
      if (i >= seq.first_output_row) {
        ws_.outputs.push_back({static_cast<int>(s), i, ws_.row_count});
      }
      ws_.rows[static_cast<size_t>(ws_.row_count++)] = {static_cast<int>(s), seq.position + i};
    }
  }
  PlanAttention();
}

void ForwardPass::PlanAttention() {
  const int64_t group = config_.heads / config_.kv_heads;
  const int64_t heads = std::min<int64_t>(group, kMaxQueries);
  const int64_t rows_at_once = std::max<int64_t>(1, kMaxQueries / heads);
  ws_.items.clear();
  double total = 0;
  const auto cost = [](int64_t keys, int rows) { return static_cast<double>((keys + 64) * rows); };
  int64_t row = 0;
  for (size_t s = 0; s < batch_.size(); ++s) {
    const auto count = static_cast<int64_t>(batch_[s].tokens.size());
    for (int64_t first = 0; first < count; first += rows_at_once) {
      const int rows = static_cast<int>(std::min(rows_at_once, count - first));
      for (int64_t h = 0; h < config_.heads; h += group) {
        for (int64_t part = 0; part < group; part += heads) {
          const int some = static_cast<int>(std::min(heads, group - part));
          ws_.items.push_back({static_cast<int>(s), row + first, rows, h + part, some});
          total += cost(batch_[s].position + first + rows, rows * some);
        }
      }
    }
    row += count;
  }
  // Each lane gets a run of items of about the same cost.
  size_t next = 0;
  double sum = 0;
  for (int i = 0; i < lanes_; ++i) {
    ws_.first_item[static_cast<size_t>(i)] = next;
    const double limit = total * (i + 1) / lanes_;
    for (; next < ws_.items.size(); ++next) {
      const auto& item = ws_.items[next];
      const int64_t keys = ws_.rows[static_cast<size_t>(item.row)].position + item.rows;
      const double c = cost(keys, item.rows * item.heads);
      if (i + 1 < lanes_ && sum + c / 2 > limit) break;
      sum += c;
    }
  }
  ws_.first_item[static_cast<size_t>(lanes_)] = ws_.items.size();
}

void ForwardPass::BeginRow(int64_t row) {
  const auto& info = ws_.rows[static_cast<size_t>(row)];
  const BatchSequence& seq = batch_[static_cast<size_t>(info.sequence)];
  weights_.Embed(seq.tokens[static_cast<size_t>(info.position - seq.position)],
                 ws_.x.data() + row * config_.width);
  float* cosine = ws_.cosine.data() + row * config_.head_size;
  float* sine = ws_.sine.data() + row * config_.head_size;
  for (int64_t d = 0; d < config_.head_size; d += 2) {
    if (d < config_.rope_dims) {
      const double angle = static_cast<double>(info.position) *
                           weights_.rope_frequencies()[static_cast<size_t>(d / 2)];
      cosine[d] = cosine[d + 1] = static_cast<float>(std::cos(angle));
      sine[d + 1] = static_cast<float>(std::sin(angle));
      sine[d] = -sine[d + 1];
    } else {
      cosine[d] = cosine[d + 1] = 1.0f;
      sine[d] = sine[d + 1] = 0.0f;
    }
  }
}

const QuantizedRows& ForwardPass::Normalise(const std::vector<float>& weight, Precision precision) {
  const bool redundant = ws_.row_count <= Transformer::Workspace::kRedundantRows;
  const bool pairs = precision == Precision::kPair;
  QuantizedRows& out = redundant ? (pairs ? mine_.normed_pairs : mine_.normed)
                                 : (pairs ? ws_.normed_pairs : ws_.normed);
  const Range range = redundant ? Range{0, ws_.row_count} : Share(ws_.row_count);
  for (int64_t r = range.begin; r < range.end; ++r) {
    NormQuantizeRow(ws_.x.data() + r * config_.width, weight.data(), config_.width,
                    config_.rms_epsilon, precision, out.TileOfRow(r),
                    static_cast<int>(r % kTileRows));
  }
  if (!redundant) team_.Barrier();
  return out;
}

void ForwardPass::QueryKeyValue(int64_t layer, const QuantizedRows& in) {
  const LayerWeights& w = weights_.layer(layer);
  const int64_t first_k = w.q.panels();
  const int64_t first_v = first_k + w.k.panels();
  const Range range = Share(first_v + w.v.panels());
  float* out = mine_.tile.data();
  for (int64_t group = range.begin; group < range.end; group += kPanelGroup) {
    const int64_t end = std::min(range.end, group + kPanelGroup);
    for (int64_t tile = 0; tile < Tiles(); ++tile) {
      const int rows = RowsOfTile(tile);
      for (int64_t p = group; p < end; ++p) {
        if (p < first_k) {
          MultiplyTile(w.q, p, in.Tile(tile), in.precision(), rows, out, kPanelRows);
          QueryPanel(p, tile, out, rows);
        } else if (p < first_v) {
          MultiplyTile(w.k, p - first_k, in.Tile(tile), in.precision(), rows, out, kPanelRows);
          KeyPanel(layer, p - first_k, tile, out, rows);
        } else {
          MultiplyTile(w.v, p - first_v, in.Tile(tile), in.precision(), rows, out, kPanelRows);
          ValuePanel(layer, p - first_v, tile, out, rows);
        }
      }
    }
  }
}

void ForwardPass::QueryPanel(int64_t panel, int64_t tile, const float* out, int rows) {
  const int64_t column = panel * kPanelRows;
  const int64_t row = tile * kTileRows;
  const int64_t angle = row * config_.head_size + column % config_.head_size;
  const int64_t stride = config_.heads * config_.head_size;
  RotatePanel(out, rows, ws_.cosine.data() + angle, ws_.sine.data() + angle, config_.head_size,
              query_scale_, ws_.q.data() + row * stride + column, stride);
}

int64_t ForwardPass::PageOffset(int64_t layer, int64_t kv_head, int which,
                                int64_t block_size) const {
  return ((layer * config_.kv_heads + kv_head) * 2 + which) * config_.head_size * block_size *
         static_cast<int64_t>(sizeof(uint16_t));
}

uint16_t* ForwardPass::Page(int64_t row, int64_t layer, int64_t kv_head, int which) const {
  const auto& info = ws_.rows[static_cast<size_t>(row)];
  const BatchSequence& seq = batch_[static_cast<size_t>(info.sequence)];
  const int64_t block_size = seq.kv->block_size();
  uint8_t* page = seq.kv->Page(seq.blocks[static_cast<size_t>(info.position / block_size)]);
  return reinterpret_cast<uint16_t*>(page + PageOffset(layer, kv_head, which, block_size));
}

void ForwardPass::KeyPanel(int64_t layer, int64_t panel, int64_t tile, const float* out, int rows) {
  const int64_t column = panel * kPanelRows;
  const int64_t first = column % config_.head_size;
  const int64_t angle = tile * kTileRows * config_.head_size + first;
  float* rotated = mine_.second_tile.data();
  RotatePanel(out, rows, ws_.cosine.data() + angle, ws_.sine.data() + angle, config_.head_size,
              1.0f, rotated, kPanelRows);
  for (int r = 0; r < rows; ++r) {
    const int64_t row = tile * kTileRows + r;
    const auto& info = ws_.rows[static_cast<size_t>(row)];
    const int64_t block_size = batch_[static_cast<size_t>(info.sequence)].kv->block_size();
    uint16_t* keys = Page(row, layer, column / config_.head_size, 0) + first * block_size +
                     info.position % block_size;
    uint16_t halves[kPanelRows];
    StoreHalves(rotated + r * kPanelRows, halves);
    for (int i = 0; i < kPanelRows; ++i) keys[i * block_size] = halves[i];
  }
}

void ForwardPass::ValuePanel(int64_t layer, int64_t panel, int64_t tile, const float* out,
                             int rows) {
  const int64_t column = panel * kPanelRows;
  for (int r = 0; r < rows; ++r) {
    const int64_t row = tile * kTileRows + r;
    const auto& info = ws_.rows[static_cast<size_t>(row)];
    const int64_t block_size = batch_[static_cast<size_t>(info.sequence)].kv->block_size();
    StoreHalves(out + r * kPanelRows, Page(row, layer, column / config_.head_size, 1) +
                                          info.position % block_size * config_.head_size +
                                          column % config_.head_size);
  }
}

void ForwardPass::Attention(int64_t layer) {
  const size_t end = ws_.first_item[static_cast<size_t>(lane_) + 1];
  for (size_t i = ws_.first_item[static_cast<size_t>(lane_)]; i < end; ++i) {
    AttendItem(layer, ws_.items[i]);
  }
  if (config_.head_size % kBlockValues != 0) {
    // A block of 32 spans heads, which may be another lane's.
    team_.Barrier();
    QuantiseAttended();
  }
}

void ForwardPass::AttendItem(int64_t layer, const Transformer::Workspace::AttentionItem& item) {
  const BatchSequence& seq = batch_[static_cast<size_t>(item.sequence)];
  const int64_t kv_head = item.head / (config_.heads / config_.kv_heads);
  const int64_t stride = config_.heads * config_.head_size;
  AttentionTask task;
  task.kv = seq.kv;
  task.blocks = seq.blocks.data();
  task.key_offset = PageOffset(layer, kv_head, 0, seq.kv->block_size());
  task.value_offset = PageOffset(layer, kv_head, 1, seq.kv->block_size());
  task.head_size = config_.head_size;
  for (int r = 0; r < item.rows; ++r) {
    for (int h = 0; h < item.heads; ++h) {
      const int64_t at = (item.row + r) * stride + (item.head + h) * config_.head_size;
      task.query[task.queries] = ws_.q.data() + at;
      task.out[task.queries] = ws_.attended.data() + at;
      task.keys[task.queries++] = ws_.rows[static_cast<size_t>(item.row + r)].position + 1;
    }
  }
  Attend(task, mine_.scores.get());
  if (config_.head_size % kBlockValues != 0) return;
  const int64_t first = item.head * config_.head_size;
  for (int64_t r = item.row; r < item.row + item.rows; ++r) {
    QuantizeRow(ws_.attended.data() + r * stride + first, item.heads * config_.head_size,
                ws_.attended_quantized.TileOfRow(r) + first / kBlockValues,
                static_cast<int>(r % kTileRows));
  }
}

void ForwardPass::QuantiseAttended() {
  const int64_t values = config_.heads * config_.head_size;
  const Range mine = Share(ws_.row_count);
  for (int64_t r = mine.begin; r < mine.end; ++r) {
    QuantizeRow(ws_.attended.data() + r * values, values, ws_.attended_quantized.TileOfRow(r),
                static_cast<int>(r % kTileRows));
  }
}

void ForwardPass::AddProduct(const PackedMatrix& matrix, const QuantizedRows& in) {
  const Range range = Share(matrix.panels());
  float* out = mine_.tile.data();
  for (int64_t group = range.begin; group < range.end; group += kPanelGroup) {
    const int64_t end = std::min(range.end, group + kPanelGroup);
    for (int64_t tile = 0; tile < Tiles(); ++tile) {
      const int rows = RowsOfTile(tile);
      for (int64_t p = group; p < end; ++p) {
        MultiplyTile(matrix, p, in.Tile(tile), in.precision(), rows, out, kPanelRows);
        AddPanel(out, rows, ws_.x.data() + tile * kTileRows * config_.width + p * kPanelRows,
                 config_.width);
      }
    }
  }
}

void ForwardPass::GateUp(const LayerWeights& layer, const QuantizedRows& in) {
  // Two panels of each make one block of 32 inputs of the next product.
  const Range range = Share(layer.gate.panels() / 2);
  float* gate = mine_.tile.data();
  float* up = mine_.second_tile.data();
  constexpr int64_t kPairGroup = kPanelGroup / 4;
  for (int64_t group = range.begin; group < range.end; group += kPairGroup) {
    const int64_t end = std::min(range.end, group + kPairGroup);
    for (int64_t tile = 0; tile < Tiles(); ++tile) {
      const int rows = RowsOfTile(tile);
      for (int64_t p = group; p < end; ++p) {
        for (int half = 0; half < 2; ++half) {
          const int at = half * kPanelRows;
          MultiplyTile(layer.gate, 2 * p + half, in.Tile(tile), in.precision(), rows, gate + at,
                       kBlockValues);
          MultiplyTile(layer.up, 2 * p + half, in.Tile(tile), in.precision(), rows, up + at,
                       kBlockValues);
        }
        SiluQuantize(gate, up, rows, ws_.ffn_quantized.TileOfRow(tile * kTileRows) + p);
      }
    }
  }
}

void ForwardPass::Head(Transformer::RowConsumer consumer) {
  const auto count = static_cast<int64_t>(ws_.outputs.size());
  const int64_t chunk = std::min(ws_.max_rows(), Transformer::Workspace::kOutputRows);
  const PackedMatrix& head = weights_.head();
  const Range panels = Share(head.panels());
  for (int64_t first = 0; first < count; first += chunk) {
    const int64_t rows = std::min(chunk, count - first);
    const Range mine = Share(rows);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      const auto& output = ws_.outputs[static_cast<size_t>(first + r)];
      NormQuantizeRow(ws_.x.data() + output.batch_row * config_.width,
                      weights_.output_norm().data(), config_.width, config_.rms_epsilon,
                      Precision::kPair, ws_.output_pairs.TileOfRow(r),
                      static_cast<int>(r % kTileRows));
    }
    team_.Barrier();
    for (int64_t group = panels.begin; group < panels.end; group += kPanelGroup) {
      const int64_t end = std::min(panels.end, group + kPanelGroup);
      for (int64_t row = 0; row < rows; row += kTileRows) {
        for (int64_t p = group; p < end; ++p) {
          MultiplyTile(head, p, ws_.output_pairs.Tile(row / kTileRows), Precision::kPair,
                       static_cast<int>(std::min<int64_t>(kTileRows, rows - row)),
                       ws_.logits.data() + row * ws_.logits_stride + p * kPanelRows,
                       ws_.logits_stride);
        }
      }
    }
    team_.Barrier();
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      const auto& output = ws_.outputs[static_cast<size_t>(first + r)];
      consumer(output.sequence, output.row,
               absl::MakeSpan(ws_.logits.data() + r * ws_.logits_stride,
                              static_cast<size_t>(config_.vocabulary)));
    }
  }
  // A lane that starts the next pass must not write what another still reads.
  team_.Barrier();
}

}  // namespace scoville::model
