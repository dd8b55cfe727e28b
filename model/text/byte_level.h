// The printable alphabet in which byte-level vocabularies are written: each of the 256 bytes has
// one code point of its own, so that a vocabulary is readable text.
//
// Threading: immutable after construction. Errors: none.
#ifndef SCOVILLE_MODEL_TEXT_BYTE_LEVEL_H_
#define SCOVILLE_MODEL_TEXT_BYTE_LEVEL_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace scoville::model {

class ByteLevelAlphabet {
 public:
  ByteLevelAlphabet();

  uint32_t CodePointOf(uint8_t byte) const { return code_points_[byte]; }
  // The bytes a vocabulary entry stands for; an entry with a foreign code point stands for itself.
  std::string Decode(absl::string_view token) const;

 private:
  std::array<uint32_t, 256> code_points_;
  std::array<int16_t, 512> bytes_;  // by code point, -1: none
};

}  // namespace scoville::model

#endif  // SCOVILLE_MODEL_TEXT_BYTE_LEVEL_H_
