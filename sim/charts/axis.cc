#include "sim/charts/axis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace scoville::sim::charts {

namespace {

// How far a value may lie beyond a tick and still stand on it, in steps.
constexpr double kHair = 1e-9;

struct Range {
  double low = 0;
  double high = 0;
  bool any = false;
};

Range RangeOf(absl::Span<const double> values, bool above_zero) {
  Range range;
  for (const double value : values) {
    if (!std::isfinite(value) || (above_zero && value <= 0)) {
      continue;
    }
    range.low = range.any ? std::min(range.low, value) : value;
    range.high = range.any ? std::max(range.high, value) : value;
    range.any = true;
  }
  return range;
}

double NiceStep(double span, int wanted) {
  const double rough = span / std::max(wanted, 1);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * (1 - kHair)) {
      return factor * power;
    }
  }
  return 10 * power;
}

// Digits after the point that tell multiples of `step` apart.
int Decimals(double step) {
  for (int digits = 0; digits < 9; ++digits) {
    const double scaled = step * std::pow(10.0, digits);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) {
      return digits;
    }
  }
  return 9;
}

// "20k" when all labels of the axis are that long.
std::string TickLabel(double value, double step, double largest) {
  struct Prefix {
    double factor;
    const char* name;
  };
  if (value == 0) {
    return "0";
  }
  for (const Prefix& prefix :
       {Prefix{1e12, "T"}, Prefix{1e9, "G"}, Prefix{1e6, "M"}, Prefix{1e3, "k"}}) {
    if (largest >= 10 * prefix.factor) {
      return absl::StrCat(Fixed(value / prefix.factor, Decimals(step / prefix.factor)),
                          prefix.name);
    }
  }
  return Fixed(value, Decimals(step));
}

void AddLinearTicks(double step, Axis* axis) {
  const double largest = std::max(std::abs(axis->low), std::abs(axis->high));
  const int64_t first = static_cast<int64_t>(std::ceil(axis->low / step - kHair));
  const int64_t last = static_cast<int64_t>(std::floor(axis->high / step + kHair));
  for (int64_t i = first; i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    axis->ticks.push_back({value, TickLabel(value, step, largest), true});
  }
}

std::string LogLabel(double value) {
  if (value >= 1e4) {
    return TickLabel(value, value, value >= 1e4 && value < 1e6 ? 1e4 : value);
  }
  return Fixed(value, Decimals(value));
}

void AddLogTicks(int wanted, Axis* axis) {
  const int first = static_cast<int>(std::floor(std::log10(axis->low) + kHair));
  const int last = static_cast<int>(std::ceil(std::log10(axis->high) - kHair));
  const double decades = std::log10(axis->high / axis->low);
  // Two decades at least have labels of their own; a shorter axis has them between as well.
  const bool between = 3 * decades <= wanted + 1 || decades < 2;
  const bool all = decades <= 1 && wanted >= 6;
  for (int decade = first; decade <= last; ++decade) {
    for (int digit = 1; digit <= 9; ++digit) {
      const double value = digit * std::pow(10.0, decade);
      if (value < axis->low * (1 - kHair) || value > axis->high * (1 + kHair)) {
        continue;
      }
      const bool major = digit == 1 || (between && (digit == 2 || digit == 5)) ||
                         (all && digit != 7 && digit != 9);
      axis->ticks.push_back({value, major ? LogLabel(value) : "", major});
    }
  }
}

void AddTicksAt(const std::vector<double>& at, Axis* axis) {
  for (const double value : at) {
    if (value >= axis->low && value <= axis->high) {
      axis->ticks.push_back({value, axis->logarithmic ? LogLabel(value) : Rounded(value), true});
    }
  }
}

std::string Grouped(std::string digits) {
  const size_t point = std::min(digits.find('.'), digits.size());
  const size_t start = digits[0] == '-' ? 1 : 0;
  for (size_t at = point; at > start + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace

double Axis::Position(double value) const {
  return logarithmic ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                     : (value - low) / (high - low);
}

Axis MakeAxis(const AxisOptions& options, absl::Span<const double> values, int wanted_ticks) {
  Axis axis;
  axis.logarithmic = options.logarithmic;
  Range range = RangeOf(values, options.logarithmic);
  if (!range.any) {
    range = {options.logarithmic ? 1.0 : 0.0, options.logarithmic ? 10.0 : 1.0, true};
  }
  if (options.logarithmic) {
    axis.low = options.low.value_or(range.low / 1.15);
    axis.high = options.high.value_or(range.high * 1.15);
    options.at.empty() ? AddLogTicks(wanted_ticks, &axis) : AddTicksAt(options.at, &axis);
    return axis;
  }
  if (options.from_zero && range.low > 0) {
    range.low = 0;
  }
  if (options.from_zero && range.high < 0) {
    range.high = 0;
  }
  if (range.low == range.high) {
    const double room = range.low == 0 ? 1 : std::abs(range.low) * 0.1;
    range.low -= room;
    range.high += room;
  }
  const double step =
      NiceStep(options.high.value_or(range.high) - options.low.value_or(range.low), wanted_ticks);
  axis.low = options.low.value_or(std::floor(range.low / step + kHair) * step);
  axis.high = options.high.value_or(std::ceil(range.high / step - kHair) * step);
  options.at.empty() ? AddLinearTicks(step, &axis) : AddTicksAt(options.at, &axis);
  return axis;
}

std::string Fixed(double value, int decimals) {
  std::string text = absl::StrFormat("%.*f", decimals, value);
  if (text.find_first_of("123456789") == std::string::npos && text[0] == '-') {
    text.erase(0, 1);
  }
  return std::isfinite(value) ? Grouped(text) : text;
}

std::string Rounded(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value) || size == 0) {
    return size == 0 ? "0" : "-";
  }
  int decimals = 0;
  for (double limit = 99.95; size < limit && decimals < 9; limit /= 10) {
    ++decimals;
  }
  return Fixed(value, decimals);
}

}  // namespace scoville::sim::charts
