// Where values lie on an axis, which of them get a tick, and how numbers are written.
//
// Ticks of a linear axis are multiples of 1, 2, 2.5 or 5 times a power of ten; of a logarithmic
// one, decades with 2 and 5 between them while there is room.
//
// Threading: pure. Errors: none; values that are not finite are left out of the range.
#ifndef SCOVILLE_SIM_CHARTS_AXIS_H_
#define SCOVILLE_SIM_CHARTS_AXIS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace scoville::sim::charts {

struct AxisOptions {
  std::string label;  // with its unit
  bool logarithmic = false;
  bool from_zero = true;        // a linear axis of values above zero begins at zero
  std::vector<double> at = {};  // where ticks stand instead of where the axis would put them
  std::optional<double> low = std::nullopt;  // instead of what the values ask for
  std::optional<double> high = std::nullopt;
};

struct Tick {
  double value = 0;
  std::string label;
  bool major = true;  // a minor one has a faint grid line and no label
};

struct Axis {
  double low = 0;
  double high = 1;
  bool logarithmic = false;
  std::vector<Tick> ticks;

  // 0 at `low`, 1 at `high`. A logarithmic axis holds values above zero only.
  double Position(double value) const;
};

// An axis that holds every finite value, with about `wanted_ticks` labels.
Axis MakeAxis(const AxisOptions& options, absl::Span<const double> values, int wanted_ticks);

// Three significant digits, thousands grouped: 0.0123, 4.56, 78.9, 12,345.
std::string Rounded(double value);
// `decimals` digits after the point, thousands grouped.
std::string Fixed(double value, int decimals);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_AXIS_H_
