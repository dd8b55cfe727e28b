// What time, energy and memory need to know about a model, whether or not its weights are at hand.
//
// A card covers more architectures than the transformer computes: dense, mixture of experts,
// sliding windows, latent attention. Cards are read from the ordinary fields of a Hugging Face
// `config.json` (model_card_reader.h) or made from a loaded model (CardOf).
//
// Units: counts of values unless a name says bytes. Ownership: a plain value, copied freely.
// Threading: immutable after it is made. Errors: Validate names the field that is missing or
// inconsistent.
#ifndef SCOVILLE_MODEL_CARD_MODEL_CARD_H_
#define SCOVILLE_MODEL_CARD_MODEL_CARD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/model_config.h"

namespace scoville::model {

// How numbers are stored. The four-bit formats share a scale: 8 bits over 32 values (MXFP4), 8 bits
// over 16 values (NVFP4), 16 bits over 32 values (INT4).
enum class Precision : uint8_t { kBf16 = 0, kFp8 = 1, kMxfp4 = 2, kNvfp4 = 3, kInt4 = 4 };

absl::string_view PrecisionName(Precision precision);  // bf16, fp8, mxfp4, nvfp4, int4
// Stored bytes of one value, scales included: 2, 1.03, 0.53, 0.5625, 0.5625.
double BytesPerValue(Precision precision);
// Stored bytes of one value of K or V: as BytesPerValue, but an 8-bit cache keeps one scale a
// tensor.
double KvBytesPerValue(Precision precision);
constexpr bool IsFourBit(Precision p) { return p >= Precision::kMxfp4; }

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): the cache holds one compressed row
// of kv_rank + rope_size values per token and layer.
struct LatentAttention {
  int64_t query_rank = 0;  // 0: queries are not compressed
  int64_t kv_rank = 0;     // d_c
  int64_t nope_size = 0;   // of a head, not rotated
  int64_t rope_size = 0;   // of a head, rotated; shared by all heads in the cache
  int64_t value_size = 0;
};

// Layers of one kind, wherever they stand in the model.
struct LayerGroup {
  int64_t count = 0;
  int64_t window = 0;     // tokens a layer attends to; 0: all
  int64_t ffn_width = 0;  // of the dense FFN, or of one expert
  int64_t experts = 0;    // 0: a dense FFN
  int64_t experts_per_token = 0;
  int64_t shared_width = 0;  // of all shared experts together
};

inline constexpr int kMaxLayerGroups = 4;

struct ModelCard {
  std::string name;
  int64_t width = 0;      // d
  int64_t heads = 0;      // H
  int64_t kv_heads = 0;   // H_kv; meaningless with latent attention
  int64_t head_size = 0;  // d_h; meaningless with latent attention
  std::optional<LatentAttention> latent;
  std::vector<LayerGroup> groups;  // 1 to kMaxLayerGroups; all windows that are not 0 are equal
  int64_t vocabulary = 0;
  int64_t context = 0;  // longest sequence
  bool tied_head = false;

  Precision weights = Precision::kBf16;         // attention, dense FFN, head
  Precision expert_weights = Precision::kBf16;  // routed experts
  Precision activations = Precision::kBf16;     // inputs of the matrix products
  Precision kv = Precision::kBf16;
  // Of a weight that is no expert's; 0: BytesPerValue(weights). A file's own average where known.
  double weight_bytes = 0;

  int64_t layers() const;
  int64_t window() const;                // of the windowed groups; 0 if there are none
  int64_t attention_parameters() const;  // of one layer
  int64_t ffn_parameters(const LayerGroup& group) const;     // that every token uses
  int64_t expert_parameters(const LayerGroup& group) const;  // of all routed experts
  int64_t layer_parameters() const;                          // all layers, all experts
  int64_t total_parameters() const;                          // the embedding table once if tied
  int64_t active_parameters() const;                         // a decoded token's, head included
  int64_t kv_values_per_layer() const;                       // of one token
  double stored_bytes() const;                               // of all weights
};

absl::Status Validate(const ModelCard& card);

// The card of a model whose weights are at hand. Stored widths follow the file: below 6 bits a
// weight counts as INT4 with 16-bit activations, up to 9 bits as FP8, else as BF16.
ModelCard CardOf(const ModelConfig& config);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_CARD_MODEL_CARD_H_
