#include "model/text/vocabulary.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/text/byte_level.h"

namespace scoville::model {

namespace {

constexpr size_t kMaxTokens = 1 << 20;

// `tokenizer.ggml.token_type`.
constexpr int64_t kTypeUnknown = 2;
constexpr int64_t kTypeControl = 3;
constexpr int64_t kTypeUserDefined = 4;

// Names under which models end a turn, for files that name only one end token of several.
constexpr std::array<absl::string_view, 10> kEndNames = {
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>",      "<|eom_id|>", "<|end_of_text|>",
    "<|end|>",    "<end_of_turn>", "<|end_of_turn|>", "</s>",       "<EOT>"};

}  // namespace

absl::StatusOr<Vocabulary> Vocabulary::FromFile(const GgufFile& file) {
  auto names = file.GetStringArray("tokenizer.ggml.tokens");
  if (!names.ok()) return absl::InvalidArgumentError(names.status().message());
  if (names->empty() || names->size() > kMaxTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("a vocabulary of ", names->size(), " tokens, allowed are 1 to ", kMaxTokens));
  }
  if (const TensorInfo* embedding = file.FindTensor("token_embd.weight");
      embedding != nullptr && embedding->rows() != static_cast<int64_t>(names->size())) {
    return absl::InvalidArgumentError(absl::StrCat("the tokenizer has ", names->size(),
                                                   " tokens, the model ", embedding->rows()));
  }
  Vocabulary vocabulary;
  vocabulary.kinds_.assign(names->size(), kNormal);
  for (size_t i = 0; i < names->size(); ++i) {
    vocabulary.names_.emplace_back((*names)[i]);
    // Padding repeats names in some files; the first is the one that is meant.
    vocabulary.by_name_.try_emplace(vocabulary.names_.back(), static_cast<int32_t>(i));
  }
  RETURN_IF_ERROR(vocabulary.ReadKinds(file));
  RETURN_IF_ERROR(vocabulary.ReadRoles(file));
  const ByteLevelAlphabet alphabet;
  for (size_t i = 0; i < names->size(); ++i) {
    const std::string& name = vocabulary.names_[i];
    vocabulary.bytes_.push_back(vocabulary.kinds_[i] == kNormal ? alphabet.Decode(name) : name);
  }
  return vocabulary;
}

absl::Status Vocabulary::ReadKinds(const GgufFile& file) {
  if (!file.Has("tokenizer.ggml.token_type")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<int64_t> types, file.GetIntArray("tokenizer.ggml.token_type"));
  if (types.size() != kinds_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("GGUF key `tokenizer.ggml.token_type` has ",
                                                   types.size(), " entries for ", kinds_.size(),
                                                   " tokens"));
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == kTypeControl || types[i] == kTypeUnknown) kinds_[i] = kControl;
    if (types[i] == kTypeUserDefined) kinds_[i] = kUserDefined;
  }
  return absl::OkStatus();
}

absl::StatusOr<int32_t> Vocabulary::ReadId(const GgufFile& file, const char* key) const {
  if (!file.Has(key)) return -1;
  ASSIGN_OR_RETURN(const int64_t id, file.GetInt(key));
  if (id < 0 || id >= size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("GGUF key `", key, "` is ", id, ", the vocabulary has ", size(), " tokens"));
  }
  return static_cast<int32_t>(id);
}

absl::Status Vocabulary::ReadRoles(const GgufFile& file) {
  ASSIGN_OR_RETURN(bos_, ReadId(file, "tokenizer.ggml.bos_token_id"));
  ASSIGN_OR_RETURN(eos_, ReadId(file, "tokenizer.ggml.eos_token_id"));
  std::vector<int32_t> roles = {bos_, eos_};
  end_tokens_ = {eos_};
  for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    ASSIGN_OR_RETURN(const int32_t id, ReadId(file, key));
    end_tokens_.push_back(id);
    roles.push_back(id);
  }
  for (const absl::string_view name : kEndNames) {
    const int32_t id = Find(name);
    if (id >= 0 && kinds_[static_cast<size_t>(id)] != kNormal) end_tokens_.push_back(id);
  }
  roles.insert(roles.end(), end_tokens_.begin(), end_tokens_.end());
  // A token with a role is a control token whatever the file calls it: text must not make one.
  for (const int32_t id : roles) {
    if (id >= 0) kinds_[static_cast<size_t>(id)] = kControl;
  }
  std::sort(end_tokens_.begin(), end_tokens_.end());
  end_tokens_.erase(std::unique(end_tokens_.begin(), end_tokens_.end()), end_tokens_.end());
  if (!end_tokens_.empty() && end_tokens_.front() < 0) end_tokens_.erase(end_tokens_.begin());
  return absl::OkStatus();
}

int32_t Vocabulary::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

}  // namespace scoville::model
