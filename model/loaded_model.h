// A model file opened for serving: shape, tokenizer, chat template and, for the functional
// executor, the transformer.
//
// Ownership: owns all its parts. Threading: immutable after Load; every part may be used from any
// thread. Errors: those of the parts, with the file's path in front.
#ifndef SCOVILLE_MODEL_LOADED_MODEL_H_
#define SCOVILLE_MODEL_LOADED_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/card/model_card.h"
#include "model/compute/transformer.h"
#include "model/model_config.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

struct LoadedModel {
  std::string id;  // what clients call it: the file's stem in lower case, unless configured
  std::string
      fingerprint;  // of the weights and the tokenizer: with seed and request it fixes the tokens
  ModelConfig config;
  ModelCard card;  // what time, energy and memory follow from
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // nullptr: see chat_error
  absl::Status chat_error;                      // why there is no chat template
  std::unique_ptr<Transformer> transformer;     // nullptr when loaded without weights
};

enum class LoadWeights : bool { kNo, kYes };

absl::StatusOr<std::unique_ptr<LoadedModel>> LoadModel(const std::string& path,
                                                       LoadWeights weights);

// A model that needs no file: the default model's shape with a small vocabulary of its own. Only
// for the synthetic executor.
absl::StatusOr<std::unique_ptr<LoadedModel>> SyntheticModel();

// The same with the shape of a card: what is timed is the card's model, what is said is made up.
// The vocabulary is padded to the card's. InvalidArgument for one too small to hold words.
absl::StatusOr<std::unique_ptr<LoadedModel>> SyntheticModel(const ModelCard& card);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_LOADED_MODEL_H_
