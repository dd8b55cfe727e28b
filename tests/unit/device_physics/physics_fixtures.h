// Models and steps that the tests of device/physics share.
#ifndef SCOVILLE_TESTS_UNIT_DEVICE_PHYSICS_PHYSICS_FIXTURES_H_
#define SCOVILLE_TESTS_UNIT_DEVICE_PHYSICS_PHYSICS_FIXTURES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "device/physics/model_timing.h"
#include "device/physics/profile.h"
#include "device/physics/step_shape.h"
#include "model/card/model_card.h"

namespace scoville::device {

inline constexpr int64_t kTestBlock = 16;

// The shape of a Llama-family model of 70 billion parameters, in 8 bits throughout.
inline model::ModelCard Dense70B() {
  model::ModelCard c;
  c.name = "dense-70b";
  c.groups = {{80, 0, 28672, 0, 0, 0}};
  c.width = 8192;
  c.heads = 64;
  c.kv_heads = 8;
  c.head_size = 128;
  c.context = 131072;
  c.vocabulary = 128256;
  c.weights = model::Precision::kFp8;
  c.activations = model::Precision::kFp8;
  c.kv = model::Precision::kFp8;
  return c;
}

// The shape of SmolLM2-135M, stored in 5 bits a weight.
inline model::ModelCard Small135M() {
  model::ModelCard c;
  c.name = "small-135m";
  c.groups = {{30, 0, 1536, 0, 0, 0}};
  c.width = 576;
  c.heads = 9;
  c.kv_heads = 3;
  c.head_size = 64;
  c.context = 8192;
  c.vocabulary = 49152;
  c.tied_head = true;
  c.weights = model::Precision::kInt4;
  c.weight_bytes = 0.625;
  return c;
}

inline ModelTiming Timing(const Profile& profile, const model::ModelCard& card, int64_t chips) {
  Parallelism parallelism;
  parallelism.chips = chips;
  absl::StatusOr<ModelTiming> timing = MakeModelTiming(profile, card, parallelism, kTestBlock);
  CHECK(timing.ok());
  return std::move(timing).value();
}

// `sequences` that each decode one token over `context` cached ones.
inline std::vector<SequenceWork> Decodes(int64_t sequences, int64_t context) {
  return std::vector<SequenceWork>(static_cast<size_t>(sequences),
                                   SequenceWork{StepRole::kDecode, context, 1, 1, 0});
}

inline StepShape ShapeOf(const std::vector<SequenceWork>& work,
                         const ShapeRules& rules = {kTestBlock, 128, 0}) {
  StepShape shape;
  for (const SequenceWork& w : work) {
    shape.Add(w, rules);
  }
  return shape;
}

// A random batch, the same for the same `index`: mixed, or of one role alone.
inline std::vector<SequenceWork> RandomWork(uint64_t index) {
  constexpr uint64_t kSeed = 20260824;
  uint64_t draw = 0;
  const auto below = [&](uint64_t n) {
    return static_cast<int64_t>(RandomBelow(kSeed, index, draw++, n));
  };
  const int64_t prefill_percent = below(3) * 50;
  std::vector<SequenceWork> work(static_cast<size_t>(1 + below(200)));
  for (SequenceWork& w : work) {
    w.role = below(100) < prefill_percent ? StepRole::kPrefill : StepRole::kDecode;
    w.cached = below(2) == 0 ? below(20'000) : below(100);
    w.new_tokens = w.role == StepRole::kPrefill ? 1 + below(2048) : 1;
    w.output_rows = w.role == StepRole::kPrefill ? below(2) : 1;
    w.recomputed = w.role == StepRole::kPrefill && below(4) == 0 ? below(w.new_tokens + 1) : 0;
  }
  return work;
}

}  // namespace scoville::device

#endif  // SCOVILLE_TESTS_UNIT_DEVICE_PHYSICS_PHYSICS_FIXTURES_H_
