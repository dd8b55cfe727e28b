// Turns a conversation into the token ids the model was trained to continue.
//
// The family is recognised from the file's `tokenizer.chat_template`; control tokens go in as ids,
// message text as plain text, so a user cannot write a control token.
//
// Ownership: borrows the tokenizer. Threading: immutable. Errors: Create refuses a template of no
// known family, saying which are known; Render refuses roles and orders the family cannot express.
#ifndef SCOVILLE_MODEL_TEXT_CHAT_TEMPLATE_H_
#define SCOVILLE_MODEL_TEXT_CHAT_TEMPLATE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/gguf/gguf_file.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

struct ChatMessage {
  std::string role;  // system, user, assistant
  std::string content;
};

class ChatTemplate {
 public:
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> Create(const GgufFile& file,
                                                              const Tokenizer* tokenizer);
  virtual ~ChatTemplate() = default;

  virtual absl::string_view family() const = 0;  // `chatml`, …
  // With `continue_final` the last message (an assistant's) is left open to be continued; else the
  // assistant's turn is opened after it.
  virtual absl::StatusOr<Encoding> Render(absl::Span<const ChatMessage> messages,
                                          bool continue_final) const = 0;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_CHAT_TEMPLATE_H_
