#include "client/terminal/figures.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace scoville::client {
namespace {

struct Prefix {
  double scale;
  absl::string_view text;
};

constexpr std::array<Prefix, 7> kPrefixes = {
    {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1.0, ""}, {1e-3, "m"}, {1e-6, "u"}, {1e-9, "n"}}};

// Three significant digits of a value in [1, 1000).
std::string ThreeDigits(double value) {
  const double size = std::abs(value);
  return absl::StrFormat("%.*f", size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2, value);
}

std::string WithPrefix(double value, absl::string_view unit) {
  if (!std::isfinite(value)) {
    return "-";
  }
  if (value == 0) {
    return absl::StrCat("0 ", unit);
  }
  for (const Prefix& prefix : kPrefixes) {
    // 999.6 would be rounded to 1000 of the smaller unit.
    if (std::abs(value) >= prefix.scale * 0.9995) {
      return absl::StrCat(ThreeDigits(value / prefix.scale), " ", prefix.text, unit);
    }
  }
  return absl::StrFormat("%.2g %s", value, unit);
}

}  // namespace

std::string JoulesText(double joules) { return WithPrefix(joules, "J"); }

std::string WattsText(double watts) { return WithPrefix(watts, "W"); }

std::string SecondsText(double seconds) {
  return std::abs(seconds) >= 1 ? absl::StrCat(ThreeDigits(seconds), " s")
                                : WithPrefix(seconds, "s");
}

std::string HertzText(double hertz) { return WithPrefix(hertz, "Hz"); }

std::string RateText(double per_second) {
  if (!std::isfinite(per_second)) {
    return "-";
  }
  if (per_second == 0) {
    return "0";
  }
  if (std::abs(per_second) >= 999.5) {
    return CountText(std::llround(per_second));
  }
  return std::abs(per_second) >= 0.01 ? ThreeDigits(per_second)
                                      : absl::StrFormat("%.2g", per_second);
}

std::string CountText(int64_t count) {
  const std::string digits = absl::StrCat(count < 0 ? -count : count);
  std::string out = count < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) {
      out.push_back(',');
    }
    out.push_back(digits[i]);
  }
  return out;
}

std::string CompactText(int64_t count) {
  const double value = static_cast<double>(count);
  if (std::abs(value) < 9999.5) {
    return absl::StrCat(count);
  }
  if (std::abs(value) < 999.5e3) {
    return absl::StrCat(ThreeDigits(value / 1e3), "k");
  }
  return std::abs(value) < 999.5e6 ? absl::StrCat(ThreeDigits(value / 1e6), "M")
                                   : absl::StrCat(ThreeDigits(value / 1e9), "G");
}

std::string QuotientText(double a, double b) { return b == 0 ? "-" : RateText(a / b); }

}  // namespace scoville::client
