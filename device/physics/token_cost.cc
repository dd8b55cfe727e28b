#include "device/physics/token_cost.h"

#include <algorithm>

#include "base/status_macros.h"
#include "device/physics/operator_cost.h"

namespace scoville::device {

namespace {

struct Pricing {
  const Profile& profile;
  const ModelTiming& model;
  double tokens = 0;
  double chips = 1;

  double MemorySeconds(double bytes) const {
    return bytes / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  }
};

void AddRoof(GroupCost roof, TokenCost* cost) {
  cost->roofs[cost->roof_count] = roof;
  ++cost->roof_count;
}

// Products that every token runs through, and the traffic between them.
void PriceDense(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
  const double rows = p.tokens * p.model.rows_share;
  double flops = 0;
  double compute = 0;
  for (int i = 0; i < layer.gemm_count; ++i) {
    const GemmCost gemm = PriceGemm(p.profile, p.model.linear_math, rows, layer.gemms[i].columns,
                                    layer.gemms[i].inner, 1.0);
    flops += gemm.flops_executed;
    compute += gemm.compute_seconds;
  }
  const double activations = p.model.activation_bytes_per_token * p.tokens * layer.count /
                             static_cast<double>(p.model.layers);
  const double bytes = layer.count * layer.token_bytes + activations;
  const GroupCost roof{layer.count * compute, p.MemorySeconds(bytes)};
  AddRoof(roof, cost);
  cost->linear.flops_executed += layer.count * flops * p.chips;
  cost->linear.bytes_per_chip += bytes;
  cost->linear.compute_seconds += roof.compute_seconds;
  cost->linear.memory_seconds += roof.memory_seconds;
  cost->latency_seconds +=
      layer.count * static_cast<double>(layer.gemm_count) * p.profile.gemm_latency.value;
  cost->weight_bytes += layer.count * layer.token_bytes;
  const double model_flops = 2.0 * layer.count * layer.token_parameters * p.tokens;
  cost->flops_model += model_flops;
  cost->ideal_seconds += model_flops / (p.chips * p.profile.Peak(p.model.linear_math));
}

void PriceExperts(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
  if (layer.experts <= 0) {
    return;
  }
  const bool whole = p.model.parallelism.expert_parallel;
  const double hit =
      ExpectedExperts(layer.experts, layer.experts_per_token, static_cast<int64_t>(p.tokens));
  const double rows = p.tokens * layer.experts_per_token / hit;
  // Whole experts lie unevenly: the busiest chip sets the pace. Slices lie evenly.
  const double imbalance = whole && p.chips > 1 ? p.profile.expert_imbalance.value : 1.0;
  const double copies = whole ? hit / p.chips * imbalance : hit;
  double flops = 0;
  double compute = 0;
  for (const GemmTiming& shape : layer.expert_gemms) {
    const GemmCost gemm =
        PriceGemm(p.profile, p.model.expert_math, rows, shape.columns, shape.inner, copies);
    flops += gemm.flops_executed;
    compute += gemm.compute_seconds;
  }
  // Bytes that the busiest chip reads, and that all chips read on average.
  const double bytes = layer.count * hit * layer.expert_bytes / p.chips;
  const GroupCost roof{layer.count * compute, p.MemorySeconds(bytes * imbalance)};
  AddRoof(roof, cost);
  cost->experts.flops_executed += layer.count * flops / imbalance * p.chips;
  cost->experts.bytes_per_chip += bytes;
  cost->experts.compute_seconds += roof.compute_seconds;
  cost->experts.memory_seconds += roof.memory_seconds;
  cost->latency_seconds += layer.count * 2.0 * p.profile.gemm_latency.value;
  cost->weight_bytes += bytes;
  const double model_flops =
      2.0 * layer.count * layer.experts_per_token * layer.expert_parameters * p.tokens;
  cost->flops_model += model_flops;
  cost->ideal_seconds += model_flops / (p.chips * p.profile.Peak(p.model.expert_math));
}

}  // namespace

double ExpectedExperts(double experts, double chosen, int64_t tokens) {
  double missed = 1.0;  // (1 - k / E)^n
  double power = 1.0 - chosen / experts;
  for (int64_t n = tokens; n > 0; n /= 2) {
    if (n % 2 == 1) {
      missed = missed * power;
    }
    power = power * power;
  }
  return experts * (1.0 - missed);
}

TokenCost PriceTokens(const Profile& profile, const ModelTiming& model, int64_t tokens) {
  CHECK_GE(tokens, 1);
  const Pricing p{profile, model, static_cast<double>(tokens), static_cast<double>(model.chips)};
  TokenCost cost;
  cost.linear.math = model.linear_math;
  cost.experts.math = model.expert_math;
  double collectives = 0;
  for (int g = 0; g < model.group_count; ++g) {
    const LayerTiming& layer = model.groups[g];
    PriceDense(p, layer, &cost);
    PriceExperts(p, layer, &cost);
    cost.link_bytes += layer.count * layer.link_bytes_per_token * p.tokens;
    collectives += layer.count * layer.collectives;
  }
  cost.link_seconds =
      (1.0 - profile.hidden_collectives.value) * cost.link_bytes / model.link_bandwidth +
      profile.hop_latency.value * profile.all_reduce_hops.value * collectives;
  return cost;
}

StepTerm PriceHead(const Profile& profile, const ModelTiming& model, int64_t rows) {
  StepTerm head;
  head.math = model.linear_math;
  if (rows == 0) {
    return head;
  }
  const double chips = static_cast<double>(model.chips);
  // The vocabulary is split over the chips, or, where attention is data-parallel, the rows are.
  const double columns = model.head_parameters / model.head_width / (chips * model.rows_share);
  const GemmCost gemm =
      PriceGemm(profile, model.linear_math, static_cast<double>(rows) * model.rows_share, columns,
                model.head_width, 1.0);
  head.flops_executed = gemm.flops_executed * chips;
  head.compute_seconds = gemm.compute_seconds;
  head.bytes_per_chip = model.head_bytes_per_chip;
  head.memory_seconds =
      head.bytes_per_chip / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  return head;
}

}  // namespace scoville::device
