#include "device/physics/tables/interpolation.h"

#include <algorithm>
#include <iterator>

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

using Axes = std::array<std::vector<double>, Grid::kMostAxes>;

double Places(const Axes& axes, size_t dimensions) {
  double places = 1;
  for (size_t a = 0; a < dimensions; ++a) {
    places *= static_cast<double>(axes[a].size());
  }
  return places;
}

Slice EmptiestSlice(const std::vector<Grid::Point>& points, const Axes& axes, size_t dimensions) {
  const double places = Places(axes, dimensions);
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

// A part of the points that fills a grid.
struct Part {
  std::vector<Grid::Point> points;
  Axes axes;
};

Part Trim(std::vector<Grid::Point> points, size_t dimensions) {
  Part part;
  part.points = std::move(points);
  while (true) {
    // Dropping a value may take the last point of another one.
    for (size_t a = 0; a < dimensions; ++a) {
      part.axes[a] = ValuesOf(part.points, a);
    }
    if (static_cast<double>(part.points.size()) >= Places(part.axes, dimensions)) {
      return part;
    }
    const Slice slice = EmptiestSlice(part.points, part.axes, dimensions);
    const double dropped = part.axes[slice.axis][slice.value];
    std::erase_if(part.points, [&](const Grid::Point& p) { return p.at[slice.axis] == dropped; });
  }
}

bool Has(const Axes& axes, size_t dimensions, const Grid::Point& point) {
  for (size_t a = 0; a < dimensions; ++a) {
    if (!std::binary_search(axes[a].begin(), axes[a].end(), point.at[a])) {
      return false;
    }
  }
  return true;
}

// The complete part over the axis values of those points that `part` left out.
Part Rest(const std::vector<Grid::Point>& points, const Part& part, size_t dimensions) {
  std::vector<Grid::Point> left;
  std::copy_if(points.begin(), points.end(), std::back_inserter(left),
               [&](const Grid::Point& p) { return !Has(part.axes, dimensions, p); });
  Axes axes;
  for (size_t a = 0; a < dimensions; ++a) {
    axes[a] = ValuesOf(left, a);
  }
  std::vector<Grid::Point> all;
  std::copy_if(points.begin(), points.end(), std::back_inserter(all),
               [&](const Grid::Point& p) { return Has(axes, dimensions, p); });
  return Trim(std::move(all), dimensions);
}

// How far the axes reach, all together.
double Reach(const Axes& axes, size_t dimensions) {
  double reach = 1;
  for (size_t a = 0; a < dimensions; ++a) {
    reach *= axes[a].empty() ? 0.0 : axes[a].back() - axes[a].front();
  }
  return reach;
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
  for (size_t a = 0; a < grid.dimensions_; ++a) {
    const size_t values = ValuesOf(points, a).size();
    if (values > kMostAxisValues) {
      return absl::InvalidArgumentError(absl::StrCat(
          names[a], " has ", values, " different values, at most ", kMostAxisValues, " are read"));
    }
  }
  Part part = Trim(points, grid.dimensions_);
  Part rest = Rest(points, part, grid.dimensions_);
  if (2 * rest.points.size() >= part.points.size() &&
      Reach(rest.axes, grid.dimensions_) > Reach(part.axes, grid.dimensions_)) {
    part = std::move(rest);
  }
  grid.axes_ = std::move(part.axes);
  for (size_t a = 0; a < grid.dimensions_; ++a) {
    if (grid.axes_[a].size() < 2) {
      return absl::InvalidArgumentError(absl::StrCat("the points fill no grid over ",
                                                     absl::StrJoin(names, ","), ": ", names[a],
                                                     " needs at least two values"));
    }
  }
  grid.least_ = part.points.front().value;
  for (const Point& point : part.points) {  // in the order of `at`: the last axis fastest
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
