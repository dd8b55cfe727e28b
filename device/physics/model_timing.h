// What the price of a step needs to know about a model on a device: its counts, the widths its
// numbers are stored in, and the rates its products run at.
//
// Dense Llama-like models only. Units: counts, bytes; per chip where named so.
// Ownership: a plain value, made once per deployment, immutable. Threading: none.
// Errors: InvalidArgument for a shape without layers, widths out of range, or a group of chips
// larger than the profile's fabric.
#ifndef SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_
#define SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "device/physics/profile.h"
#include "model/model_config.h"

namespace scoville::device {

// How weights are stored and what they are multiplied with.
enum class WeightFormat : uint8_t {
  kBf16 = 0,
  kFp8 = 1,    // 8-bit weights and activations
  kW4A16 = 2,  // 4-bit weights, 16-bit activations: the default for 4-bit GGUF files
  kW4A8 = 3,   // 4-bit weights, 8-bit activations
  kFp4 = 4,    // 4-bit weights and activations
};

struct NumericFormat {
  WeightFormat weights = WeightFormat::kW4A16;
  // Stored bytes of one weight, scales included. 0: the model's own, weight_bytes / parameters,
  // or the format's usual one (2, 1.03, 0.53) if the model does not say.
  double weight_bytes = 0;
  double kv_bytes = 2;          // of one value of K or V
  double activation_bytes = 2;  // of one value between layers and on links
  MathType attention = MathType::kBf16;
};

// The format a model file is served in unless configured: 4-bit weights (below 6 bits stored) as
// W4A16, up to 9 bits as FP8, else BF16; KV in 16 bits.
NumericFormat DefaultFormat(const model::ModelConfig& config);

struct ModelTiming {
  int64_t layers = 0;
  int64_t chips = 1;  // T
  MathType linear_math = MathType::kBf16;
  MathType attention_math = MathType::kBf16;

  double layer_parameters = 0;  // over all layers
  double head_parameters = 0;   // width x vocabulary
  double weight_bytes_per_parameter = 0;
  double attention_flops_per_pair = 0;    // 4 L H d_h, over all layers and chips
  double kv_row_bytes_per_chip = 0;       // over all layers
  double activation_bytes_per_token = 0;  // HBM, per chip, over all layers
  double link_bytes_per_token = 0;        // per chip, over all layers
  double link_bandwidth = 0;              // B/s of the fabric that spans the group
  int64_t collectives = 0;                // over all layers

  // Weights of all chips, as they occupy HBM.
  Bytes weight_bytes() const {
    return Bytes(
        static_cast<int64_t>((layer_parameters + head_parameters) * weight_bytes_per_parameter));
  }
  // KV of one token on one chip.
  Bytes kv_bytes_per_token_per_chip() const {
    return Bytes(static_cast<int64_t>(kv_row_bytes_per_chip));
  }
};

absl::StatusOr<ModelTiming> MakeModelTiming(const Profile& profile,
                                            const model::ModelConfig& config,
                                            const NumericFormat& format, int64_t chips);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_
