// Token ids to text as they come: whole code points only, and nothing that may still turn out to be
// a stop string.
//
// Ownership: borrows the tokenizer. Threading: one stream, one thread at a time. Errors: none;
// bytes that are not UTF-8 become U+FFFD (one per maximal invalid part).
#ifndef SCOVILLE_MODEL_TEXT_DETOKENIZER_H_
#define SCOVILLE_MODEL_TEXT_DETOKENIZER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/text/tokenizer.h"

namespace scoville::model {

struct DetokenizerOptions {
  std::vector<std::string> stop_strings;
  bool keep_match = false;           // leave the stop string in the text
  bool keep_special_tokens = false;  // write control tokens by name
};

class Detokenizer {
 public:
  Detokenizer(const Tokenizer* tokenizer, DetokenizerOptions options);

  // Text that is certain after this token; empty while bytes are held back. After a stop string
  // matched: always empty.
  std::string Append(int32_t token);
  // What is still held back; an incomplete code point becomes U+FFFD.
  std::string Flush();

  // Set once a stop string matched: which one.
  bool stopped() const { return !match_.empty(); }
  const std::string& match() const { return match_; }

 private:
  const Tokenizer* tokenizer_;
  DetokenizerOptions options_;
  std::string pending_;
  std::string match_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_DETOKENIZER_H_
