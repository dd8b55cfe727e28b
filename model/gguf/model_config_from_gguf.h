// Reads a model's shape out of its file's metadata.
//
// Ownership: the result is a value. Threading: pure function. Errors: kInvalidArgument for a key
// that is missing, of the wrong type or inconsistent with another; kUnimplemented for an
// architecture or a feature that is not served, by name.
#ifndef SCOVILLE_MODEL_GGUF_MODEL_CONFIG_FROM_GGUF_H_
#define SCOVILLE_MODEL_GGUF_MODEL_CONFIG_FROM_GGUF_H_

#include "absl/status/statusor.h"
#include "model/gguf/gguf_file.h"
#include "model/model_config.h"

namespace scoville::model {

absl::StatusOr<ModelConfig> ModelConfigFromGguf(const GgufFile& file);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_GGUF_MODEL_CONFIG_FROM_GGUF_H_
