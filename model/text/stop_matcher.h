// Decides, token by token, whether a generation has produced one of its stop strings.
//
// The core asks this, so that the number of tokens a request makes is a property of the request and
// not of how late a reader looks. Works on bytes; keeps only the tail that a match could still
// begin in. Control tokens are part of it only where the reader sees them: give it
// Tokenizer::TokenBytes of the others alone, unless they are written by name, and it stops where
// Detokenizer stops.
//
// Ownership: a value; the tokenizer's bytes are passed in. Threading: one thread. Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_STOP_MATCHER_H_
#define SCOVILLE_MODEL_TEXT_STOP_MATCHER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace scoville::model {

class StopMatcher {
 public:
  StopMatcher() = default;
  explicit StopMatcher(std::vector<std::string> strings);

  bool empty() const { return strings_.empty(); }
  // Takes a token's bytes; true if some stop string is now complete (once true, the generation is
  // over).
  bool Append(absl::string_view bytes);

 private:
  std::vector<std::string> strings_;
  size_t longest_ = 0;
  std::string tail_;
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_STOP_MATCHER_H_
