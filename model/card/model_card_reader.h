// Makes a model card from the ordinary `config.json` of a published model.
//
// Architectures (`model_type`): llama, mistral, qwen2, qwen3 (dense); mixtral, qwen3_moe, gpt_oss
// (mixture of experts); deepseek_v2, deepseek_v3, kimi_k2 (experts and latent attention), also
// below `text_config`. Fields that cost neither time nor memory are not looked at. A block of our
// own may say what a deployment does otherwise than the checkpoint:
//
//   "scoville": {"weights": "fp8", "experts": "mxfp4", "activations": "fp8", "kv": "fp8"}
//
// Units: counts; precisions as in model_card.h. Ownership: values. Threading: pure functions.
// Errors: InvalidArgument "file:line:column: field: what, what to do"; NotFound for a name or a
// file that is not there, with the nearest name.
#ifndef SCOVILLE_MODEL_CARD_MODEL_CARD_READER_H_
#define SCOVILLE_MODEL_CARD_MODEL_CARD_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/card/model_card.h"

namespace scoville::model {

// `file` names the text in errors, `name` the card.
absl::StatusOr<ModelCard> ParseModelCard(absl::string_view text, absl::string_view file,
                                         absl::string_view name);

// A config.json, or the folder that holds one. The card is named after the folder, or after the
// file if that is not called config.json.
absl::StatusOr<ModelCard> LoadModelCard(absl::string_view path);

// The cards compiled in (deploy/models/), in alphabetical order.
std::vector<std::string> BuiltinCardNames();
absl::StatusOr<ModelCard> BuiltinCard(absl::string_view name);

// A built-in name, or the path of a file or folder (anything with a '/' or ending in .json).
absl::StatusOr<ModelCard> FindCard(absl::string_view name_or_path);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_CARD_MODEL_CARD_READER_H_
