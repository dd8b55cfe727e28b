#include "model/text/byte_level.h"

#include "model/text/utf8.h"

namespace scoville::model {

ByteLevelAlphabet::ByteLevelAlphabet() {
  bytes_.fill(-1);
  // Printable Latin-1 stands for itself, the others follow from U+0100 in their own order.
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte != 173);
    code_points_[byte] = printable ? byte : next++;
    bytes_[code_points_[byte]] = static_cast<int16_t>(byte);
  }
}

std::string ByteLevelAlphabet::Decode(absl::string_view token) const {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const Utf8Step step = NextUtf8(token.substr(at));
    if (step.kind != Utf8Kind::kCodePoint || step.code_point >= bytes_.size() ||
        bytes_[step.code_point] < 0) {
      return std::string(token);
    }
    bytes.push_back(static_cast<char>(bytes_[step.code_point]));
    at += step.length;
  }
  return bytes;
}

}  // namespace scoville::model
