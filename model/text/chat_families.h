// One renderer a family of chat templates.
//
// Each takes from the file's template what varies within its family. Ownership: borrows the
// tokenizer. Threading: immutable. Errors: Render refuses roles and orders that the family cannot
// express.
#ifndef SCOVILLE_MODEL_TEXT_CHAT_FAMILIES_H_
#define SCOVILLE_MODEL_TEXT_CHAT_FAMILIES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/text/chat_template.h"

namespace scoville::model {

// A template's source, and what renderers ask about it.
struct ChatSource {
  absl::string_view source;
  std::vector<std::string> literals;

  bool Mentions(absl::string_view word) const;
  // Some literal holds `part`.
  bool Says(absl::string_view part) const;
  // Messages are stripped of white space at both ends.
  bool trims() const;
  // The template's text begins with the BOS token.
  bool begins_with_bos() const;
};

std::unique_ptr<ChatTemplate> MakeChatMl(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakeLlama2(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakeLlama3(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakeMistral(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakeGemma(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakePhi3(const Tokenizer* tokenizer, const ChatSource& source);
std::unique_ptr<ChatTemplate> MakeZephyr(const Tokenizer* tokenizer, const ChatSource& source);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_CHAT_FAMILIES_H_
