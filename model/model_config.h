// The shape of a served model: everything that time, energy, KV memory and the transformer need to
// know about it.
//
// Units: counts of values unless a name says bytes. Ownership: a plain value, copied freely.
// Threading: immutable after it is made. Errors: made by ModelConfigFromGguf (model/gguf/), which
// refuses what is inconsistent.
#ifndef SCOVILLE_MODEL_MODEL_CONFIG_H_
#define SCOVILLE_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <string>

namespace scoville::model {

struct ModelConfig {
  std::string name;          // `general.name` or the file's stem
  std::string architecture;  // `llama`

  int64_t layers = 0;
  int64_t width = 0;      // d, the embedding length
  int64_t ffn_width = 0;  // of one expert, or of the dense FFN
  int64_t heads = 0;      // H, query heads
  int64_t kv_heads = 0;   // H_kv; divides heads
  int64_t head_size = 0;  // d_h
  int64_t context = 0;    // longest sequence, prompt and output together
  int64_t vocabulary = 0;

  int64_t rope_dims = 0;  // leading dimensions of a head that are rotated
  float rope_base = 10'000.0f;
  float rms_epsilon = 1e-5f;
  bool tied_head = false;  // the output head is the embedding table

  int64_t parameters = 0;    // stored, the embedding table once
  int64_t weight_bytes = 0;  // as stored in the file

  // Values of K and V of one token over all layers.
  int64_t kv_values_per_token() const { return layers * 2 * kv_heads * head_size; }
  // Parameters that a decoded token multiplies with, the head apart: layers only.
  int64_t layer_parameters() const {
    return layers * (width * heads * head_size * 2 + width * kv_heads * head_size * 2 +
                     3 * width * ffn_width);
  }
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_MODEL_CONFIG_H_
