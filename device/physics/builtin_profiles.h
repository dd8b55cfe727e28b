// The texts of the profiles that are compiled in; the definitions are generated from
// deploy/profiles/*.yaml when the project is configured.
//
// Ownership: static texts. Threading: constants. Errors: none.
#ifndef SCOVILLE_DEVICE_PHYSICS_BUILTIN_PROFILES_H_
#define SCOVILLE_DEVICE_PHYSICS_BUILTIN_PROFILES_H_

#include "absl/types/span.h"

namespace scoville::device::internal {

struct BuiltinProfileText {
  const char* name;
  const char* yaml;
};

// In alphabetical order.
absl::Span<const BuiltinProfileText> BuiltinProfileTexts();

}  // namespace scoville::device::internal

#endif  // SCOVILLE_DEVICE_PHYSICS_BUILTIN_PROFILES_H_
