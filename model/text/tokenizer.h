// Text to token ids and back, from the vocabulary that the model file carries.
//
// Byte-level BPE (`gpt2` vocabularies). Control tokens are never made out of a user's text unless
// the caller allows it.
//
// Units: bytes and tokens. Ownership: copies what it needs out of the file. Threading: immutable
// after Create; all calls are const and may run on any thread at once. Errors: Create refuses an
// unknown tokenizer model or pre-tokenizer by name and lists the known ones.
#ifndef SCOVILLE_MODEL_TEXT_TOKENIZER_H_
#define SCOVILLE_MODEL_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/gguf/gguf_file.h"

namespace scoville::model {

struct EncodeOptions {
  bool allow_control_tokens = false;  // `<|im_end|>` in the text becomes the control token
  bool add_bos = false;               // as the file's flag asks, where the caller wants the default
};

struct Encoding {
  std::vector<int32_t> tokens;
  int64_t dropped_bytes = 0;  // bytes for which the vocabulary has no token
};

class Tokenizer {
 public:
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Create(const GgufFile& file);
  ~Tokenizer();

  Encoding Encode(absl::string_view text, const EncodeOptions& options = {}) const;

  int64_t vocabulary() const;
  // The bytes a token stands for in text (byte-level decoded); for control tokens their name.
  absl::string_view TokenBytes(int32_t token) const;
  bool IsControl(int32_t token) const;
  // -1 if the vocabulary has no token of exactly this name.
  int32_t FindToken(absl::string_view name) const;

  int32_t bos() const;                           // -1: none
  int32_t eos() const;                           // -1: none
  absl::Span<const int32_t> end_tokens() const;  // every token that ends a generation (eos, eot, …)
  bool add_bos_by_default() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_TOKENIZER_H_
