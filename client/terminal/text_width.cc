#include "client/terminal/text_width.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace scoville::client {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;
constexpr absl::string_view kReplacementText = "\xEF\xBF\xBD";
constexpr absl::string_view kEllipsis = "\xE2\x80\xA6";

struct Range {
  uint32_t first;
  uint32_t last;
};

// Blocks of combining marks and invisible joiners; enough for names and chat text.
constexpr std::array<Range, 9> kZeroWidth = {{{0x0300, 0x036F},
                                              {0x0483, 0x0489},
                                              {0x0591, 0x05BD},
                                              {0x064B, 0x065F},
                                              {0x1AB0, 0x1AFF},
                                              {0x200B, 0x200F},
                                              {0x20D0, 0x20FF},
                                              {0xFE00, 0xFE0F},
                                              {0xFE20, 0xFE2F}}};

// East Asian wide and full-width blocks, and the emoji planes.
constexpr std::array<Range, 11> kDoubleWidth = {{{0x1100, 0x115F},
                                                 {0x231A, 0x231B},
                                                 {0x2E80, 0x303E},
                                                 {0x3041, 0x33FF},
                                                 {0x3400, 0x4DBF},
                                                 {0x4E00, 0xA4CF},
                                                 {0xAC00, 0xD7A3},
                                                 {0xF900, 0xFAFF},
                                                 {0xFE30, 0xFE6F},
                                                 {0xFF00, 0xFF60},
                                                 {0x1F300, 0x3FFFD}}};

template <size_t kSize>
bool InAny(const std::array<Range, kSize>& ranges, uint32_t value) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [value](Range r) { return value >= r.first && value <= r.last; });
}

int WidthOf(uint32_t value) {
  if (InAny(kZeroWidth, value)) {
    return 0;
  }
  return InAny(kDoubleWidth, value) ? 2 : 1;
}

bool IsControl(uint32_t value) {
  return (value < 0x20 && value != '\n' && value != '\t') || (value >= 0x7F && value < 0xA0) ||
         (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
}

}  // namespace

CodePoint FirstCodePoint(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < static_cast<size_t>(length)) {
    return {kReplacement, 1};
  }
  uint32_t value = lead & (0x7F >> length);
  for (int i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return {kReplacement, 1};
    }
    value = (value << 6) | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    return {kReplacement, 1};
  }
  return {value, length};
}

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    width += WidthOf(point.value);
    text.remove_prefix(point.bytes);
  }
  return width;
}

std::string CutToWidth(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) {
    return std::string(text);
  }
  if (width <= 0) {
    return "";
  }
  int used = 0;
  size_t end = 0;
  while (end < text.size()) {
    const CodePoint point = FirstCodePoint(text.substr(end));
    if (used + WidthOf(point.value) > width - 1) {
      break;
    }
    used += WidthOf(point.value);
    end += point.bytes;
  }
  return absl::StrCat(text.substr(0, end), kEllipsis);
}

std::string PadToWidth(absl::string_view text, int width, bool to_the_right) {
  const std::string cut = CutToWidth(text, width);
  const std::string blanks(std::max(0, width - DisplayWidth(cut)), ' ');
  return to_the_right ? blanks + cut : cut + blanks;
}

std::string Printable(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = FirstCodePoint(text);
    const bool invalid = point.value == kReplacement && point.bytes == 1;
    if (invalid || IsControl(point.value)) {
      absl::StrAppend(&out, kReplacementText);
    } else {
      absl::StrAppend(&out, text.substr(0, point.bytes));
    }
    text.remove_prefix(point.bytes);
  }
  return out;
}

}  // namespace scoville::client
