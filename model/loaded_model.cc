#include "model/loaded_model.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "model/gguf/gguf_file.h"
#include "model/gguf/model_config_from_gguf.h"

namespace scoville::model {

namespace {

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

std::string IdOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  absl::string_view name = slash == absl::string_view::npos ? path : path.substr(slash + 1);
  if (absl::EndsWith(name, ".gguf")) {
    name.remove_suffix(5);
  }
  return absl::AsciiStrToLower(name);
}

// Everything that decides a token: the weights as stored, and the vocabulary.
std::string FingerprintOf(const GgufFile& file, const Tokenizer& tokenizer) {
  StableHasher hasher;
  for (const TensorInfo& tensor : file.tensors()) {
    hasher.Add(tensor.name);
    hasher.Add(static_cast<uint64_t>(tensor.type));
    const Hash128 data = StableHash128(tensor.data.data(), tensor.data.size());
    hasher.Add(data.low);
    hasher.Add(data.high);
  }
  for (int32_t t = 0; t < tokenizer.vocabulary(); ++t) {
    hasher.Add(tokenizer.TokenBytes(t));
  }
  return hasher.hash().ToString().substr(0, 16);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoadedModel>> LoadModel(const std::string& path,
                                                       LoadWeights weights) {
  absl::StatusOr<std::unique_ptr<GgufFile>> file = GgufFile::Open(path);
  if (!file.ok()) {
    return file.status();
  }
  auto model = std::make_unique<LoadedModel>();
  model->id = IdOf(path);
  absl::StatusOr<ModelConfig> config = ModelConfigFromGguf(**file);
  if (!config.ok()) {
    return InFile(path, config.status());
  }
  model->config = *std::move(config);
  model->card = CardOf(model->config);
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Create(**file);
  if (!tokenizer.ok()) {
    return InFile(path, tokenizer.status());
  }
  model->tokenizer = *std::move(tokenizer);
  absl::StatusOr<std::unique_ptr<ChatTemplate>> chat =
      ChatTemplate::Create(**file, model->tokenizer.get());
  if (chat.ok()) {
    model->chat_template = *std::move(chat);
  } else {
    model->chat_error = chat.status();
  }
  model->fingerprint = FingerprintOf(**file, *model->tokenizer);
  if (weights == LoadWeights::kYes) {
    absl::StatusOr<std::unique_ptr<Transformer>> transformer = Transformer::Load(**file);
    if (!transformer.ok()) {
      return InFile(path, transformer.status());
    }
    model->transformer = *std::move(transformer);
  }
  return model;
}

}  // namespace scoville::model
