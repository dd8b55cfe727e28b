// The words of a chat template: its string literals and the text outside of its tags.
//
// Templates are not executed. What a family's renderer has to take from the file (a default system
// message, a space more or less around a mark) stands in these words.
//
// Ownership: the result is a value. Threading: pure function. Errors: none; an unterminated literal
// or tag ends with the template.
#ifndef SCOVILLE_MODEL_TEXT_JINJA_LITERALS_H_
#define SCOVILLE_MODEL_TEXT_JINJA_LITERALS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace scoville::model {

// In order, escapes resolved.
std::vector<std::string> JinjaLiterals(absl::string_view source);

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_JINJA_LITERALS_H_
