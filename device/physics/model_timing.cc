#include "device/physics/model_timing.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace scoville::device {

namespace {

using model::LayerGroup;
using model::ModelCard;
using model::Precision;

// Bytes of HBM traffic per token, layer and value of the width, besides weights and KV: what is
// read and written between the products of a layer.
constexpr double kActivationPasses = 12.0;
// The residual stream and the reductions over chips stay in 16 bits whatever the products take.
constexpr double kResidualBytes = 2.0;

// The norms' input, residual and both results, in 16 bits; two norms a layer.
constexpr double kNormBytes = 2.0 * 4.0 * kResidualBytes;
// Query and key, read and written, in 16 bits.
constexpr double kRotationBytes = 4.0;
// Gate and up read, their product written, in 16 bits.
constexpr double kActivationBytes = 6.0;

double Real(int64_t value) { return static_cast<double>(value); }

void AddGemm(double columns, double inner, LayerTiming* layer) {
  layer->gemms[layer->gemm_count] = GemmTiming{columns, inner};
  ++layer->gemm_count;
}

// The products around attention; `split` chips share the heads.
void AddAttention(const ModelCard& card, double split, LayerTiming* layer) {
  const double width = Real(card.width);
  const double heads = Real(card.heads) / split;
  if (!card.latent) {
    const double kv_heads = std::max(1.0, Real(card.kv_heads) / split);
    AddGemm((heads + 2.0 * kv_heads) * Real(card.head_size), width, layer);
    AddGemm(width, heads * Real(card.head_size), layer);
    return;
  }
  const model::LatentAttention& l = *card.latent;
  const double query = heads * Real(l.nope_size + l.rope_size);
  if (l.query_rank > 0) {
    // Both compressions read the same input and are one product; each chip has all of it.
    AddGemm(Real(l.query_rank + l.kv_rank + l.rope_size), width, layer);
    AddGemm(query, Real(l.query_rank), layer);
  } else {
    AddGemm(query + Real(l.kv_rank + l.rope_size), width, layer);
  }
  AddGemm(heads * Real(l.nope_size + l.value_size), Real(l.kv_rank), layer);
  AddGemm(width, heads * Real(l.value_size), layer);
}

// A gated FFN of `ffn` columns on this chip.
void AddFfn(double width, double ffn, LayerTiming* layer) {
  AddGemm(2.0 * ffn, width, layer);
  AddGemm(width, ffn, layer);
}

LayerTiming MakeLayer(const ModelCard& card, const LayerGroup& group, const Parallelism& p) {
  const double chips = Real(p.chips);
  // With data-parallel attention every chip holds all of what is no routed expert.
  const double split = p.data_parallel_attention ? 1.0 : chips;
  const double width = Real(card.width);
  const double bytes =
      card.weight_bytes > 0 ? card.weight_bytes : model::BytesPerValue(card.weights);
  LayerTiming layer;
  layer.count = Real(group.count);
  AddAttention(card, split, &layer);
  layer.token_parameters = Real(card.attention_parameters() + card.ffn_parameters(group));
  layer.token_bytes = layer.token_parameters * bytes / split;
  if (group.experts == 0) {
    AddFfn(width, Real(group.ffn_width) / split, &layer);
  } else {
    AddGemm(Real(group.experts), width, &layer);  // the router
    if (group.shared_width > 0) {
      AddFfn(width, Real(group.shared_width) / split, &layer);
    }
    layer.experts = Real(group.experts);
    layer.experts_per_token = Real(group.experts_per_token);
    layer.expert_parameters = 3.0 * width * Real(group.ffn_width);
    layer.expert_bytes = layer.expert_parameters * model::BytesPerValue(card.expert_weights);
    const double ffn = Real(group.ffn_width) / (p.expert_parallel ? 1.0 : chips);
    layer.expert_gemms = {GemmTiming{2.0 * ffn, width}, GemmTiming{width, ffn}};
  }
  // Norms are not split; with data-parallel attention each chip has its own sequences' rows.
  const double rows_share = split / chips;
  const double values = card.latent ? 0.0 : Real((card.heads + card.kv_heads) * card.head_size);
  layer.elementwise_bytes_per_token =
      kNormBytes * width * rows_share + kRotationBytes * values / chips +
      kActivationBytes / chips *
          Real(group.experts == 0 ? group.ffn_width
                                  : group.shared_width + group.experts_per_token * group.ffn_width);
  if (p.chips > 1) {
    const double share = (chips - 1.0) / chips;
    const double reduce = 2.0 * share * width * kResidualBytes;
    const bool dispatches = group.experts > 0 && p.expert_parallel;
    const double reductions = (p.data_parallel_attention ? 0.0 : 1.0) +
                              (dispatches || p.data_parallel_attention ? 0.0 : 1.0);
    const double travel = layer.experts_per_token / chips * width *
                          std::max(1.0, model::BytesPerValue(card.activations)) * share;
    layer.link_bytes_per_token = reductions * reduce + (dispatches ? 2.0 * travel : 0.0);
    layer.reductions = reductions;
    layer.collectives = reductions + (dispatches ? 2.0 : 0.0);
  }
  return layer;
}

void SetAttention(const ModelCard& card, const Parallelism& p, ModelTiming* m) {
  const double chips = Real(p.chips);
  const double heads = Real(card.heads);
  const double row = Real(card.kv_values_per_layer()) * model::KvBytesPerValue(card.kv);
  const double layers = Real(m->layers);
  m->sequences_share = p.data_parallel_attention ? 1.0 / chips : 1.0;
  // KV heads are spread over the chips, beyond their number they replicate; a latent row has one
  // head. With data-parallel attention a chip has the rows of its own sequences alone.
  const double spread = p.data_parallel_attention ? chips
                        : card.latent             ? 1.0
                                                  : Real(std::min(p.chips, card.kv_heads));
  m->kv_row_bytes_per_chip = row / spread;
  m->kv_row_bytes_stored = layers * row * chips / spread;
  if (!card.latent) {
    const double split = p.data_parallel_attention ? 1.0 : chips;
    m->chip_heads = heads / split;
    m->chip_kv_heads = std::max(1.0, Real(card.kv_heads) / split);
    m->head_size = Real(card.head_size);
    m->kv_value_bytes = model::KvBytesPerValue(card.kv);
    m->flops_per_pair[0] = m->flops_per_pair[1] = 4.0 * heads * Real(card.head_size);
    return;
  }
  // Prompts expand the latent rows into heads; decodes fold the expansion into the query instead.
  const model::LatentAttention& l = *card.latent;
  m->flops_per_pair[static_cast<int>(StepRole::kPrefill)] =
      2.0 * heads * Real(l.nope_size + l.rope_size + l.value_size);
  m->flops_per_pair[static_cast<int>(StepRole::kDecode)] =
      2.0 * heads * Real(2 * l.kv_rank + l.rope_size);
  m->flops_per_expanded = 2.0 * Real(l.kv_rank) * heads * Real(l.nope_size + l.value_size);
}

// What the sums over a step's sequences need to know of the model and the kernels.
ShapeRules RulesOf(const Profile& profile, const ModelCard& card, const ModelTiming& m,
                   int64_t block_tokens) {
  ShapeRules rules;
  rules.block_tokens = block_tokens;
  rules.query_tile = static_cast<int64_t>(profile.query_tile.value);
  rules.window = card.window();
  const PrefillConstants& prefill = profile.operators.prefill;
  if (prefill.given && m.chip_heads > 0) {
    constexpr double kMostTokens = 1e15;  // packs whatever the chunk, still an integer
    rules.item_queries = static_cast<int64_t>(prefill.query_tile.value);
    rules.group_heads = static_cast<int64_t>(std::ceil(m.chip_heads / m.chip_kv_heads));
    rules.packed_tokens = static_cast<int64_t>(std::min(prefill.packed_tokens.value, kMostTokens));
  }
  return rules;
}

absl::Status CheckGroup(const Profile& profile, const Parallelism& p) {
  const int64_t most = static_cast<int64_t>(profile.global_chips.value);
  if (p.chips < 1 || p.chips > most) {
    return absl::InvalidArgumentError(absl::StrCat("a device of ", p.chips, " chips: profile '",
                                                   profile.name, "' allows 1 to ", most));
  }
  return absl::OkStatus();
}

}  // namespace

MathType ProductMath(const Profile& profile, Precision weights, Precision activations) {
  if (!model::IsFourBit(weights)) {
    const bool narrow = weights == Precision::kFp8 && activations != Precision::kBf16;
    return narrow ? MathType::kFp8 : MathType::kBf16;
  }
  if (activations == Precision::kBf16) {
    return profile.w4a16.value;
  }
  return activations == Precision::kFp8 ? profile.w4a8.value : MathType::kFp4;
}

absl::StatusOr<ModelTiming> MakeModelTiming(const Profile& profile, const ModelCard& card,
                                            const Parallelism& parallelism, int64_t block_tokens) {
  absl::Status status = model::Validate(card);
  if (status.ok()) {
    status = CheckGroup(profile, parallelism);
  }
  if (!status.ok()) {
    return status;
  }
  const double chips = Real(parallelism.chips);
  const double split = parallelism.data_parallel_attention ? 1.0 : chips;
  const double bytes =
      card.weight_bytes > 0 ? card.weight_bytes : model::BytesPerValue(card.weights);
  ModelTiming m;
  m.name = card.name;
  m.parallelism = parallelism;
  m.layers = card.layers();
  m.context = card.context;
  m.chips = parallelism.chips;
  m.linear_math = ProductMath(profile, card.weights, card.activations);
  m.expert_math = ProductMath(profile, card.expert_weights, card.activations);
  m.rows_share = 1.0 / (chips / split);
  m.linear_weight_bytes = bytes;
  m.expert_weight_bytes = model::BytesPerValue(card.expert_weights);
  m.head_width = Real(card.width);
  m.head_parameters = m.head_width * Real(card.vocabulary);
  m.head_bytes_per_chip = m.head_parameters * bytes / split;
  // A table of embeddings that is not the head is stored once, spread over the chips.
  m.weight_bytes_stored =
      m.head_bytes_per_chip * chips + (card.tied_head ? 0.0 : m.head_parameters * bytes);
  for (const LayerGroup& group : card.groups) {
    const LayerTiming layer = MakeLayer(card, group, parallelism);
    m.weight_bytes_stored +=
        layer.count * (layer.token_bytes * chips + layer.experts * layer.expert_bytes);
    (group.window > 0 ? m.windowed_layers : m.full_layers) += group.count;
    m.groups[m.group_count] = layer;
    ++m.group_count;
  }
  SetAttention(card, parallelism, &m);
  m.rules = RulesOf(profile, card, m, block_tokens);
  m.activation_bytes_per_token =
      kActivationPasses * Real(m.layers) * Real(card.width) * kResidualBytes / chips;
  m.link_bandwidth = chips <= profile.local_chips.value ? profile.local_bandwidth.value
                                                        : profile.global_bandwidth.value;
  return m;
}

MemoryPlan PlanMemory(const Profile& profile, const ModelTiming& timing) {
  MemoryPlan plan;
  plan.capacity = profile.hbm_capacity.value * Real(timing.chips);
  plan.usable = plan.capacity * kUsableMemory;
  plan.weights = timing.weight_bytes_stored;
  plan.bytes_per_block = timing.kv_row_bytes_stored * Real(timing.rules.block_tokens);
  plan.kv_blocks = static_cast<int64_t>((plan.usable - plan.weights) / plan.bytes_per_block);
  return plan;
}

std::string DescribeMemory(const MemoryPlan& plan, const ModelTiming& timing) {
  return absl::StrFormat(
      "%s on %d chip%s: %.1f GB of memory x %.1f usable - %.1f GB of weights leave %.1f GB, %d KV "
      "blocks of %.0f bytes",
      timing.name, timing.chips, timing.chips == 1 ? "" : "s", plan.capacity / 1e9, kUsableMemory,
      plan.weights / 1e9, std::max(0.0, plan.usable - plan.weights) / 1e9,
      std::max<int64_t>(plan.kv_blocks, 0), plan.bytes_per_block);
}

}  // namespace scoville::device
