// Cuts text into the pieces that merges never cross, by the patterns a vocabulary was trained with.
//
// Each pattern is applied inside the pieces of the one before it; what a pattern does not match
// stays as a piece. Time is linear in the text.
//
// Ownership: owns the compiled patterns. Threading: immutable after Create, Split may run on any
// thread. Errors: Create refuses an unknown name and lists the known ones.
#ifndef SCOVILLE_MODEL_TEXT_PRE_TOKENIZER_H_
#define SCOVILLE_MODEL_TEXT_PRE_TOKENIZER_H_

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace scoville::model {

class PreTokenizer {
 public:
  // `name` is the file's `tokenizer.ggml.pre`.
  static absl::StatusOr<std::unique_ptr<PreTokenizer>> Create(absl::string_view name);
  ~PreTokenizer();

  // Calls `piece` for each piece in order; together they are `text`, which must be valid UTF-8.
  void Split(absl::string_view text, absl::FunctionRef<void(absl::string_view)> piece) const;

  // A piece that is itself a token is taken whole, without merges (Llama 3).
  bool whole_pieces_first() const { return whole_pieces_first_; }
  // Whether texts begin with BOS where the file does not say.
  bool adds_bos() const { return adds_bos_; }

 private:
  class Pattern;
  PreTokenizer();

  std::vector<std::unique_ptr<Pattern>> patterns_;
  bool whole_pieces_first_ = false;
  bool adds_bos_ = false;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_PRE_TOKENIZER_H_
