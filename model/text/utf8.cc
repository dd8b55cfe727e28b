#include "model/text/utf8.h"

namespace scoville::model {

namespace {

// What may follow a lead byte: how many bytes, and the range of the first of them, which is where
// overlong forms, surrogates and values above U+10FFFF show.
struct Lead {
  size_t continuations = 0;  // 0: not a lead byte of a longer form
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
};

Lead Classify(uint8_t byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return {1, 0x80, 0xbf};
  if (byte == 0xe0) return {2, 0xa0, 0xbf};
  if (byte == 0xed) return {2, 0x80, 0x9f};
  if (byte >= 0xe1 && byte <= 0xef) return {2, 0x80, 0xbf};
  if (byte == 0xf0) return {3, 0x90, 0xbf};
  if (byte >= 0xf1 && byte <= 0xf3) return {3, 0x80, 0xbf};
  if (byte == 0xf4) return {3, 0x80, 0x8f};
  return {};
}

}  // namespace

Utf8Step NextUtf8(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {Utf8Kind::kCodePoint, 1, first};
  const Lead lead = Classify(first);
  if (lead.continuations == 0) return {Utf8Kind::kInvalid, 1, 0};
  uint32_t code_point = first & (0x3fu >> lead.continuations);
  for (size_t i = 1; i <= lead.continuations; ++i) {
    if (i >= text.size()) return {Utf8Kind::kIncomplete, i, 0};
    const auto byte = static_cast<uint8_t>(text[i]);
    const uint8_t low = i == 1 ? lead.low : 0x80;
    const uint8_t high = i == 1 ? lead.high : 0xbf;
    if (byte < low || byte > high) return {Utf8Kind::kInvalid, i, 0};
    code_point = (code_point << 6) | (byte & 0x3fu);
  }
  return {Utf8Kind::kCodePoint, lead.continuations + 1, code_point};
}

size_t ValidUtf8Prefix(absl::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (step.kind != Utf8Kind::kCodePoint) break;
    at += step.length;
  }
  return at;
}

void AppendUtf8(uint32_t code_point, std::string& out) {
  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
    return;
  }
  if (code_point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (code_point >> 6)));
  } else {
    if (code_point < 0x10000) {
      out.push_back(static_cast<char>(0xe0 | (code_point >> 12)));
    } else {
      out.push_back(static_cast<char>(0xf0 | (code_point >> 18)));
      out.push_back(static_cast<char>(0x80 | ((code_point >> 12) & 0x3f)));
    }
    out.push_back(static_cast<char>(0x80 | ((code_point >> 6) & 0x3f)));
  }
  out.push_back(static_cast<char>(0x80 | (code_point & 0x3f)));
}

}  // namespace scoville::model
