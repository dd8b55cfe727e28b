#include "device/physics/token_cost.h"

#include "base/status_macros.h"
#include "device/physics/operator_cost.h"

namespace scoville::device {

namespace {

// Of a value that chips reduce: 16 bits whatever the products take.
constexpr double kReducedBytes = 2.0;

struct Pricing {
  const Profile& profile;
  const ModelTiming& model;
  double tokens = 0;
  double chips = 1;

  double MemorySeconds(double bytes) const {
    return bytes / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  }
};

// One product in the operator form, `count` times over and on `chips` chips.
void AddProduct(const OperatorTime& t, double count, double chips, StepTerm* term,
                TokenCost* cost) {
  cost->roofs.push_back({count * t.compute_seconds, count * t.memory_seconds, t.overlap});
  if (t.serial_seconds > 0) {
    cost->roofs.push_back({count * t.serial_seconds, 0.0, 1.0});
  }
  cost->latency_seconds += count * t.latency_seconds;
  term->flops_executed += count * t.flops_executed * chips;
  term->bytes_per_chip += count * t.bytes;
  term->compute_seconds += count * (t.compute_seconds + t.serial_seconds);
  term->memory_seconds += count * t.memory_seconds;
}

// The dense products one by one, and the kernels between them, which only move bytes.
void TimeDense(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
  for (int i = 0; i < layer.gemm_count; ++i) {
    GemmShape shape;
    shape.rows = p.tokens * p.model.rows_share;
    shape.columns = layer.gemms[i].columns;
    shape.inner = layer.gemms[i].inner;
    shape.weight_bytes = p.model.linear_weight_bytes;
    AddProduct(TimeGemm(p.profile, p.model.linear_math, shape), layer.count, p.chips, &cost->linear,
               cost);
  }
  const double bytes = layer.count * layer.elementwise_bytes_per_token * p.tokens;
  const double seconds = p.MemorySeconds(bytes);
  cost->roofs.push_back({0.0, seconds, 1.0});
  cost->linear.bytes_per_chip += bytes;
  cost->linear.memory_seconds += seconds;
}

// The dense products and the traffic between them as one.
void RoofDense(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
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
  const GroupCost roof{layer.count * compute, p.MemorySeconds(bytes), p.profile.overlap.value};
  cost->roofs.push_back(roof);
  cost->linear.flops_executed += layer.count * flops * p.chips;
  cost->linear.bytes_per_chip += bytes;
  cost->linear.compute_seconds += roof.compute_seconds;
  cost->linear.memory_seconds += roof.memory_seconds;
  cost->latency_seconds +=
      layer.count * static_cast<double>(layer.gemm_count) * p.profile.gemm_latency.value;
}

// Products that every token runs through, and the traffic between them.
void PriceDense(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
  if (p.profile.Gemm(p.model.linear_math) != nullptr) {
    TimeDense(p, layer, cost);
  } else {
    RoofDense(p, layer, cost);
  }
  cost->weight_bytes += layer.count * layer.token_bytes;
  const double model_flops = 2.0 * layer.count * layer.token_parameters * p.tokens;
  cost->flops_model += model_flops;
  cost->ideal_seconds += model_flops / (p.chips * p.profile.Peak(p.model.linear_math));
}

// What a step's tokens reach of a layer's experts.
struct ExpertLoad {
  double hit = 0;        // experts
  double rows = 0;       // of an expert
  double imbalance = 1;  // whole experts lie unevenly: the busiest chip sets the pace
  double copies = 0;     // experts, or slices of all, on that chip
};

void TimeExperts(const Pricing& p, const LayerTiming& layer, const ExpertLoad& load,
                 TokenCost* cost) {
  StepTerm busiest;
  for (const GemmTiming& gemm : layer.expert_gemms) {
    GemmShape shape;
    shape.rows = load.rows;
    shape.columns = gemm.columns;
    shape.inner = gemm.inner;
    shape.copies = load.copies;
    shape.weight_bytes = p.model.expert_weight_bytes;
    AddProduct(TimeGemm(p.profile, p.model.expert_math, shape), layer.count, p.chips, &busiest,
               cost);
  }
  // Time is the busiest chip's, FLOPs and bytes are those of all.
  cost->experts.flops_executed += busiest.flops_executed / load.imbalance;
  cost->experts.bytes_per_chip += busiest.bytes_per_chip / load.imbalance;
  cost->experts.compute_seconds += busiest.compute_seconds;
  cost->experts.memory_seconds += busiest.memory_seconds;
}

void RoofExperts(const Pricing& p, const LayerTiming& layer, const ExpertLoad& load,
                 TokenCost* cost) {
  double flops = 0;
  double compute = 0;
  for (const GemmTiming& shape : layer.expert_gemms) {
    const GemmCost gemm = PriceGemm(p.profile, p.model.expert_math, load.rows, shape.columns,
                                    shape.inner, load.copies);
    flops += gemm.flops_executed;
    compute += gemm.compute_seconds;
  }
  // Bytes that the busiest chip reads, and that all chips read on average.
  const double bytes = layer.count * load.hit * layer.expert_bytes / p.chips;
  const GroupCost roof{layer.count * compute, p.MemorySeconds(bytes * load.imbalance),
                       p.profile.overlap.value};
  cost->roofs.push_back(roof);
  cost->experts.flops_executed += layer.count * flops / load.imbalance * p.chips;
  cost->experts.bytes_per_chip += bytes;
  cost->experts.compute_seconds += roof.compute_seconds;
  cost->experts.memory_seconds += roof.memory_seconds;
  cost->latency_seconds += layer.count * 2.0 * p.profile.gemm_latency.value;
}

void PriceExperts(const Pricing& p, const LayerTiming& layer, TokenCost* cost) {
  if (layer.experts <= 0) {
    return;
  }
  const bool whole = p.model.parallelism.expert_parallel;
  ExpertLoad load;
  load.hit =
      ExpectedExperts(layer.experts, layer.experts_per_token, static_cast<int64_t>(p.tokens));
  load.rows = p.tokens * layer.experts_per_token / load.hit;
  load.imbalance = whole && p.chips > 1 ? p.profile.expert_imbalance.value : 1.0;
  load.copies = whole ? load.hit / p.chips * load.imbalance : load.hit;
  if (p.profile.Gemm(p.model.expert_math) != nullptr) {
    TimeExperts(p, layer, load, cost);
  } else {
    RoofExperts(p, layer, load, cost);
  }
  cost->weight_bytes += layer.count * load.hit * layer.expert_bytes / p.chips;
  const double model_flops =
      2.0 * layer.count * layer.experts_per_token * layer.expert_parameters * p.tokens;
  cost->flops_model += model_flops;
  cost->ideal_seconds += model_flops / (p.chips * p.profile.Peak(p.model.expert_math));
}

// The collectives of a group of layers that are all-reduces of the constants' kind.
double ReductionSeconds(const Pricing& p, const LayerTiming& layer) {
  const AllReduceTime t = TimeAllReduce(
      p.profile, p.chips, p.tokens * p.model.head_width * kReducedBytes, p.model.link_bandwidth);
  return layer.count * layer.reductions *
         (t.latency_seconds + (1.0 - p.profile.hidden_collectives.value) * t.transfer_seconds);
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
  const bool reduces = p.chips > 1 && profile.operators.all_reduce.given;
  double collectives = 0;
  double bytes = 0;  // of these
  for (int g = 0; g < model.group_count; ++g) {
    const LayerTiming& layer = model.groups[g];
    PriceDense(p, layer, &cost);
    PriceExperts(p, layer, &cost);
    const double group_bytes = layer.count * layer.link_bytes_per_token * p.tokens;
    cost.link_bytes += group_bytes;
    if (reduces) {
      cost.link_seconds += ReductionSeconds(p, layer);
      collectives += layer.count * (layer.collectives - layer.reductions);
      bytes += group_bytes - layer.count * layer.reductions * p.tokens * model.head_width *
                                 kReducedBytes * 2.0 * (p.chips - 1.0) / p.chips;
    } else {
      collectives += layer.count * layer.collectives;
      bytes += group_bytes;
    }
  }
  cost.link_seconds += (1.0 - profile.hidden_collectives.value) * bytes / model.link_bandwidth +
                       profile.hop_latency.value * profile.all_reduce_hops.value * collectives;
  return cost;
}

namespace {

// Sorting and scanning the logits of `rows` rows. Tensor-parallel chips gather the logits and each
// samples all rows.
void AddSampling(const Profile& profile, double rows, StepTerm* head) {
  const double bytes = profile.sampling_traffic.value * rows;
  head->bytes_per_chip += bytes;
  head->memory_seconds +=
      bytes / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
}

}  // namespace

HeadCost PriceHead(const Profile& profile, const ModelTiming& model, int64_t rows) {
  HeadCost head;
  head.term.math = model.linear_math;
  if (rows == 0) {
    return head;
  }
  const double chips = static_cast<double>(model.chips);
  // The vocabulary is split over the chips, or, where attention is data-parallel, the rows are.
  const double columns = model.head_parameters / model.head_width / (chips * model.rows_share);
  const double chip_rows = static_cast<double>(rows) * model.rows_share;
  if (profile.Gemm(model.linear_math) != nullptr) {
    GemmShape shape;
    shape.rows = chip_rows;
    shape.columns = columns;
    shape.inner = model.head_width;
    shape.weight_bytes = model.linear_weight_bytes;
    const OperatorTime t = TimeGemm(profile, model.linear_math, shape);
    head.term.flops_executed = t.flops_executed * chips;
    head.term.bytes_per_chip = t.bytes;
    head.term.compute_seconds = t.compute_seconds + t.serial_seconds;
    head.term.memory_seconds = t.memory_seconds;
    head.overlap = t.overlap;
    head.serial_seconds = t.serial_seconds;
    head.latency_seconds = t.latency_seconds;
    AddSampling(profile, chip_rows, &head.term);
    return head;
  }
  const GemmCost gemm =
      PriceGemm(profile, model.linear_math, chip_rows, columns, model.head_width, 1.0);
  head.term.flops_executed = gemm.flops_executed * chips;
  head.term.compute_seconds = gemm.compute_seconds;
  head.term.bytes_per_chip = model.head_bytes_per_chip;
  head.term.memory_seconds =
      head.term.bytes_per_chip / (profile.bandwidth_efficiency.value * profile.hbm_bandwidth.value);
  head.overlap = profile.overlap.value;
  AddSampling(profile, chip_rows, &head.term);
  return head;
}

}  // namespace scoville::device
