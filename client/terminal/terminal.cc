#include "client/terminal/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace scoville::client {
namespace {

absl::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? absl::string_view() : absl::string_view(value);
}

// The first of the three variables that is set decides, as in POSIX. None set is common in
// containers, whose output is read on UTF-8 terminals.
bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const absl::string_view value = Environment(name);
    if (!value.empty()) {
      return absl::StrContains(absl::AsciiStrToLower(value), "utf");
    }
  }
  return true;
}

int Columns(bool is_terminal) {
  int columns = 0;
  if (absl::SimpleAtoi(Environment("COLUMNS"), &columns) && columns > 0) {
    return columns;
  }
  if (!is_terminal) {
    return 0;
  }
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 80;
}

const char* Code(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "1";
    case Style::kDim:
      return "2";
    case Style::kGreen:
      return "32";
    case Style::kYellow:
      return "33";
    case Style::kRed:
      return "31";
  }
  return "";
}

}  // namespace

std::string Terminal::Styled(absl::string_view text, Style style) const {
  if (!colour || style == Style::kPlain) {
    return std::string(text);
  }
  return absl::StrCat("\x1b[", Code(style), "m", text, "\x1b[0m");
}

Terminal DetectTerminal() {
  Terminal t;
  t.stdin_is_terminal = isatty(STDIN_FILENO) == 1;
  t.stdout_is_terminal = isatty(STDOUT_FILENO) == 1;
  t.stderr_is_terminal = isatty(STDERR_FILENO) == 1;
  t.colour = t.stdout_is_terminal && Environment("NO_COLOR").empty() &&
             Environment("TERM") != "dumb" && !Environment("TERM").empty();
  t.utf8 = LocaleIsUtf8();
  t.columns = Columns(t.stdout_is_terminal);
  return t;
}

}  // namespace scoville::client
