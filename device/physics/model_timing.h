// What the price of a step needs to know about a model on a device: its counts, the widths its
// numbers are stored in, the rates its products run at, and how it is spread over chips.
//
// Units: counts, bytes; per chip where named so. Ownership: a plain value, made once per
// deployment, immutable. Threading: none. Errors: InvalidArgument for a card that is inconsistent
// or a group of chips larger than the profile's fabric.
#ifndef SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_
#define SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/units.h"
#include "device/physics/profile.h"
#include "device/physics/step_shape.h"
#include "model/card/model_card.h"

namespace scoville::device {

// How a model lies on a group of chips. Matrices are split over all chips (tensor parallel) unless
// said otherwise.
struct Parallelism {
  int64_t chips = 1;  // T
  // Whole experts on each chip; tokens travel to them (dispatch) and back (combine).
  bool expert_parallel = false;
  // Each chip attends for its own sequences: attention weights replicate, nothing is reduced.
  // Needs expert_parallel or a model without experts' collectives to make sense; both are allowed.
  bool data_parallel_attention = false;
};

// One matrix product y[m, n] = x[m, k] w[k, n] of a layer, as one chip runs it.
struct GemmTiming {
  double columns = 0;  // n
  double inner = 0;    // k
};
inline constexpr int kMaxGemms = 8;

// Layers of one kind; figures of one layer.
struct LayerTiming {
  double count = 0;
  std::array<GemmTiming, kMaxGemms> gemms;  // that every token runs through, as one chip has them
  int gemm_count = 0;
  double token_parameters = 0;  // of those products, each weight counted once
  double token_bytes = 0;       // of their weights on one chip
  // Routed experts; 0: none.
  double experts = 0;
  double experts_per_token = 0;
  double expert_parameters = 0;            // of one expert
  double expert_bytes = 0;                 // of one expert, over all chips that hold a part of it
  std::array<GemmTiming, 2> expert_gemms;  // gate with up, and down, as one chip has them
  double link_bytes_per_token = 0;         // all-reduces, dispatch and combine, per chip
  double collectives = 0;
  double reductions = 0;  // all-reduces among them
  // Norms, rotation, activation function: HBM bytes of one chip.
  double elementwise_bytes_per_token = 0;
};

struct ModelTiming {
  std::string name;
  Parallelism parallelism;
  ShapeRules rules;  // block and query tiles and the window that StepShape sums by
  int64_t layers = 0;
  int64_t context = 0;  // longest sequence
  int64_t chips = 1;    // T
  std::array<LayerTiming, model::kMaxLayerGroups> groups;
  int group_count = 0;

  MathType linear_math = MathType::kBf16;
  MathType expert_math = MathType::kBf16;
  // Attention multiplies in 16 bits whatever the cache is stored in, as the common kernels do.
  MathType attention_math = MathType::kBf16;

  // Over all layers that attend to everything, and over those with a window.
  int64_t full_layers = 0;
  int64_t windowed_layers = 0;
  double flops_per_pair[kStepRoles] = {0, 0};  // of one layer, all chips; by StepRole
  // Grouped heads on one chip, and the share of a step's sequences that it attends for; no heads:
  // attention is latent.
  double chip_heads = 0;
  double chip_kv_heads = 0;
  double head_size = 0;
  double kv_value_bytes = 0;
  double sequences_share = 1;
  double linear_weight_bytes = 0;    // of one weight
  double expert_weight_bytes = 0;    // of one weight of a routed expert
  double flops_per_expanded = 0;     // latent rows that a prefill chunk expands again, per layer
  double kv_row_bytes_per_chip = 0;  // of one layer, read or written, averaged over chips
  double kv_row_bytes_stored = 0;    // of all layers and chips: what a token occupies
  double activation_bytes_per_token = 0;  // HBM, per chip, over all layers
  double head_width = 0;                  // inner dimension of the head
  double head_parameters = 0;             // width x vocabulary
  double head_bytes_per_chip = 0;
  double link_bandwidth = 0;       // B/s of the fabric that spans the group
  double weight_bytes_stored = 0;  // of all chips, replicas included
  // Share of a step's rows that one chip's copy of the replicated parts sees: 1, or 1 / T with
  // data-parallel attention.
  double rows_share = 1;

  // Weights of all chips, as they occupy HBM.
  Bytes weight_bytes() const { return Bytes(static_cast<int64_t>(weight_bytes_stored)); }
};

// What a group of chips needs and has, for refusals that show their arithmetic.
struct MemoryPlan {
  double capacity = 0;  // bytes of all chips
  double usable = 0;    // capacity x kUsableMemory
  double weights = 0;
  double bytes_per_block = 0;
  int64_t kv_blocks = 0;  // what is left holds; 0 or less: the model does not fit
};
// Share of a chip's memory that may hold weights and KV; the rest is for activations and the
// runtime. Assumed: it is what serving engines reserve by default.
inline constexpr double kUsableMemory = 0.9;

MemoryPlan PlanMemory(const Profile& profile, const ModelTiming& timing);
// "llama-3.1-70b does not fit: ..." with the numbers.
std::string DescribeMemory(const MemoryPlan& plan, const ModelTiming& timing);

absl::StatusOr<ModelTiming> MakeModelTiming(const Profile& profile, const model::ModelCard& card,
                                            const Parallelism& parallelism,
                                            int64_t block_tokens = 16);

// The type that a product of weights and activations runs at on this chip, before RunsAt().
MathType ProductMath(const Profile& profile, model::Precision weights,
                     model::Precision activations);

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_MODEL_TIMING_H_
