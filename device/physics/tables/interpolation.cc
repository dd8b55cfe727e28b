#include "device/physics/tables/interpolation.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace scoville::device {

namespace {

using Coordinates = std::array<double, Grid::kMostAxes>;

// The cell of `axis` (at least two values) that x lies in, and where in it: 0 at its lower end, 1
// at its upper one, more beyond the last value.
struct Cell {
  size_t lower = 0;
  double weight = 0;
};

Cell Locate(const std::vector<double>& axis, double x) {
  if (x <= axis.front()) {
    return {};
  }
  const size_t above =
      static_cast<size_t>(std::upper_bound(axis.begin(), axis.end(), x) - axis.begin());
  const size_t lower = std::min(above - 1, axis.size() - 2);
  return {lower, (x - axis[lower]) / (axis[lower + 1] - axis[lower])};
}

std::vector<double> ValuesOf(const std::vector<Grid::Point>& points, size_t axis) {
  std::vector<double> values;
  for (const Grid::Point& point : points) {
    values.push_back(point.at[axis]);
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

size_t IndexOf(const std::vector<double>& axis, double value) {
  return static_cast<size_t>(std::lower_bound(axis.begin(), axis.end(), value) - axis.begin());
}

struct Slice {
  size_t axis = 0;
  size_t value = 0;
  double filled = 1;  // share of its places that have a point
};

Slice EmptiestSlice(const std::vector<Grid::Point>& points,
                    const std::array<std::vector<double>, Grid::kMostAxes>& axes, size_t dimensions,
                    double places) {
  Slice emptiest;
  for (size_t a = 0; a < dimensions; ++a) {
    std::vector<int64_t> count(axes[a].size(), 0);
    for (const Grid::Point& point : points) {
      ++count[IndexOf(axes[a], point.at[a])];
    }
    const double all = places / static_cast<double>(axes[a].size());
    for (size_t v = 0; v < count.size(); ++v) {
      const double filled = static_cast<double>(count[v]) / all;
      if (filled <= emptiest.filled) {
        emptiest = {a, v, filled};
      }
    }
  }
  return emptiest;
}

}  // namespace

absl::StatusOr<Curve> Curve::Make(std::vector<std::pair<double, double>> points) {
  if (points.empty()) {
    return absl::InvalidArgumentError("no point");
  }
  std::sort(points.begin(), points.end());
  Curve curve;
  curve.least_ = points.front().second;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i > 0 && points[i].first == points[i - 1].first) {
      return absl::InvalidArgumentError(absl::StrCat("two values at ", points[i].first));
    }
    curve.least_ = std::min(curve.least_, points[i].second);
  }
  const double half = points.back().first / 2;
  while (points[curve.middle_].first < half) {
    ++curve.middle_;
  }
  // A jump from below half to the end leaves no other point: the last segment, then.
  if (curve.middle_ + 1 == points.size() && points.size() > 1) {
    --curve.middle_;
  }
  curve.points_ = std::move(points);
  return curve;
}

Curve Curve::Sum(const Curve& a, const Curve& b, double factor) {
  std::vector<std::pair<double, double>> points;
  for (const Curve* curve : {&a, &b}) {
    for (const auto& point : curve->points_) {
      points.emplace_back(point.first, a.At(point.first) + factor * b.At(point.first));
    }
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return *Make(std::move(points));
}

double Curve::At(double x) const {
  if (points_.empty()) {
    return 0;
  }
  if (x <= points_.front().first || points_.size() == 1) {
    return points_.front().second;
  }
  size_t lower = middle_;
  size_t upper = points_.size() - 1;
  if (x < points_.back().first) {
    const auto above =
        std::upper_bound(points_.begin(), points_.end(), x,
                         [](double v, const auto& point) { return v < point.first; });
    upper = static_cast<size_t>(above - points_.begin());
    lower = upper - 1;
  }
  const auto& [x0, y0] = points_[lower];
  const auto& [x1, y1] = points_[upper];
  return std::max(least_, y0 + (y1 - y0) * ((x - x0) / (x1 - x0)));
}

absl::StatusOr<Grid> Grid::Make(std::vector<Point> points,
                                absl::Span<const absl::string_view> names) {
  Grid grid;
  grid.dimensions_ = names.size();
  const auto by_place = [](const Point& a, const Point& b) { return a.at < b.at; };
  std::sort(points.begin(), points.end(), by_place);
  for (size_t i = 1; i < points.size(); ++i) {
    if (points[i].at == points[i - 1].at) {
      std::vector<double> at(points[i].at.begin(), points[i].at.begin() + names.size());
      return absl::InvalidArgumentError(
          absl::StrCat("two values at ", absl::StrJoin(names, ","), " = ", absl::StrJoin(at, ",")));
    }
  }
  double places = 1;
  for (size_t a = 0; a < grid.dimensions_; ++a) {
    grid.axes_[a] = ValuesOf(points, a);
    if (grid.axes_[a].size() > kMostAxisValues) {
      return absl::InvalidArgumentError(absl::StrCat(names[a], " has ", grid.axes_[a].size(),
                                                     " different values, at most ", kMostAxisValues,
                                                     " are read"));
    }
    places *= static_cast<double>(grid.axes_[a].size());
  }
  while (static_cast<double>(points.size()) < places) {
    const Slice slice = EmptiestSlice(points, grid.axes_, grid.dimensions_, places);
    std::vector<double>& axis = grid.axes_[slice.axis];
    const double dropped = axis[slice.value];
    places = places / static_cast<double>(axis.size()) * static_cast<double>(axis.size() - 1);
    axis.erase(axis.begin() + static_cast<ptrdiff_t>(slice.value));
    std::erase_if(points, [&](const Point& p) { return p.at[slice.axis] == dropped; });
    // A value of another axis may have had no other points.
    for (size_t a = 0; a < grid.dimensions_; ++a) {
      grid.axes_[a] = ValuesOf(points, a);
    }
    places = 1;
    for (size_t a = 0; a < grid.dimensions_; ++a) {
      places *= static_cast<double>(grid.axes_[a].size());
    }
  }
  for (size_t a = 0; a < grid.dimensions_; ++a) {
    if (grid.axes_[a].size() < 2) {
      return absl::InvalidArgumentError(absl::StrCat("the points fill no grid over ",
                                                     absl::StrJoin(names, ","), ": ", names[a],
                                                     " needs at least two values"));
    }
  }
  grid.least_ = points.front().value;
  for (const Point& point : points) {  // in the order of `at`: the last axis fastest
    grid.values_.push_back(point.value);
    grid.least_ = std::min(grid.least_, point.value);
  }
  return grid;
}

double Grid::At(const Coordinates& x) const {
  if (values_.empty()) {
    return 0;
  }
  std::array<Cell, kMostAxes> cells;
  for (size_t a = 0; a < dimensions_; ++a) {
    cells[a] = Locate(axes_[a], x[a]);
  }
  double sum = 0;
  for (size_t corner = 0; corner < (size_t{1} << dimensions_); ++corner) {
    double weight = 1;
    size_t index = 0;
    for (size_t a = 0; a < dimensions_; ++a) {
      const size_t upper = (corner >> a) & 1;
      weight *= upper == 1 ? cells[a].weight : 1 - cells[a].weight;
      index = index * axes_[a].size() + cells[a].lower + upper;
    }
    if (weight != 0) {
      sum += weight * values_[index];
    }
  }
  return std::max(least_, sum);
}

}  // namespace scoville::device
