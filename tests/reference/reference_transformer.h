// The yardstick: a Llama-architecture forward pass in plain 32-bit loops over dequantised weights.
//
// Written to be read and compared with the model's definition, not to be fast; no quantised
// activations, no pages, no vectors, no threads. Nothing of model/compute is used.
//
// Ownership: owns its weights. Threading: one thread. Errors: a missing tensor is an error that
// names it.
#ifndef SCOVILLE_TESTS_REFERENCE_REFERENCE_TRANSFORMER_H_
#define SCOVILLE_TESTS_REFERENCE_REFERENCE_TRANSFORMER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/gguf/gguf_file.h"
#include "model/model_config.h"

namespace scoville::tests {

// A weight matrix, one output after the other.
struct ReferenceMatrix {
  int64_t inputs = 0;
  int64_t outputs = 0;
  std::vector<float> values;
};

struct ReferenceLayer {
  std::vector<float> attention_norm, ffn_norm;
  ReferenceMatrix q, k, v, attention_output, gate, up, down;
};

class ReferenceTransformer {
 public:
  static absl::StatusOr<std::unique_ptr<ReferenceTransformer>> Load(const model::GgufFile& file);

  const model::ModelConfig& config() const { return config_; }

  // Logits of every position of one sequence: [position][vocabulary].
  std::vector<std::vector<float>> Run(absl::Span<const int32_t> tokens) const;

 private:
  using Rows = std::vector<std::vector<float>>;  // one vector per position

  Rows Normalise(const Rows& x, const std::vector<float>& weight) const;
  void Rotate(Rows& x, int64_t heads) const;
  Rows Attend(const Rows& q, const Rows& k, const Rows& v) const;

  model::ModelConfig config_;
  ReferenceMatrix embedding_, head_;
  std::vector<ReferenceLayer> layers_;
  std::vector<float> output_norm_;
};

// log(softmax(logits)), in double precision.
std::vector<double> LogSoftmax(absl::Span<const float> logits);

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_REFERENCE_REFERENCE_TRANSFORMER_H_
