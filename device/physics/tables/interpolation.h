// Piecewise linear functions over measured points: of one variable (Curve) and, on a rectangular
// grid, of up to four (Grid).
//
// Between points both are linear in each variable: time of attention over batch x context is
// exactly such a function, and of a matrix product nearly. Below the first point of a variable its
// value is held (calls have a least time). Above the last one both go on in a straight line: a grid
// along its last cell, a curve along the line from half its range to the end, since its last two
// points may be close and noisy. No value is below the least one measured.
//
// Units: the caller's. Ownership: values. Threading: immutable after they are made.
// Errors: InvalidArgument without a place: what is wrong with the points.
#ifndef SCOVILLE_DEVICE_PHYSICS_TABLES_INTERPOLATION_H_
#define SCOVILLE_DEVICE_PHYSICS_TABLES_INTERPOLATION_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace scoville::device {

class Curve {
 public:
  Curve() = default;
  // Any order; two at one place are an error. At least one point.
  static absl::StatusOr<Curve> Make(std::vector<std::pair<double, double>> points);
  // a + factor x b, exact at the points of both.
  static Curve Sum(const Curve& a, const Curve& b, double factor);

  double At(double x) const;
  bool empty() const { return points_.empty(); }

 private:
  std::vector<std::pair<double, double>> points_;  // by x
  double least_ = 0;
  size_t middle_ = 0;  // the first point from half the range on
};

class Grid {
 public:
  static constexpr int kMostAxes = 4;
  static constexpr size_t kMostAxisValues = 256;
  struct Point {
    std::array<double, kMostAxes> at{};
    double value = 0;
  };

  Grid() = default;
  // Measured points seldom fill a grid. Until what is left is complete, the value of an axis is
  // dropped whose slice is emptiest (ties: the later axis, the larger value). Tables often hold two
  // grids, one denser, one wider: what the axis values of the points left out make is a second
  // part, and taken if it reaches further and has at least half as many points. Each axis keeps at
  // least two values. `names` name the axes and say how many there are.
  static absl::StatusOr<Grid> Make(std::vector<Point> points,
                                   absl::Span<const absl::string_view> names);

  double At(const std::array<double, kMostAxes>& x) const;
  bool empty() const { return values_.empty(); }
  const std::vector<double>& axis(int i) const { return axes_[static_cast<size_t>(i)]; }

 private:
  std::array<std::vector<double>, kMostAxes> axes_;
  size_t dimensions_ = 0;
  std::vector<double> values_;  // the last axis fastest
  double least_ = 0;
};

}  // namespace scoville::device

#endif  // SCOVILLE_DEVICE_PHYSICS_TABLES_INTERPOLATION_H_
