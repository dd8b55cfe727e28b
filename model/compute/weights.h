// The weights of a Llama-architecture model, packed for the kernels.
//
// Ownership: owns one memory range that all matrices lie in, layer after layer in the order of
// use. Threading: immutable after Load. Errors: a tensor that is missing, of another shape than the
// configuration says, or not served is named.
#ifndef SCOVILLE_MODEL_COMPUTE_WEIGHTS_H_
#define SCOVILLE_MODEL_COMPUTE_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/compute/packed_matrix.h"
#include "model/gguf/gguf_file.h"
#include "model/model_config.h"

namespace scoville::model {

struct LayerWeights {
  std::vector<float> attention_norm, ffn_norm;
  PackedMatrix q, k, v, attention_output;
  PackedMatrix gate, up, down;
};

class Weights {
 public:
  static absl::StatusOr<std::unique_ptr<Weights>> Load(const GgufFile& file);
  ~Weights();
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  const ModelConfig& config() const { return config_; }
  const LayerWeights& layer(int64_t i) const { return layers_[static_cast<size_t>(i)]; }
  const PackedMatrix& head() const { return head_; }
  const std::vector<float>& output_norm() const { return output_norm_; }
  // Radians per position of each rotated pair.
  const std::vector<double>& rope_frequencies() const { return rope_frequencies_; }
  const std::string& format() const { return format_; }

  // Writes width() floats, the token's embedding exactly as the file has it.
  void Embed(int32_t token, float* out) const;

 private:
  Weights() = default;
  absl::Status LoadVectors(const GgufFile& file);
  absl::Status LoadMatrices(const GgufFile& file);
  absl::Status LoadRope(const GgufFile& file);
  absl::Status LoadEmbedding(const GgufFile& file);

  ModelConfig config_;
  std::vector<LayerWeights> layers_;
  PackedMatrix head_;
  std::vector<float> output_norm_;
  std::vector<double> rope_frequencies_;
  std::string format_;
  GgmlType embedding_type_ = GgmlType::kF32;
  std::vector<uint8_t> embedding_;
  uint8_t* memory_ = nullptr;
  size_t memory_bytes_ = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_COMPUTE_WEIGHTS_H_
