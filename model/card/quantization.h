// How a published checkpoint stores its numbers: `torch_dtype` and `quantization_config` of a
// config.json, reduced to the precision of each part of the model.
//
// Understood, after the conventions of the Hugging Face `transformers` and vLLM loaders: fp8 (block
// scales), mxfp4, modelopt (FP8, NVFP4), compressed-tensors (int4, fp8, nvfp4, mxfp4), awq, gptq.
// Parts that a list of excluded modules names stay as `torch_dtype` says.
//
// Threading: pure functions. Errors: InvalidArgument naming file and field.
#ifndef SCOVILLE_MODEL_CARD_QUANTIZATION_H_
#define SCOVILLE_MODEL_CARD_QUANTIZATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/card/card_json.h"
#include "model/card/model_card.h"

namespace scoville::model::internal {

struct StoredPrecisions {
  Precision attention = Precision::kBf16;
  Precision dense = Precision::kBf16;    // FFN of layers without experts
  Precision shared = Precision::kBf16;   // shared experts
  Precision experts = Precision::kBf16;  // routed experts
  Precision head = Precision::kBf16;
  Precision activations = Precision::kBf16;
  Precision kv = Precision::kBf16;
};

// `outer` is the file's root, `text` the part that describes the language model (often the same).
// `middle_layer` stands for all layers when modules are excluded by name.
absl::StatusOr<StoredPrecisions> ReadStoredPrecisions(const CardFields& outer,
                                                      const CardFields& text, int64_t middle_layer);

// True if one of the patterns names the module: a plain piece of its name, or after "re:" a regular
// expression, of which literal pieces, ".*" and one level of (a|b) are understood.
bool NamesModule(absl::Span<const std::string> patterns, absl::string_view module);

absl::StatusOr<Precision> PrecisionNamed(absl::string_view name);

}  // namespace scoville::model::internal

#endif  // SCOVILLE_MODEL_CARD_QUANTIZATION_H_
