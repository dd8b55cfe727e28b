#include "base/quantity.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace scoville {

namespace {

struct Unit {
  const char* name;
  int64_t scale;  // base units
};

constexpr Unit kDurationUnits[] = {{"ns", 1},
                                   {"us", 1'000},
                                   {"ms", 1'000'000},
                                   {"s", 1'000'000'000},
                                   {"m", 60'000'000'000},
                                   {"h", 3'600'000'000'000},
                                   {"d", 86'400'000'000'000}};
constexpr Unit kPowerUnits[] = {{"mW", 1}, {"W", 1'000}, {"kW", 1'000'000}, {"MW", 1'000'000'000}};
constexpr Unit kBytesUnits[] = {{"B", 1},
                                {"kB", 1'000},
                                {"MB", 1'000'000},
                                {"GB", 1'000'000'000},
                                {"TB", 1'000'000'000'000},
                                {"KiB", 1LL << 10},
                                {"MiB", 1LL << 20},
                                {"GiB", 1LL << 30},
                                {"TiB", 1LL << 40}};

// More digits than these cannot fit int64 or would be finer than any base unit.
constexpr size_t kMaxDigits = 18;

absl::Status Bad(absl::string_view text, absl::string_view what, absl::Span<const Unit> units) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "' ", what, "; write a number and a unit of ",
      absl::StrJoin(units, ", ", [](std::string* out, const Unit& u) { out->append(u.name); })));
}

// Digits before and after the point as one integer, and the power of ten it is divided by.
struct Decimal {
  int64_t digits = 0;
  int64_t divisor = 1;
};

// Takes a non-negative decimal number off the front of `rest`; false if there is none that fits.
bool TakeDecimal(absl::string_view* rest, Decimal* out) {
  size_t count = 0;
  bool point = false;
  size_t i = 0;
  for (; i < rest->size(); ++i) {
    const char c = (*rest)[i];
    if (c == '.' && !point && i > 0) {
      point = true;
      continue;
    }
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      break;
    }
    if (++count > kMaxDigits) {
      return false;
    }
    out->digits = out->digits * 10 + (c - '0');
    out->divisor *= point ? 10 : 1;
  }
  if (count == 0 || (*rest)[i - 1] == '.') {
    return false;
  }
  rest->remove_prefix(i);
  return true;
}

absl::StatusOr<int64_t> Parse(absl::string_view text, absl::Span<const Unit> units) {
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  Decimal number;
  if (!TakeDecimal(&rest, &number)) {
    return Bad(text, "is not a quantity", units);
  }
  rest = absl::StripLeadingAsciiWhitespace(rest);
  if (rest.empty()) {
    if (number.digits == 0) {
      return 0;
    }
    return Bad(text, "has no unit", units);
  }
  for (const Unit& unit : units) {
    if (rest != unit.name) {
      continue;
    }
    const __int128 scaled = static_cast<__int128>(number.digits) * unit.scale;
    if (scaled % number.divisor != 0) {
      return Bad(text, absl::StrCat("is finer than 1 ", units[0].name), units);
    }
    if (scaled / number.divisor > INT64_MAX) {
      return Bad(text, "is too large", units);
    }
    return static_cast<int64_t>(scaled / number.divisor);
  }
  return Bad(text, absl::StrCat("has an unknown unit '", rest, "'"), units);
}

}  // namespace

absl::StatusOr<Duration> ParseDuration(absl::string_view text) {
  ASSIGN_OR_RETURN(const int64_t value, Parse(text, kDurationUnits));
  return Duration(value);
}

absl::StatusOr<Power> ParsePower(absl::string_view text) {
  ASSIGN_OR_RETURN(const int64_t value, Parse(text, kPowerUnits));
  return Power(value);
}

absl::StatusOr<Bytes> ParseBytes(absl::string_view text) {
  ASSIGN_OR_RETURN(const int64_t value, Parse(text, kBytesUnits));
  return Bytes(value);
}

}  // namespace scoville
