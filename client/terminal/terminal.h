// What the three standard streams are connected to, and what may be drawn there.
//
// Ownership: a plain value, taken once at the start of a command. Threading: any. Errors: none;
// what cannot be found out has a safe default (80 columns, no colour).
#ifndef SCOVILLE_CLIENT_TERMINAL_TERMINAL_H_
#define SCOVILLE_CLIENT_TERMINAL_TERMINAL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace scoville::client {

enum class Style { kPlain, kBold, kDim, kGreen, kYellow, kRed };

struct Terminal {
  bool stdin_is_terminal = false;
  bool stdout_is_terminal = false;
  bool stderr_is_terminal = false;
  bool colour = false;  // of stdout: a terminal, NO_COLOR unset or empty, TERM not "dumb"
  bool utf8 = true;     // line drawing by box characters; else by -, | and +
  int columns = 0;      // of stdout; 0: no limit (not a terminal and COLUMNS unset)

  // `text` with the escape sequences of `style`, or as it is when colour is off.
  std::string Styled(absl::string_view text, Style style) const;
};

// Looks at the streams and at NO_COLOR, TERM, COLUMNS, LC_ALL, LC_CTYPE and LANG.
Terminal DetectTerminal();

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_TERMINAL_TERMINAL_H_
