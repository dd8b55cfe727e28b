// The known name that a mistyped one most likely meant, for error messages.
//
// Threading: pure functions. Errors: none.
#ifndef SCOVILLE_BASE_NEAREST_NAME_H_
#define SCOVILLE_BASE_NEAREST_NAME_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, counted up to
// `limit` (more than that returns limit + 1).
size_t EditDistance(absl::string_view a, absl::string_view b, size_t limit);

// The nearest of `known` within a third of the name's length (at least 2 edits); empty if none is
// that near. Ties go to the earlier one.
std::string NearestName(absl::string_view name, absl::Span<const std::string> known);

// "; did you mean 'x'?" or nothing.
std::string DidYouMean(absl::string_view name, absl::Span<const std::string> known);

}  // namespace scoville

#endif  // SCOVILLE_BASE_NEAREST_NAME_H_
