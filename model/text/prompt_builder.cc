#include "model/text/prompt_builder.h"

#include <utility>

namespace scoville::model {

void PromptBuilder::EncodeText() {
  if (text_.empty()) return;
  const Encoding part = tokenizer_->Encode(text_);
  out_.tokens.insert(out_.tokens.end(), part.tokens.begin(), part.tokens.end());
  out_.dropped_bytes += part.dropped_bytes;
  text_.clear();
}

void PromptBuilder::Mark(absl::string_view name) {
  const int32_t token = tokenizer_->FindToken(name);
  if (token >= 0 && tokenizer_->IsControl(token)) {
    Token(token);
  } else {
    Text(name);
  }
}

void PromptBuilder::Token(int32_t token) {
  if (token < 0) return;
  EncodeText();
  out_.tokens.push_back(token);
}

Encoding PromptBuilder::Finish() {
  EncodeText();
  return std::move(out_);
}

}  // namespace scoville::model
