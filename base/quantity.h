// Reads quantities as people write them: 250W, 1.5kW, 512MiB, 30s, 1.5ms.
//
// A unit is required (a bare 30 could be seconds or milliseconds), 0 excepted. Arithmetic is on
// integers: 0.1s is exactly 100'000'000 ns, and what does not come out whole is refused.
//
// Threading: pure functions. Errors: InvalidArgument saying what was read and which units exist.
#ifndef SCOVILLE_BASE_QUANTITY_H_
#define SCOVILLE_BASE_QUANTITY_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/units.h"

namespace scoville {

absl::StatusOr<Duration> ParseDuration(absl::string_view text);  // ns us ms s m h d
absl::StatusOr<Power> ParsePower(absl::string_view text);        // mW W kW MW
absl::StatusOr<Bytes> ParseBytes(absl::string_view text);        // B kB MB GB TB KiB MiB GiB TiB

}  // namespace scoville

#endif  // SCOVILLE_BASE_QUANTITY_H_
