// The texts of the model cards that are compiled in; the definitions are generated from
// deploy/models/*/config.json when the project is configured.
//
// Ownership: static texts. Threading: constants. Errors: none.
#ifndef SCOVILLE_MODEL_CARD_BUILTIN_CARDS_H_
#define SCOVILLE_MODEL_CARD_BUILTIN_CARDS_H_

#include "absl/types/span.h"

namespace scoville::model::internal {

struct BuiltinCardText {
  const char* name;
  const char* json;
};

// In alphabetical order.
absl::Span<const BuiltinCardText> BuiltinCardTexts();

}  // namespace scoville::model::internal

#endif  // SCOVILLE_MODEL_CARD_BUILTIN_CARDS_H_
