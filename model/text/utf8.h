// One step through bytes that may or may not be UTF-8.
//
// Well-formed means as in the Unicode standard: no overlong forms, no surrogates, nothing above
// U+10FFFF. An ill-formed part is as long as the bytes could still have begun a code point
// ("maximal subpart"), so that each becomes one U+FFFD, the same as in other careful decoders.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_UTF8_H_
#define SCOVILLE_MODEL_TEXT_UTF8_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace scoville::model {

enum class Utf8Kind {
  kCodePoint,   // a whole code point
  kInvalid,     // bytes that can never become one
  kIncomplete,  // the text ends inside one
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  size_t length = 0;        // bytes, 1 to 4
  uint32_t code_point = 0;  // of kCodePoint
};

// The step at the beginning of `text`, which is not empty.
Utf8Step NextUtf8(absl::string_view text);

// Bytes at the beginning of `text` that are whole code points.
size_t ValidUtf8Prefix(absl::string_view text);

void AppendUtf8(uint32_t code_point, std::string& out);

inline constexpr absl::string_view kReplacementCharacter = "\xef\xbf\xbd";

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_UTF8_H_
