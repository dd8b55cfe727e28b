// Puts a prompt together out of control tokens, as ids, and text.
//
// Text that stands together is tokenized together, since merges run across the seam between a
// template's words and a message; control tokens are never looked for in it.
//
// Ownership: borrows the tokenizer. Threading: one thread. Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_PROMPT_BUILDER_H_
#define SCOVILLE_MODEL_TEXT_PROMPT_BUILDER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

class PromptBuilder {
 public:
  explicit PromptBuilder(const Tokenizer* tokenizer) : tokenizer_(tokenizer) {}

  // A mark of the template: a control token where the vocabulary has one of this name, else text.
  void Mark(absl::string_view name);
  void Token(int32_t token);  // nothing for -1
  void Text(absl::string_view text) { text_.append(text.data(), text.size()); }

  Encoding Finish();

 private:
  void EncodeText();

  const Tokenizer* tokenizer_;
  std::string text_;
  Encoding out_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_PROMPT_BUILDER_H_
