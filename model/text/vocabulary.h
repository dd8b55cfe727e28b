// The tokens of a model file: names, bytes, kinds and the ones with a role.
//
// Units: token ids. Ownership: copies what it needs out of the file. Threading: immutable after
// FromFile. Errors: kInvalidArgument for ids outside the vocabulary and arrays of unequal length.
#ifndef SCOVILLE_MODEL_TEXT_VOCABULARY_H_
#define SCOVILLE_MODEL_TEXT_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/gguf/gguf_file.h"

namespace scoville::model {

class Vocabulary {
 public:
  // Of a byte-level (`gpt2`) vocabulary.
  static absl::StatusOr<Vocabulary> FromFile(const GgufFile& file);

  int64_t size() const { return static_cast<int64_t>(kinds_.size()); }
  bool Contains(int32_t token) const { return token >= 0 && token < size(); }
  // As in the file, in the byte-level alphabet.
  absl::string_view Name(int32_t token) const { return names_[static_cast<size_t>(token)]; }
  // What the token stands for in text; its name for control and user-defined tokens.
  absl::string_view Bytes(int32_t token) const { return bytes_[static_cast<size_t>(token)]; }
  bool IsControl(int32_t token) const { return kinds_[static_cast<size_t>(token)] == kControl; }
  // Tokens that are cut out of any text as a whole, whoever wrote it.
  bool IsUserDefined(int32_t token) const {
    return kinds_[static_cast<size_t>(token)] == kUserDefined;
  }
  int32_t Find(absl::string_view name) const;  // -1: none

  int32_t bos() const { return bos_; }
  int32_t eos() const { return eos_; }
  const std::vector<int32_t>& end_tokens() const { return end_tokens_; }

 private:
  enum Kind : uint8_t { kNormal, kControl, kUserDefined };

  absl::Status ReadKinds(const GgufFile& file);
  absl::Status ReadRoles(const GgufFile& file);
  absl::StatusOr<int32_t> ReadId(const GgufFile& file, const char* key) const;

  std::vector<std::string> names_;
  std::vector<std::string> bytes_;
  std::vector<Kind> kinds_;
  // Looked up only, never walked.
  absl::flat_hash_map<std::string, int32_t> by_name_;
  int32_t bos_ = -1;
  int32_t eos_ = -1;
  std::vector<int32_t> end_tokens_;  // ascending
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_VOCABULARY_H_
