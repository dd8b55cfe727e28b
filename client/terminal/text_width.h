// How many terminal cells a text takes, and how to cut it without breaking a character.
//
// Units: cells; a wide character (CJK, emoji) takes two, a combining mark none. Threading: pure
// functions. Errors: none; a byte that is not UTF-8 counts as one cell and is shown as U+FFFD by
// Printable.
#ifndef SCOVILLE_CLIENT_TERMINAL_TEXT_WIDTH_H_
#define SCOVILLE_CLIENT_TERMINAL_TEXT_WIDTH_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace scoville::client {

// One code point from the front of `text` (not empty): its value, or 0xFFFD for a byte that starts
// no valid sequence, and how many bytes it takes.
struct CodePoint {
  uint32_t value = 0;
  int bytes = 0;
};
CodePoint FirstCodePoint(absl::string_view text);

int DisplayWidth(absl::string_view text);

// `text` itself if it fits, else its longest whole-character prefix with an ellipsis in the last
// cell.
std::string CutToWidth(absl::string_view text, int width);

// `text` padded with blanks to `width` cells (cut if it is longer).
std::string PadToWidth(absl::string_view text, int width, bool to_the_right);

// Safe to send to a terminal: control characters other than newline and tab, and bytes that are not
// UTF-8, become U+FFFD. A model's text must not be able to steer the terminal.
std::string Printable(absl::string_view text);

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_TERMINAL_TEXT_WIDTH_H_
